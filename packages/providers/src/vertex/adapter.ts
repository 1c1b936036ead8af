import { responseFailure as anthropicFailure } from '../anthropic/errors.js';
import { fromMessage } from '../anthropic/response.js';
import { MessageStream } from '../anthropic/stream.js';
import { toolCallsMaxOf } from '../kit/chat-request.js';
import { requireCapabilities } from '../kit/requirements.js';
import { sseReply } from '../kit/translated-stream.js';
import type { CancelSignal } from '../spec/cancellation.js';
import type { ProbeContext, ProviderAdapter, ProviderCall, ProviderCapabilities, ProviderDefinition, ProviderReply, ProviderRoute } from '../spec/provider.js';
import type { Transport, TransportResponse } from '../spec/transport.js';
import { accessToken } from './auth.js';
import { claudeBody } from './claude.js';
import { embed, type Post } from './embeddings.js';
import { responseFailure } from './errors.js';
import { generate } from './images.js';
import { readGeminiRequest, toGenerateContent } from './request.js';
import { fromGenerateContent } from './response.js';
import { catalog, secretSettings, settings, targetOf, type VertexTarget } from './settings.js';
import { GeminiChunks } from './stream.js';

const capabilities: ProviderCapabilities = {
  chat: { stream: true, tools: true, imageInput: true, jsonSchema: true, reasoning: true, logprobs: true, n: true },
  embeddings: { tokenArrays: false, dimensions: true },
  images: { url: false },
};

const PROBE_BYTES_MAX = 1024 * 1024;

class VertexAdapter implements ProviderAdapter {
  private readonly target: VertexTarget;

  constructor(private readonly route: ProviderRoute) {
    this.target = targetOf(route);
  }

  async invoke(call: ProviderCall): Promise<ProviderReply> {
    requireCapabilities(call, capabilities);
    if (call.operation === 'embeddings') return embed(call, this.route.providerModel, this.target.isGeminiApi, this.poster(call));
    if (call.operation === 'images') return generate(call, this.route, this.poster(call));
    if (this.target.publisher === 'anthropic') return this.claude(call);
    const request = readGeminiRequest(call);
    const toolCallsMax = toolCallsMaxOf(request);
    const body = toGenerateContent(request, this.route.providerModel);
    if (call.stream) return sseReply(await this.post(call, 'streamGenerateContent?alt=sse', body), new GeminiChunks(call, toolCallsMax));
    const response = await this.post(call, 'generateContent', body);
    return fromGenerateContent(await response.bytes(call.responseBytesMax), call, toolCallsMax);
  }

  /** Looks the model up in its publisher's catalog, which is free. Models that are not listed there still prove the key good. */
  async probe(context: ProbeContext): Promise<void> {
    const response = await context.transport.send({
      method: 'GET',
      url: this.target.catalogUrl,
      headers: await this.headers(context),
      signal: context.signal,
      headersTimeoutMs: context.timeoutMs,
      idleTimeoutMs: context.timeoutMs,
    });
    if (response.status >= 300 && response.status !== 404) throw await responseFailure(response);
    await response.bytes(PROBE_BYTES_MAX);
  }

  private async claude(call: ProviderCall): Promise<ProviderReply> {
    const response = await this.post(call, call.stream ? 'streamRawPredict' : 'rawPredict', claudeBody(call, this.route));
    if (call.stream) return sseReply(response, new MessageStream(call));
    return fromMessage(await response.bytes(call.responseBytesMax), call);
  }

  private poster(call: ProviderCall): Post {
    return async (method, body) => (await this.post(call, method, body)).bytes(call.responseBytesMax);
  }

  private async post(call: ProviderCall, method: string, body: unknown): Promise<TransportResponse> {
    const headers = await this.headers(call);
    const response = await call.transport.send({
      method: 'POST',
      url: `${this.target.modelUrl}:${method}`,
      headers,
      body: JSON.stringify(body),
      signal: call.signal,
      headersTimeoutMs: call.headersTimeoutMs,
      idleTimeoutMs: call.idleTimeoutMs,
    });
    if (response.status >= 200 && response.status < 300) return response;
    throw await (this.target.publisher === 'anthropic' ? anthropicFailure(response) : responseFailure(response));
  }

  private async headers({ transport, signal }: { transport: Transport; signal: CancelSignal }): Promise<Record<string, string>> {
    const { apiKey, credentials } = this.target;
    if (apiKey !== undefined) return { 'content-type': 'application/json', 'x-goog-api-key': apiKey };
    return { 'content-type': 'application/json', authorization: `Bearer ${await accessToken(credentials, transport, signal)}` };
  }
}

export const vertex: ProviderDefinition = {
  slug: 'vertex',
  title: 'Google Vertex AI',
  description: 'Gemini chat, text embeddings, Imagen and Gemini images, Claude as a partner model; the Gemini API by key',
  capabilities,
  settings,
  secretSettings,
  catalog,
  create: (route) => new VertexAdapter(route),
};
