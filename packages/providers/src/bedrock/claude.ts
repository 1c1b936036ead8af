import type { ResponseStream } from '@aws-sdk/client-bedrock-runtime';
import { readMessagesRequest, toMessages } from '../anthropic/request.js';
import { fromMessage } from '../anthropic/response.js';
import { MessageStream } from '../anthropic/stream.js';
import type { ChatRequest } from '../kit/chat-request.js';
import { translate } from '../kit/translated-stream.js';
import type { ProviderCall, ProviderReply, ProviderRoute } from '../spec/provider.js';
import { bytesOf, run, runStream, type WireContext } from './client.js';
import { requestMetadataOf, serviceTierOf } from './request.js';
import { defaultMaxTokensOf, type ClientSettings } from './settings.js';

/** Claude over InvokeModel: Anthropic's own body and events, in Bedrock's envelope. */
const DEFAULT_VERSION = 'bedrock-2023-05-31';

export function claudeBody(request: ChatRequest, route: ProviderRoute): Record<string, unknown> {
  const body = toMessages(request, {
    model: route.providerModel,
    maxOutputTokens: route.maxOutputTokens,
    defaultMaxTokens: defaultMaxTokensOf(route),
    // Bedrock fetches nothing for the model, and the gateway does not fetch what a client names.
    urlSources: false,
    nativeApi: false,
  });
  const beta = route.settings.anthropic_beta?.split(',').map((name) => name.trim());
  return { anthropic_version: route.settings.anthropic_version || DEFAULT_VERSION, ...(beta === undefined ? {} : { anthropic_beta: beta }), ...body };
}

export async function invokeClaude(call: ProviderCall, route: ProviderRoute, settings: ClientSettings, wire: WireContext): Promise<ProviderReply> {
  const request = readMessagesRequest(call.json, false, call.maxOutputTokens);
  const metadata = requestMetadataOf(request);
  const input = {
    modelId: route.providerModel,
    contentType: 'application/json',
    accept: 'application/json',
    body: Buffer.from(JSON.stringify(claudeBody(request, route))),
    serviceTier: serviceTierOf(request),
    ...(metadata === undefined ? {} : { requestMetadata: JSON.stringify(metadata) }),
  };
  if (!call.stream) {
    const output = await run(settings, wire, (client, sdk) => client.send(new sdk.InvokeModelCommand(input)));
    return fromMessage(bytesOf(output.body), call);
  }
  const { output, events } = await runStream(settings, wire, (client, sdk) => client.send(new sdk.InvokeModelWithResponseStreamCommand(input)));
  const stream = new MessageStream(call);
  return {
    kind: 'stream',
    frames: translate(events(output.body), stream, (event) => pushChunk(stream, event)),
    progress: () => stream.progress(),
  };
}

function pushChunk(stream: MessageStream, event: ResponseStream): void {
  const bytes = event.chunk?.bytes;
  if (bytes !== undefined) stream.event(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}
