import type { Caller } from '../../context.js';
import { modelNotFound, requireScope } from '../../steps/authorize.js';
import type { ConfigSnapshot, ModelEntry } from '../../../snapshot/config-snapshot.js';

/** One entry of `GET /v1/models`: OpenAI's fields and what an operator's users want to know about the alias. */
export interface ModelListing {
  id: string;
  object: 'model';
  created: number;
  owned_by: string;
  provider: string;
  deployment: string;
  enabled: true;
  metadata: Record<string, unknown>;
}

/** The models that the caller may use, sorted by alias. */
export function listModels(caller: Caller, snapshot: ConfigSnapshot): { object: 'list'; data: ModelListing[] } {
  requireScope(caller, 'models');
  const allowed = caller.tenant.allowedModels;
  const models = snapshot.listModels().filter((model) => !allowed || allowed.has(model.alias.toLowerCase()));
  return { object: 'list', data: models.map(listing) };
}

/** One model; 404 when it is unknown, disabled or not the caller's, which must look the same. */
export function getModel(caller: Caller, snapshot: ConfigSnapshot, alias: string): ModelListing {
  requireScope(caller, 'models');
  const allowed = caller.tenant.allowedModels;
  const model = snapshot.model(alias);
  if (!model || (allowed && !allowed.has(model.alias.toLowerCase()))) throw modelNotFound(alias);
  return listing(model);
}

/** Only named fields leave: the catalog's own metadata may hold credentials. */
function listing(model: ModelEntry): ModelListing {
  const first = model.routes[0]!.doc;
  return {
    id: model.alias,
    object: 'model',
    created: model.createdUnix,
    owned_by: first.provider,
    provider: first.provider,
    deployment: first.deployment,
    enabled: true,
    metadata: {
      provider_model: first.providerModel,
      model_type: first.modelType,
      modalities: first.modalities,
      context_window: first.contextWindow,
      max_output_tokens: first.maxOutputTokens,
      supports_tools: first.supportsTools,
      ...(first.settings.region ? { region: first.settings.region } : {}),
      routes: model.routes.length,
    },
  };
}
