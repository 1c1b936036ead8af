import { readMessagesRequest, toMessages } from '../anthropic/request.js';
import { unsupportedParameter } from '../kit/errors.js';
import type { ProviderCall, ProviderRoute } from '../spec/provider.js';

/** Claude as a partner model: Anthropic's own wire under Vertex's addresses and tokens. */
const DEFAULT_VERSION = 'vertex-2023-10-16';
const DEFAULT_MAX_TOKENS = 1024;

export function claudeBody(call: ProviderCall, route: ProviderRoute): Record<string, unknown> {
  const request = readMessagesRequest(call.json, false, call.maxOutputTokens);
  for (const [field, value] of Object.entries({ user: request.user, metadata: request.metadata, service_tier: request.serviceTier })) {
    if (value !== undefined && value !== 'auto') throw unsupportedParameter(field);
  }
  const body = toMessages(request, {
    model: route.providerModel,
    maxOutputTokens: route.maxOutputTokens,
    defaultMaxTokens: Number(route.settings.anthropic_default_max_tokens || DEFAULT_MAX_TOKENS),
    urlSources: true,
    nativeApi: false,
  });
  return { anthropic_version: route.settings.anthropic_version || DEFAULT_VERSION, ...body, stream: call.stream };
}
