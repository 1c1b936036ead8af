import { z } from 'zod';
import { requireCapabilities } from '../kit/requirements.js';
import { baseUrl, headerText, settingsSchema } from '../openai-compatible/settings.js';
import { sseReply } from '../kit/translated-stream.js';
import type { ProbeContext, ProviderAdapter, ProviderCall, ProviderCapabilities, ProviderDefinition, ProviderReply, ProviderRoute } from '../spec/provider.js';
import type { TransportResponse } from '../spec/transport.js';
import { responseFailure } from './errors.js';
import { readMessagesRequest, toMessages, type MessagesOptions } from './request.js';
import { fromMessage } from './response.js';
import { MessageStream } from './stream.js';

const DEFAULT_BASE_URL = 'https://api.anthropic.com';
const DEFAULT_VERSION = '2023-06-01';
/** Output tokens when neither the client nor the catalog says a number: the API demands one. */
export const DEFAULT_MAX_TOKENS = 1024;

const capabilities: ProviderCapabilities = {
  chat: { stream: true, tools: true, imageInput: true, jsonSchema: true, reasoning: true, logprobs: false, n: false },
};

const settings = settingsSchema({
  api_key: headerText,
  base_url: baseUrl.optional(),
  anthropic_version: headerText.optional(),
  anthropic_beta: headerText.optional(),
  anthropic_default_max_tokens: z
    .string()
    .regex(/^[1-9]\d*$/, 'must be a whole number above 0')
    .optional(),
});

class AnthropicAdapter implements ProviderAdapter {
  private readonly url: string;
  private readonly headers: Record<string, string>;
  private readonly options: MessagesOptions;

  constructor(private readonly route: ProviderRoute) {
    const { settings: own } = route;
    const base = own.base_url || DEFAULT_BASE_URL;
    this.url = `${base.replace(/\/+$/, '').replace(/\/v1$/, '')}/v1`;
    this.headers = {
      'x-api-key': own.api_key ?? '',
      'anthropic-version': own.anthropic_version || DEFAULT_VERSION,
      'content-type': 'application/json',
      ...(own.anthropic_beta ? { 'anthropic-beta': own.anthropic_beta } : {}),
    };
    this.options = {
      model: route.providerModel,
      maxOutputTokens: route.maxOutputTokens,
      defaultMaxTokens: Number(own.anthropic_default_max_tokens || DEFAULT_MAX_TOKENS),
      urlSources: true,
      nativeApi: true,
    };
  }

  async invoke(call: ProviderCall): Promise<ProviderReply> {
    requireCapabilities(call, capabilities);
    const request = readMessagesRequest(call.json, true, call.maxOutputTokens);
    const body = { model: this.route.providerModel, ...toMessages(request, this.options), stream: call.stream };
    const response = await this.post(call, JSON.stringify(body));
    if (!call.stream) return fromMessage(await response.bytes(call.responseBytesMax), call);
    return sseReply(response, new MessageStream(call));
  }

  /** Looks the model up, which costs nothing and tells a wrong key and a wrong model id apart. */
  async probe(context: ProbeContext): Promise<void> {
    const response = await context.transport.send({
      method: 'GET',
      url: `${this.url}/models/${encodeURIComponent(this.route.providerModel)}`,
      headers: this.headers,
      signal: context.signal,
      headersTimeoutMs: context.timeoutMs,
      idleTimeoutMs: context.timeoutMs,
    });
    if (response.status >= 200 && response.status < 300) {
      await response.bytes(1024 * 1024);
      return;
    }
    // Compatible services often serve messages alone: that they answer is all that can be told for free.
    if ((response.status === 404 || response.status === 405) && !this.url.startsWith(DEFAULT_BASE_URL)) {
      await response.bytes(1024 * 1024);
      return;
    }
    throw await responseFailure(response);
  }

  private async post(call: ProviderCall, body: string): Promise<TransportResponse> {
    const response = await call.transport.send({
      method: 'POST',
      url: `${this.url}/messages`,
      headers: this.headers,
      body,
      signal: call.signal,
      headersTimeoutMs: call.headersTimeoutMs,
      idleTimeoutMs: call.idleTimeoutMs,
    });
    if (response.status >= 200 && response.status < 300) return response;
    throw await responseFailure(response);
  }
}

export const anthropic: ProviderDefinition = {
  slug: 'anthropic',
  title: 'Anthropic',
  description: 'Claude models over the native Messages API',
  capabilities,
  settings,
  secretSettings: ['api_key'],
  catalog: {
    spellings: { base_url: ['anthropic_base_url', 'endpoint'], anthropic_version: ['version'], anthropic_default_max_tokens: ['default_max_tokens'] },
    shared: [{ values: { api_key: 'anthropic_key' } }],
  },
  create: (route) => new AnthropicAdapter(route),
};
