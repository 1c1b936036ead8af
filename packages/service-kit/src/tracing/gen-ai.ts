import type { Attributes } from '@opentelemetry/api';
import {
  ATTR_GEN_AI_OPERATION_NAME,
  ATTR_GEN_AI_PROVIDER_NAME,
  ATTR_GEN_AI_REQUEST_MODEL,
  ATTR_GEN_AI_RESPONSE_MODEL,
  ATTR_GEN_AI_USAGE_INPUT_TOKENS,
  ATTR_GEN_AI_USAGE_OUTPUT_TOKENS,
} from '@opentelemetry/semantic-conventions/incubating';

/** What the gateway knows of a model call. */
export interface GenAiCall {
  operation: 'chat' | 'embeddings' | 'images';
  /** The alias that the client asked for. */
  requestModel: string;
  provider?: string;
  /** The upstream's model. */
  responseModel?: string;
  inputTokens?: number;
  outputTokens?: number;
}

const OPERATION_NAMES = { chat: 'chat', embeddings: 'embeddings', images: 'generate_content' } as const;

/** OpenTelemetry's name of a model call: operation and model. */
export function genAiSpanName(operation: GenAiCall['operation'], model: string): string {
  return `${OPERATION_NAMES[operation]} ${model}`;
}

/** Attributes by the GenAI semantic conventions; message contents, which those also know, are never set. */
export function genAiAttributes(call: GenAiCall): Attributes {
  return {
    [ATTR_GEN_AI_OPERATION_NAME]: OPERATION_NAMES[call.operation],
    [ATTR_GEN_AI_REQUEST_MODEL]: call.requestModel,
    ...(call.provider === undefined ? {} : { [ATTR_GEN_AI_PROVIDER_NAME]: call.provider }),
    ...(call.responseModel === undefined ? {} : { [ATTR_GEN_AI_RESPONSE_MODEL]: call.responseModel }),
    ...(call.inputTokens === undefined ? {} : { [ATTR_GEN_AI_USAGE_INPUT_TOKENS]: call.inputTokens }),
    ...(call.outputTokens === undefined ? {} : { [ATTR_GEN_AI_USAGE_OUTPUT_TOKENS]: call.outputTokens }),
  };
}
