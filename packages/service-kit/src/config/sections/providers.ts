import { z } from 'zod';
import { leaf, text } from '../fields.js';

const plain = (about: string, example?: string) => leaf(text().default(''), { about, example });
const hidden = (about: string) => leaf(z.string().trim().default(''), { about, secret: true });

/** Credentials shared by all catalog entries; an entry may override each. */
export const providersSection = z.object({
  openai_key: hidden('OpenAI.'),
  anthropic_key: hidden('Anthropic.'),
  azure_openai_endpoint: plain('Azure OpenAI resource.', 'https://my-resource.openai.azure.com'),
  azure_openai_key: hidden('Azure OpenAI.'),
  azure_openai_version: leaf(text().default('2024-07-01-preview'), { about: 'Azure OpenAI API version.' }),
  aws_access_key_id: hidden('AWS; empty keys mean the default chain of the SDK.'),
  aws_secret_access_key: hidden('AWS.'),
  aws_region: plain('AWS.', 'us-east-1'),
  gcp_project_id: plain('Google Cloud project.', 'my-project'),
  gcp_json_credentials: hidden('Google service account, raw JSON or base64.'),
  hugging_face_token: hidden('Hugging Face.'),
  openai_compatible: z.object({
    base_url: plain('Base URL with `/v1` of an OpenAI-compatible server.', 'http://vllm.internal:8000/v1'),
    api_key: hidden('Its key, where it asks for one.'),
  }),
});
