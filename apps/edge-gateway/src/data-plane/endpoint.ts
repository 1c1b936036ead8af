import type { Operation, RouteNeeds } from '@omg/domain';

/** What the request asks of a route beyond its operation; a route that lacks it is no candidate. */
export type RequestNeeds = Required<Omit<RouteNeeds, 'operation' | 'stream' | 'inputTokens'>>;

/** Of an operation that knows none of these. */
export const NO_NEEDS: RequestNeeds = Object.freeze({
  tools: false,
  imageInput: false,
  audioInput: false,
  jsonSchema: false,
  logprobs: false,
  choices: 1,
  tokenArrays: false,
});

/** What validation learned in its single walk over the body; everything after it works on this. */
export interface ParsedRequest {
  stream: boolean;
  includeUsage: boolean;
  needs: RequestNeeds;
  /** Likely input tokens, for the hold and the token window. */
  inputTokensEstimate: number;
  /** More than this the input cannot be: one token per byte of text; for strict budgets. */
  inputTokensMax: number;
  /** What has to fit into the model's context window, where that is not the whole input. */
  contextTokens?: number;
  /** What the client allows the output to be; undefined when it did not say. */
  outputTokensMax: number | undefined;
  images?: { count: number; size: string | undefined; quality: string | undefined };
}

/** The field that holds what the model reads. */
export const INPUT_FIELD: Readonly<Record<Operation, string>> = { chat: 'messages', embeddings: 'input', images: 'prompt' };

/** One `/v1` endpoint that calls a provider: a route, an operation and the check of its body. */
export interface Endpoint {
  path: string;
  operation: Operation;
  /** Name in an API key's scopes. */
  scope: string;
  /** Brings a body into its agreed form before it is checked; true when it changed something. */
  normalize?(body: Record<string, unknown>): boolean;
  /** Throws a GatewayError with the field's name. */
  validate(body: Record<string, unknown>, raw: Buffer): ParsedRequest;
}
