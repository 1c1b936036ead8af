import type { Meters, Operation } from '@omg/domain';
import type { z } from 'zod';
import type { CancelSignal } from './cancellation.js';
import type { Transport } from './transport.js';

/**
 * The border between the gateway and a provider. The inner language is OpenAI's wire: requests come in as OpenAI bodies,
 * answers and stream frames leave as OpenAI bytes, whatever the provider speaks.
 */

/** What the docs table, the admin form and the routing engine need to know; a feature that is absent is refused with 400. */
export interface ProviderCapabilities {
  chat?: {
    stream: boolean;
    tools: boolean;
    imageInput: boolean;
    jsonSchema: boolean;
    reasoning: boolean;
    logprobs: boolean;
    /** More than one choice. */
    n: boolean;
  };
  embeddings?: { tokenArrays: boolean; dimensions: boolean };
  images?: { url: boolean };
}

/** A provider bound to a catalog entry: everything a call needs, secrets opened. */
export interface ProviderRoute {
  id: string;
  providerModel: string;
  deployment: string;
  modalities: readonly string[];
  maxOutputTokens: number;
  settings: Readonly<Record<string, string>>;
}

export interface ProviderCall {
  operation: Operation;
  /** The name the client used; every answer echoes it. */
  alias: string;
  /** The client's body as it came, and parsed. Neither may be changed. */
  raw: Buffer;
  json: Readonly<Record<string, unknown>>;
  stream: boolean;
  /** Whether the client asked for the usage chunk; the provider is always asked for it. */
  includeUsage: boolean;
  /** Likely input tokens: what is booked, and told to clients that must be told a number, where the provider counts nothing. */
  inputTokensEstimate: number;
  /** A ceiling for the output that the gateway sets (strict budgets); never above what the client asked for. */
  maxOutputTokens?: number;
  transport: Transport;
  signal: CancelSignal;
  headersTimeoutMs: number;
  idleTimeoutMs: number;
  responseBytesMax: number;
}

export interface JsonReply {
  kind: 'json';
  /** An OpenAI response object with the alias as its model. */
  body: Buffer;
  /** Absent: the provider did not say. */
  meters?: Meters;
  /** Text produced in bytes, for an estimate where meters are absent. */
  outputBytes: number;
}

export interface StreamProgress {
  /** The provider's own count of the whole call; absent as long as it has not told it. */
  meters?: Meters;
  /** The input side alone, where the provider tells it before the end: exact while the output must still be estimated. */
  inputMeters?: Omit<Meters, 'outputTokens' | 'reasoningTokens'>;
  outputBytes: number;
}

export interface StreamReply {
  kind: 'stream';
  /**
   * Whole SSE frames (`data: {...}\n\n`), one or several per buffer, without `[DONE]`. Ends when the provider finished
   * properly; throws a ProviderError when it did not. The consumer may stop early: that closes the upstream connection.
   */
  frames: AsyncIterable<Buffer>;
  /** What is known so far; callable at any time, also after an abort. */
  progress(): StreamProgress;
}

export type ProviderReply = JsonReply | StreamReply;

export interface ProbeContext {
  transport: Transport;
  signal: CancelSignal;
  timeoutMs: number;
}

export interface ProviderAdapter {
  /** Throws a ProviderError. For a stream, resolves once the provider's headers are in. */
  invoke(call: ProviderCall): Promise<ProviderReply>;
  /** A health check that costs nothing. Throws a ProviderError when the route would not work. Absent: not possible. */
  probe?(context: ProbeContext): Promise<void>;
}

/** A set of shared credentials (`providers.*` in the configuration) that fills gaps of a catalog entry. */
export interface SharedSettings {
  /** Setting -> key below `providers`, such as `openai_key` or `openai_compatible.api_key`. */
  values: Readonly<Record<string, string>>;
  /** The set is left out as a whole when the entry itself has one of these, so that halves of two accounts never mix. */
  unless?: readonly string[];
}

/** How a catalog entry becomes a route's settings. All optional: by default settings carry one name everywhere. */
export interface CatalogBinding {
  /** Key of the provider's block in an entry; default: the slug with `_` for `-`. */
  block?: string;
  /**
   * Setting -> other names that entries use for it. Sources are asked in their order (block, entry, metadata, shared); the
   * adapter only ever sees the first name, so a weaker source cannot win by another spelling.
   */
  spellings?: Readonly<Record<string, readonly string[]>>;
  shared?: readonly SharedSettings[];
  /** Settings that tell two routes of one model apart; default: region, endpoint and base_url. */
  places?: readonly string[];
}

export interface ProviderDefinition {
  /** As in the catalog: lower case, such as `openai-compatible`. */
  slug: string;
  title: string;
  description: string;
  capabilities: ProviderCapabilities;
  /** Settings of a route (strings, as in the catalog's metadata), validated when a catalog entry is saved. */
  settings: z.ZodType<Record<string, string | undefined>>;
  /** Names of the settings that are secrets: sealed at rest, masked in answers. */
  secretSettings: readonly string[];
  catalog?: CatalogBinding;
  create(route: ProviderRoute): ProviderAdapter;
}
