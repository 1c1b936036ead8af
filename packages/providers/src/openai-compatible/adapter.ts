import type { Operation } from '@omg/domain';
import type { CancelSignal } from '../spec/cancellation.js';
import type {
  CatalogBinding,
  ProbeContext,
  ProviderAdapter,
  ProviderCall,
  ProviderCapabilities,
  ProviderDefinition,
  ProviderReply,
  ProviderRoute,
} from '../spec/provider.js';
import { ProviderError } from '../spec/provider-error.js';
import type { Transport } from '../spec/transport.js';
import { post, responseError } from '../kit/http.js';
import { refuseFields, requireCapabilities } from '../kit/requirements.js';
import { ChatRewriter, type RewriterOptions } from './chat-rewriter.js';
import { RequestWriter, type RequestRules } from './request.js';
import { chatReply, embeddingsReply, imagesReply } from './response.js';
import { baseUrl, headerText, setting, settingsSchema, withoutTrailingSlash } from './settings.js';
import { chatStreamReply } from './stream.js';

/**
 * Makes a provider out of a server that speaks OpenAI's wire. Bodies and streams pass through; what such servers do
 * differently is an option here, so that a provider of this family is a page of declarations.
 */

/** What an access token costs to get is the connection's affair: it may send requests of its own. */
export interface AuthorizeContext {
  transport: Transport;
  signal: CancelSignal;
  timeoutMs: number;
}

/** Where a route's calls go. Made once per route. */
export interface Connection {
  url(operation: Operation): string;
  /** Name of the model in the body. */
  model: string;
  /** Headers that prove who calls; a promise only where a token has to be fetched. */
  authorize(context: AuthorizeContext): Record<string, string> | Promise<Record<string, string>>;
  /** A free GET that only works when the route would. Absent: the provider cannot be probed. */
  probeUrl?: string;
  /** What this route wants spelled differently, beyond what its provider does. */
  request?: Partial<RequestRules>;
  /** The provider refused the headers of `authorize`: a token that was kept is worth nothing now. */
  refused?(): void;
}

export interface OpenAiCompatibleOptions {
  slug: string;
  title: string;
  description: string;
  capabilities: ProviderCapabilities;
  settings: ProviderDefinition['settings'];
  secretSettings: readonly string[];
  catalog?: CatalogBinding;
  connect(route: ProviderRoute): Connection;
  request?: Partial<RequestRules>;
  /** Default true. OpenAI itself says `stop` after a call that the client forced, and means it. */
  stopMeansToolCalls?: boolean;
  /** Refuses more than the capabilities say: throws ProviderError `unsupported_parameter`. */
  refuse?(call: ProviderCall): void;
}

export const OPERATION_PATHS: Readonly<Record<Operation, string>> = {
  chat: '/chat/completions',
  embeddings: '/embeddings',
  images: '/images/generations',
};

const PROBE_BYTES_MAX = 4 * 1024 * 1024;

class OpenAiCompatibleAdapter implements ProviderAdapter {
  private readonly writer: RequestWriter;
  private readonly connection: Connection;
  readonly probe?: (context: ProbeContext) => Promise<void>;
  private alias = '';
  private answers: ChatRewriter | undefined;

  constructor(
    private readonly options: OpenAiCompatibleOptions,
    route: ProviderRoute,
  ) {
    this.connection = options.connect(route);
    this.writer = new RequestWriter(this.connection.model, {
      outputLimit: 'as_sent',
      streamOptions: true,
      developerRole: true,
      ...options.request,
      ...this.connection.request,
    });
    const { probeUrl } = this.connection;
    if (probeUrl !== undefined) this.probe = (context) => this.get(probeUrl, context);
  }

  async invoke(call: ProviderCall): Promise<ProviderReply> {
    requireCapabilities(call, this.options.capabilities);
    this.options.refuse?.(call);
    const body = this.writer.write(call);
    const auth = this.connection.authorize({ transport: call.transport, signal: call.signal, timeoutMs: call.headersTimeoutMs });
    const headers: Record<string, string> = {
      'content-type': 'application/json',
      accept: call.stream ? 'text/event-stream' : 'application/json',
      ...(auth instanceof Promise ? await auth : auth),
    };
    const response = await post(call, { url: this.connection.url(call.operation), headers, body }).catch((error: unknown) => this.failed(error));
    if (call.operation === 'embeddings') return embeddingsReply(await response.bytes(call.responseBytesMax), call);
    if (call.operation === 'images') return imagesReply(await response.bytes(call.responseBytesMax), call);
    if (!call.stream) return chatReply(await response.bytes(call.responseBytesMax), this.answerRewriter(call.alias), call.inputTokensEstimate);
    return chatStreamReply(response, this.rewriting(call.alias, true, call.includeUsage), call.inputTokensEstimate);
  }

  private failed(error: unknown): never {
    if (error instanceof ProviderError && error.kind === 'auth') this.connection.refused?.();
    throw error;
  }

  /** A route has one alias, but for the case it is written in: what is made of it is kept. */
  private answerRewriter(alias: string): ChatRewriter {
    if (this.answers === undefined || alias !== this.alias) {
      this.answers = new ChatRewriter(this.rewriting(alias, false, false));
      this.alias = alias;
    }
    return this.answers;
  }

  private rewriting(alias: string, streamed: boolean, includeUsage: boolean): RewriterOptions {
    return { aliasJson: Buffer.from(JSON.stringify(alias)), streamed, includeUsage, stopMeansToolCalls: this.options.stopMeansToolCalls ?? true };
  }

  private async get(url: string, context: ProbeContext): Promise<void> {
    const { transport, signal, timeoutMs } = context;
    const response = await transport.send({
      method: 'GET',
      url,
      headers: { accept: 'application/json', ...(await this.connection.authorize(context)) },
      signal,
      headersTimeoutMs: timeoutMs,
      idleTimeoutMs: timeoutMs,
    });
    if (response.status < 200 || response.status >= 300) throw await responseError(response);
    await response.bytes(PROBE_BYTES_MAX);
  }
}

export function defineOpenAiCompatible(options: OpenAiCompatibleOptions): ProviderDefinition {
  const { slug, title, description, capabilities, settings, secretSettings, catalog } = options;
  const create = (route: ProviderRoute): ProviderAdapter => new OpenAiCompatibleAdapter(options, route);
  return { slug, title, description, capabilities, settings, secretSettings, ...(catalog === undefined ? {} : { catalog }), create };
}

/** The settings of a server that is known by its root URL and an optional key. */
export const BASE_URL_SETTINGS = {
  base_url: baseUrl.optional(),
  api_key: headerText.optional(),
  openai_organization: headerText.optional(),
};

/** Catalog entries may say `endpoint` for the root. */
export const BASE_URL_SPELLINGS = { base_url: ['endpoint'] };

/** A server at `base_url` (with its `/v1`), with a bearer key if there is one. */
export function connectByBaseUrl(route: ProviderRoute, defaultBaseUrl?: string): Connection {
  const root = setting(route.settings, 'base_url') ?? defaultBaseUrl;
  if (root === undefined) throw new ProviderError('not_found', { internal: 'the route has no base_url' });
  const base = withoutTrailingSlash(root);
  const key = setting(route.settings, 'api_key');
  const organization = setting(route.settings, 'openai_organization');
  const headers: Record<string, string> = {};
  if (key !== undefined) headers['authorization'] = `Bearer ${key}`;
  if (organization !== undefined) headers['openai-organization'] = organization;
  const urls = { chat: base + OPERATION_PATHS.chat, embeddings: base + OPERATION_PATHS.embeddings, images: base + OPERATION_PATHS.images };
  return { url: (operation) => urls[operation], model: route.providerModel, authorize: () => headers, probeUrl: `${base}/models` };
}

/** llama.cpp's own name for the limit of the output: it wins over `max_tokens`, and so over the ceiling that a budget sets. */
export const OWN_OUTPUT_LIMIT = 'n_predict';

export const openAiCompatible = defineOpenAiCompatible({
  slug: 'openai-compatible',
  title: 'OpenAI-compatible server',
  description: "Any server that speaks OpenAI's wire: bodies pass through, and what the server cannot do it says itself.",
  capabilities: {
    chat: { stream: true, tools: true, imageInput: true, jsonSchema: true, reasoning: true, logprobs: true, n: true },
    embeddings: { tokenArrays: true, dimensions: true },
    images: { url: true },
  },
  settings: settingsSchema({ ...BASE_URL_SETTINGS, base_url: baseUrl }),
  secretSettings: ['api_key'],
  catalog: {
    spellings: BASE_URL_SPELLINGS,
    // The shared key belongs to the shared server: an entry with a server of its own never gets it.
    shared: [{ values: { api_key: 'openai_compatible.api_key' }, unless: ['base_url', 'api_key'] }, { values: { base_url: 'openai_compatible.base_url' } }],
  },
  connect: (route) => connectByBaseUrl(route),
  refuse: (call) => {
    if (call.operation === 'chat' && call.maxOutputTokens !== undefined) refuseFields(call.json, [OWN_OUTPUT_LIMIT]);
  },
});
