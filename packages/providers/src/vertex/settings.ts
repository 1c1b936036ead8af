import { z } from 'zod';
import { isRecord, tryParseJson } from '../kit/safe-json.js';
import { baseUrl, headerText, settingsSchema } from '../openai-compatible/settings.js';
import type { CatalogBinding, ProviderRoute } from '../spec/provider.js';
import { ProviderError } from '../spec/provider-error.js';

/** Settings of a Vertex route, as in the catalog's metadata. */
export const settings = settingsSchema({
  gcp_project_id: z.string().optional(),
  vertex_location: z
    .string()
    .regex(/^[a-z0-9-]+$/, 'must be a location such as europe-west4')
    .optional(),
  vertex_publisher: z.enum(['google', 'anthropic']).optional(),
  vertex_endpoint: baseUrl.optional(),
  gcp_credentials_json: z.string().optional(),
  gcp_credentials_format: z.enum(['json', 'base64']).optional(),
  /** A key of Vertex's express mode or of the Gemini API; no service account is needed with it. */
  vertex_api_key: headerText.optional(),
  anthropic_version: z.string().optional(),
  anthropic_default_max_tokens: z
    .string()
    .regex(/^[1-9]\d*$/)
    .optional(),
  vertex_person_generation: z.string().optional(),
  // Imagen's edits and variations take these; generations have no input image. They are taken so that a catalog written
  // for a gateway with those operations loads unchanged.
  vertex_edit_mode: z.string().optional(),
  vertex_mask_mode: z.string().optional(),
  vertex_mask_dilation: z.string().optional(),
  vertex_guidance_scale: z.string().optional(),
  vertex_base_steps: z.string().optional(),
  vertex_variation_prompt: z.string().optional(),
});

export const secretSettings = ['gcp_credentials_json', 'vertex_api_key'] as const;

export const catalog: CatalogBinding = {
  spellings: {
    vertex_location: ['region'],
    vertex_endpoint: ['endpoint'],
    vertex_api_key: ['api_key'],
    gcp_credentials_json: ['gcp_json_credentials'],
  },
  shared: [
    { values: { gcp_credentials_json: 'gcp_json_credentials' }, unless: ['gcp_credentials_json', 'vertex_api_key'] },
    { values: { gcp_project_id: 'gcp_project_id' }, unless: ['vertex_api_key'] },
  ],
  places: ['vertex_location', 'vertex_endpoint', 'gcp_project_id'],
};

/** Where a route's calls go and what opens the door. */
export interface VertexTarget {
  /** Everything before the colon: `https://.../publishers/google/models/gemini-2.5-flash`. */
  modelUrl: string;
  /** The publisher's entry for the model, for the health check. */
  catalogUrl: string;
  publisher: string;
  /** An endpoint with a path of its own, such as the Gemini API's: the same chat, other embeddings. */
  isGeminiApi: boolean;
  apiKey?: string;
  /** Service account or other Google credentials; absent with an API key, or for the default chain. */
  credentials?: Record<string, unknown>;
}

/** Google's own SDKs call the beta version: newer fields, such as JSON schemas as they are, come there first. */
const GOOGLE_API_VERSION = 'v1beta1';
const PARTNER_API_VERSION = 'v1';

export function targetOf(route: ProviderRoute): VertexTarget {
  const { settings: own, providerModel } = route;
  const credentials = credentialsOf(own);
  const apiKey = own.vertex_api_key || undefined;
  const publisher = own.vertex_publisher || 'google';
  const project = own.gcp_project_id || (typeof credentials?.project_id === 'string' ? credentials.project_id : undefined);
  const location = own.vertex_location || undefined;
  const isExpress = apiKey !== undefined && project === undefined;
  const place = location ?? (isExpress ? 'global' : 'us-central1');
  const endpoint = (own.vertex_endpoint || `https://${hostOf(place)}`).replace(/\/+$/, '');
  // An endpoint with a path of its own is another front of the same API, such as the Gemini API's `/v1beta`.
  const hasPath = new URL(endpoint).pathname !== '/';
  const base = { publisher, isGeminiApi: hasPath, apiKey, credentials: apiKey === undefined ? credentials : undefined };
  if (hasPath) return { ...base, modelUrl: `${endpoint}/models/${providerModel}`, catalogUrl: `${endpoint}/models/${providerModel}` };
  const api = `${endpoint}/${publisher === 'google' ? GOOGLE_API_VERSION : PARTNER_API_VERSION}`;
  const catalogUrl = `${api}/publishers/${publisher}/models/${providerModel}`;
  if (isExpress) return { ...base, modelUrl: catalogUrl, catalogUrl };
  if (providerModel.startsWith('projects/')) return { ...base, modelUrl: `${api}/${providerModel}`, catalogUrl };
  if (project === undefined) throw new ProviderError('not_found', { internal: 'the route has no gcp_project_id' });
  const parent = `${api}/projects/${encodeURIComponent(project)}/locations/${encodeURIComponent(place)}`;
  if (providerModel.startsWith('endpoints/')) return { ...base, modelUrl: `${parent}/${providerModel}`, catalogUrl };
  return { ...base, modelUrl: `${parent}/publishers/${publisher}/models/${providerModel}`, catalogUrl };
}

function hostOf(location: string): string {
  if (location === 'global') return 'aiplatform.googleapis.com';
  if (location === 'us' || location === 'eu') return `aiplatform.${location}.rep.googleapis.com`;
  return `${location}-aiplatform.googleapis.com`;
}

/** Raw JSON or base64 of it; told apart by the first character unless the catalog says which. */
function credentialsOf(own: ProviderRoute['settings']): Record<string, unknown> | undefined {
  const text = own.gcp_credentials_json?.trim();
  if (!text) return undefined;
  const isBase64 = own.gcp_credentials_format === 'base64' || (own.gcp_credentials_format !== 'json' && !text.startsWith('{'));
  const parsed = tryParseJson(isBase64 ? Buffer.from(text, 'base64') : text);
  if (!isRecord(parsed)) throw new ProviderError('auth', { internal: 'gcp_credentials_json is not a JSON object' });
  return parsed;
}
