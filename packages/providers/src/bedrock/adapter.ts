import type { ConverseStreamOutput } from '@aws-sdk/client-bedrock-runtime';
import { toolCallsMaxOf } from '../kit/chat-request.js';
import { requireCapabilities } from '../kit/requirements.js';
import { translate } from '../kit/translated-stream.js';
import type { ProbeContext, ProviderAdapter, ProviderCall, ProviderCapabilities, ProviderDefinition, ProviderReply, ProviderRoute } from '../spec/provider.js';
import { ProviderError } from '../spec/provider-error.js';
import { invokeClaude } from './claude.js';
import { run, runStream, type WireContext } from './client.js';
import { embed } from './embeddings.js';
import { generate } from './images.js';
import { readConverseRequest, toConverse } from './request.js';
import { fromConverse } from './response.js';
import { catalog, chatFormatOf, clientSettingsOf, secretSettings, settings, type ClientSettings } from './settings.js';
import { ConverseChunks } from './stream.js';

const capabilities: ProviderCapabilities = {
  chat: { stream: true, tools: true, imageInput: true, jsonSchema: true, reasoning: true, logprobs: false, n: false },
  embeddings: { tokenArrays: false, dimensions: true },
  images: { url: false },
};

class BedrockAdapter implements ProviderAdapter {
  private readonly client: ClientSettings;

  constructor(private readonly route: ProviderRoute) {
    this.client = clientSettingsOf(route);
  }

  async invoke(call: ProviderCall): Promise<ProviderReply> {
    requireCapabilities(call, capabilities);
    const { transport, signal, headersTimeoutMs, idleTimeoutMs, responseBytesMax } = call;
    const wire: WireContext = { transport, signal, headersTimeoutMs, idleTimeoutMs, responseBytesMax };
    if (call.operation === 'images') return generate(call, this.route, this.client, wire);
    if (call.operation === 'embeddings') return embed(call, this.route, this.client, wire);
    if (chatFormatOf(this.route) === 'anthropic_messages') return invokeClaude(call, this.route, this.client, wire);
    return this.converse(call, wire);
  }

  /**
   * A signed look at the list of asynchronous jobs: free, and proof that region, endpoint and credentials work. A key that
   * may not list jobs is refused by name after its signature was accepted, which proves as much.
   */
  async probe(context: ProbeContext): Promise<void> {
    const { transport, signal, timeoutMs } = context;
    const wire: WireContext = { transport, signal, headersTimeoutMs: timeoutMs, idleTimeoutMs: timeoutMs, responseBytesMax: 1024 * 1024 };
    try {
      await run(this.client, wire, (client, sdk) => client.send(new sdk.ListAsyncInvokesCommand({ maxResults: 1 })));
    } catch (error) {
      const isKnownCaller = error instanceof ProviderError && error.kind === 'auth' && /AccessDenied.*not authorized to perform/is.test(error.internal ?? '');
      if (!isKnownCaller) throw error;
    }
  }

  private async converse(call: ProviderCall, wire: WireContext): Promise<ProviderReply> {
    const request = readConverseRequest(call);
    const input = toConverse(request, this.route);
    const toolCallsMax = toolCallsMaxOf(request);
    if (!call.stream) {
      const output = await run(this.client, wire, (client, sdk) => client.send(new sdk.ConverseCommand(input)));
      return fromConverse(output, call, output.$metadata.requestId, toolCallsMax);
    }
    const { output, events } = await runStream(this.client, wire, (client, sdk) => client.send(new sdk.ConverseStreamCommand(input)));
    const chunks = new ConverseChunks(call, output.$metadata.requestId, toolCallsMax);
    return {
      kind: 'stream',
      frames: translate<ConverseStreamOutput>(events(output.stream), chunks, (event) => chunks.push(event)),
      progress: () => chunks.progress(),
    };
  }
}

export const bedrock: ProviderDefinition = {
  slug: 'bedrock',
  title: 'Amazon Bedrock',
  description: 'Claude over InvokeModel, other chat models over Converse, Titan, Nova and Cohere embeddings, Titan, Nova Canvas and Stability images',
  capabilities,
  settings,
  secretSettings,
  catalog,
  create: (route) => new BedrockAdapter(route),
};
