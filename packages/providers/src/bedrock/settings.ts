import { createHash } from 'node:crypto';
import { z } from 'zod';
import { baseUrl, headerText, settingsSchema } from '../openai-compatible/settings.js';
import type { CatalogBinding, ProviderRoute } from '../spec/provider.js';

const count = z.string().regex(/^[1-9]\d*$/, 'a whole number above 0');
const decimal = z.string().regex(/^\d+(\.\d+)?$/, 'a number');

const EMBEDDING_FORMATS = ['titan_text', 'titan_multimodal', 'cohere', 'nova'] as const;
export type EmbeddingFormat = (typeof EMBEDDING_FORMATS)[number];

/** Settings of a Bedrock route, as in the catalog's metadata. */
export const settings = settingsSchema({
  /** Absent: the SDK's own chain, environment and profile. */
  region: z
    .string()
    .regex(/^[a-z0-9-]+$/, 'must be a region such as eu-central-1')
    .optional(),
  aws_access_key_id: z.string().optional(),
  aws_secret_access_key: z.string().optional(),
  aws_session_token: z.string().optional(),
  aws_profile: z.string().optional(),
  /** A Bedrock API key, sent as a bearer token. */
  aws_bearer_token: headerText.optional(),
  /** Another endpoint of the runtime API, such as a VPC interface endpoint. */
  endpoint: baseUrl.optional(),
  bedrock_chat_format: z.enum(['anthropic_messages', 'converse']).optional(),
  anthropic_version: z.string().optional(),
  anthropic_beta: z.string().optional(),
  bedrock_default_max_tokens: count.optional(),
  bedrock_embedding_format: z.enum(EMBEDDING_FORMATS).optional(),
  /** Cohere's models embed questions and documents differently. */
  bedrock_embed_input_type: z.enum(['search_document', 'search_query', 'classification', 'clustering']).optional(),
  /** The same for Nova's models, such as GENERIC_INDEX or TEXT_RETRIEVAL. */
  bedrock_embed_purpose: z
    .string()
    .regex(/^[A-Z_]{3,40}$/, 'must be a purpose such as GENERIC_INDEX')
    .optional(),
  bedrock_embed_dims: count.optional(),
  bedrock_embed_normalize: z.enum(['true', 'false']).optional(),
  bedrock_image_task_type: z.enum(['TEXT_IMAGE']).optional(),
  bedrock_image_quality: z.string().optional(),
  bedrock_image_cfg_scale: decimal.optional(),
  bedrock_image_style: z.string().optional(),
  bedrock_image_seed: z.string().regex(/^\d+$/).optional(),
  bedrock_image_steps: count.optional(),
  bedrock_image_negative_prompt: z.string().optional(),
  // These four shape edits and variations, which generations have no input image for; they are taken so that a catalog
  // written for a gateway with those operations loads unchanged.
  bedrock_image_strength: decimal.optional(),
  bedrock_image_init_mode: z.string().optional(),
  bedrock_image_mask_source: z.string().optional(),
  bedrock_image_variation_prompt: z.string().optional(),
});

export const secretSettings = ['aws_access_key_id', 'aws_secret_access_key', 'aws_session_token', 'aws_bearer_token'] as const;

export const catalog: CatalogBinding = {
  spellings: { region: ['aws_region'], endpoint: ['bedrock_endpoint'], aws_bearer_token: ['api_key'] },
  shared: [
    {
      values: { aws_access_key_id: 'aws_access_key_id', aws_secret_access_key: 'aws_secret_access_key' },
      unless: ['aws_access_key_id', 'aws_secret_access_key', 'aws_profile', 'aws_bearer_token'],
    },
    { values: { region: 'aws_region' } },
  ],
};

export type Credentials =
  | { kind: 'bearer'; token: string }
  | { kind: 'profile'; profile: string }
  | { kind: 'static'; accessKeyId: string; secretAccessKey: string; sessionToken?: string }
  | { kind: 'default' };

/** What one SDK client is made from; routes that agree in it share a client. */
export interface ClientSettings {
  credentials: Credentials;
  /** Undefined: the SDK's own chain (environment, profile). */
  region?: string;
  endpoint?: string;
  /** Names the client in the cache; holds no secret in the clear. */
  cacheKey: string;
}

/** Credentials by precedence: Bedrock API key, named profile, static keys, the SDK's default chain. */
export function clientSettingsOf(route: ProviderRoute): ClientSettings {
  const { settings: own, providerModel } = route;
  const region = own.region || regionOfArn(providerModel);
  const endpoint = own.endpoint || undefined;
  const credentials = credentialsOf(own);
  const cacheKey = createHash('sha256')
    .update(JSON.stringify([credentials, region, endpoint]))
    .digest('base64');
  return { credentials, region, endpoint, cacheKey };
}

function credentialsOf(own: ProviderRoute['settings']): Credentials {
  const token = own.aws_bearer_token;
  if (token) return { kind: 'bearer', token };
  if (own.aws_profile) return { kind: 'profile', profile: own.aws_profile };
  if (own.aws_access_key_id && own.aws_secret_access_key) {
    return {
      kind: 'static',
      accessKeyId: own.aws_access_key_id,
      secretAccessKey: own.aws_secret_access_key,
      ...(own.aws_session_token ? { sessionToken: own.aws_session_token } : {}),
    };
  }
  return { kind: 'default' };
}

/** `arn:aws:bedrock:eu-west-1:...`: an ARN says its region itself. */
function regionOfArn(model: string): string | undefined {
  return /^arn:[^:]*:bedrock:([a-z0-9-]+):/.exec(model)?.[1];
}

export function chatFormatOf(route: ProviderRoute): 'anthropic_messages' | 'converse' {
  const format = route.settings.bedrock_chat_format;
  if (format === 'anthropic_messages' || format === 'converse') return format;
  return route.providerModel.includes('anthropic.') ? 'anthropic_messages' : 'converse';
}

/** `max_tokens` when the client names none. */
export function defaultMaxTokensOf(route: ProviderRoute): number {
  return route.maxOutputTokens || Number(route.settings.bedrock_default_max_tokens || 1024);
}
