import { readBilled } from '../kit/consumed.js';
import { asVector, embeddingsBody, encodingFormatOf, textInputsOf } from '../kit/embeddings.js';
import { unsupportedParameter } from '../kit/errors.js';
import { inputOnly, mapLimit } from '../kit/map-limit.js';
import { refuseFields } from '../kit/requirements.js';
import { parseJsonObject } from '../kit/safe-json.js';
import type { JsonReply, ProviderCall, ProviderRoute } from '../spec/provider.js';
import { invalid } from '../kit/chat-messages.js';
import { bytesOf, run, type WireContext } from './client.js';
import type { ClientSettings } from './settings.js';
import { inputTokensOf } from './usage.js';

/** Titan takes one text per call; this many calls of one request run at a time. */
const PARALLEL_CALLS = 8;

interface Embedded {
  vector: number[];
  tokens: number | undefined;
}

/** One call per text, in order; after the first failure no further one is begun, and it is the request's failure. */
export async function embed(call: ProviderCall, route: ProviderRoute, settings: ClientSettings, wire: WireContext): Promise<JsonReply> {
  const inputs = textInputsOf(call.json);
  if (inputs.length === 0 || inputs.some((text) => text === '')) throw invalid('input');
  refuseFields(call.json, ['user']);
  const template = titanBody(call, route);
  const results = await mapLimit(
    inputs,
    PARALLEL_CALLS,
    (inputText) => embedOne({ ...template, inputText }, route.providerModel, settings, { ...wire }),
    ({ tokens }) => inputOnly(tokens),
  );
  const tokens = results.reduce<number | undefined>((sum, { tokens: one }) => (sum === undefined || one === undefined ? undefined : sum + one), 0);
  const meters = inputOnly(tokens);
  const body = embeddingsBody({ alias: call.alias, vectors: results.map(({ vector }) => vector), encoding: encodingFormatOf(call.json), meters });
  return { kind: 'json', body, meters, outputChars: 0 };
}

/** Version 1 has one size and no switch; version 2 takes both, from the request or from the catalog. */
function titanBody(call: ProviderCall, route: ProviderRoute): Record<string, unknown> {
  const { bedrock_embed_dims: dims, bedrock_embed_normalize: normalize } = route.settings;
  const asked = call.json.dimensions;
  if (asked !== undefined && asked !== null && (typeof asked !== 'number' || !Number.isInteger(asked) || asked < 1)) throw invalid('dimensions');
  const isFirstVersion = route.providerModel.includes('embed-text-v1') || route.providerModel.includes('embed-g1-text');
  if (isFirstVersion) {
    if (typeof asked === 'number') throw unsupportedParameter('dimensions');
    return {};
  }
  const dimensions = typeof asked === 'number' ? asked : dims ? Number(dims) : undefined;
  return {
    ...(dimensions === undefined ? {} : { dimensions }),
    normalize: normalize === 'true',
  };
}

async function embedOne(body: Record<string, unknown>, modelId: string, settings: ClientSettings, wire: WireContext): Promise<Embedded> {
  const input = { modelId, contentType: 'application/json', accept: 'application/json', body: Buffer.from(JSON.stringify(body)) };
  const output = await run(settings, wire, (client, sdk) => client.send(new sdk.InvokeModelCommand(input)));
  const answer = parseJsonObject(bytesOf(output.body), 'the answer');
  const tokens = typeof answer.inputTextTokenCount === 'number' ? answer.inputTextTokenCount : inputTokensOf(wire.headers);
  return { vector: readBilled(inputOnly(tokens), () => asVector(answer.embedding)), tokens };
}
