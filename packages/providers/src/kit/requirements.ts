import type { ProviderCall, ProviderCapabilities } from '../spec/provider.js';
import { ProviderError } from '../spec/provider-error.js';
import { unsupportedParameter } from './errors.js';
import { isRecord } from './safe-json.js';

/** Refuses what a provider cannot do, by the field's name, before any call: nothing is dropped in silence. */
export function requireCapabilities(call: ProviderCall, capabilities: ProviderCapabilities): void {
  const { json } = call;
  if (call.operation === 'chat') requireChat(json, capabilities.chat);
  else if (call.operation === 'embeddings') requireEmbeddings(json, capabilities.embeddings);
  else requireImages(json, capabilities.images);
}

type Body = Readonly<Record<string, unknown>>;

function unsupportedOperation(operation: string): ProviderError {
  return new ProviderError('unsupported_parameter', { param: 'model', internal: `the provider has no ${operation}` });
}

function requireChat(json: Body, can: ProviderCapabilities['chat']): void {
  if (can === undefined) throw unsupportedOperation('chat');
  if (!can.stream && json['stream'] === true) throw unsupportedParameter('stream');
  if (!can.tools && isNonEmpty(json['tools'])) throw unsupportedParameter('tools');
  if (!can.jsonSchema && isRecord(json['response_format']) && json['response_format']['type'] === 'json_schema') throw unsupportedParameter('response_format');
  if (!can.reasoning && isGiven(json['reasoning_effort'])) throw unsupportedParameter('reasoning_effort');
  if (!can.logprobs && json['logprobs'] === true) throw unsupportedParameter('logprobs');
  if (!can.logprobs && isGiven(json['top_logprobs'])) throw unsupportedParameter('top_logprobs');
  if (!can.n && typeof json['n'] === 'number' && json['n'] > 1) throw unsupportedParameter('n');
  if (!can.imageInput && hasPart(json, 'image_url')) throw unsupportedParameter('messages');
}

function requireEmbeddings(json: Body, can: ProviderCapabilities['embeddings']): void {
  if (can === undefined) throw unsupportedOperation('embeddings');
  if (!can.dimensions && isGiven(json['dimensions'])) throw unsupportedParameter('dimensions');
  if (!can.tokenArrays && hasTokens(json['input'])) throw unsupportedParameter('input');
}

function requireImages(json: Body, can: ProviderCapabilities['images']): void {
  if (can === undefined) throw unsupportedOperation('images');
  if (!can.url && json['response_format'] === 'url') throw unsupportedParameter('response_format');
}

/** Refuses each of the fields that the request gives a value. */
export function refuseFields(json: Body, fields: readonly string[]): void {
  for (const field of fields) if (isGiven(json[field])) throw unsupportedParameter(field);
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function isNonEmpty(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0;
}

function hasTokens(input: unknown): boolean {
  return Array.isArray(input) && (typeof input[0] === 'number' || Array.isArray(input[0]));
}

/** Whether some message has a content part of this type, such as `image_url`. */
export function hasPart(json: Body, type: string): boolean {
  const messages = json['messages'];
  if (!Array.isArray(messages)) return false;
  return messages.some(
    (message) => isRecord(message) && Array.isArray(message['content']) && message['content'].some((part) => isRecord(part) && part['type'] === type),
  );
}

/** Refuses a `tool_choice` that the server would ignore: all but the ones named. */
export function refuseToolChoice(json: Body, served: readonly string[]): void {
  const choice = json['tool_choice'];
  if (isGiven(choice) && !served.includes(choice as string)) throw unsupportedParameter('tool_choice');
}

/** Refuses images by http(s) URL, for servers that only take the bytes. */
export function refuseRemoteImages(json: Body): void {
  const messages = json['messages'];
  if (!Array.isArray(messages)) return;
  for (const message of messages) {
    const content: unknown = isRecord(message) ? message['content'] : undefined;
    if (!Array.isArray(content)) continue;
    for (const part of content) {
      const image: unknown = isRecord(part) ? part['image_url'] : undefined;
      const url = isRecord(image) ? image['url'] : image;
      if (typeof url === 'string' && !url.startsWith('data:')) throw unsupportedParameter('messages');
    }
  }
}
