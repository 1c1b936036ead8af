import { Inject, Injectable } from '@nestjs/common';
import { MODEL_STATUSES, type explainQuerySchema, type incidentQuerySchema } from '@omg/contracts';
import { CLOSED_BREAKER, explainRoutes, type NoRoute, type PlannedRoute, type RouteHealthState, type RouteNeeds, type RouteState } from '@omg/domain';
import { getProvider, routeAbilities } from '@omg/providers';
import type { PrismaClient } from '@omg/database';
import type { CatalogContext } from '../config.js';
import type { Parsed } from '../http/paging.js';
import { CATALOG_CONTEXT, PRISMA } from '../http/tokens.js';
import { openEntry, type CatalogRow } from './catalog-body.js';
import { readRoutes, requireRoutes, visibleByAlias } from './model-catalog.queries.js';
import { RouteHealthReader } from './route-health.js';

export type ModelStatus = (typeof MODEL_STATUSES)[number];

/** How models stand and how requests would be routed. The rules are those that the edges decide with. */
@Injectable()
export class RoutingService {
  constructor(
    @Inject(PRISMA) private readonly prisma: PrismaClient,
    @Inject(CATALOG_CONTEXT) private readonly context: CatalogContext,
    private readonly health: RouteHealthReader,
  ) {}

  async statuses() {
    const [rows, health] = await Promise.all([readRoutes(this.prisma), this.health.states()]);
    const statuses = [...visibleByAlias(rows).values()].flatMap((routes) => {
      if (routes.length === 0) return [];
      const states = routes.filter((row) => row.enabled).map((row) => (openEntry(row, this.context).problem === null ? health(row.id) : 'down'));
      return [{ alias: routes[0]!.alias.alias, status: statusOf(states) }];
    });
    return { statuses };
  }

  /** Breakers are each edge's own and not part of this: an edge may leave out a route that looks eligible here. */
  async explain(query: Parsed<typeof explainQuerySchema>) {
    const [rows, health] = await Promise.all([requireRoutes(this.prisma, query.model), this.health.states()]);
    const problems = rows.map((row) => openEntry(row, this.context).problem);
    const planned = rows.map((row, index) => plannedRoute(row, problems[index] === null));
    const stateOf = (routeId: string): RouteState => ({ breaker: CLOSED_BREAKER, health: { state: health(routeId), validUntilMs: Number.POSITIVE_INFINITY } });
    const { routes, none } = explainRoutes(planned, needsOf(query), stateOf, Date.now());
    return {
      model: rows[0]!.alias.alias,
      operation: query.operation,
      outcome: outcomeOf(none),
      routes: rows.map((row, index) => {
        const verdict = routes[index]!;
        return {
          id: row.id,
          provider: row.provider,
          provider_model: row.providerModel,
          weight: row.weight,
          eligible: verdict.eligible,
          last_resort: verdict.lastResort,
          odds: verdict.odds,
          reason: verdict.reason,
          param: verdict.param,
          health: verdict.health,
          invalid_reason: problems[index] ?? undefined,
        };
      }),
    };
  }

  async incidents(query: Parsed<typeof incidentQuerySchema>) {
    const alias = query.alias?.toLowerCase();
    const found = (await this.health.incidents()).filter(
      (incident) => (alias === undefined || incident.alias.toLowerCase() === alias) && (!query.open || incident.endedAtMs === undefined),
    );
    const incidents = found.slice(0, query.limit).map((incident) => ({
      id: incident.id,
      route_id: incident.routeId,
      alias: incident.alias,
      provider: incident.provider,
      state: incident.state,
      reason: incident.reason,
      started_at: new Date(incident.startedAtMs).toISOString(),
      ended_at: incident.endedAtMs === undefined ? null : new Date(incident.endedAtMs).toISOString(),
    }));
    return { incidents };
  }
}

function needsOf(query: Parsed<typeof explainQuerySchema>): RouteNeeds {
  return {
    operation: query.operation,
    stream: query.stream,
    tools: query.tools,
    imageInput: query.image_input,
    jsonSchema: query.json_schema,
    logprobs: query.logprobs,
    choices: query.choices,
    tokenArrays: query.token_arrays,
    inputTokens: query.input_tokens,
  };
}

function plannedRoute(row: CatalogRow, usable: boolean): PlannedRoute {
  const definition = getProvider(row.provider);
  const nothing = {
    operations: new Set<never>(),
    stream: false,
    tools: false,
    imageInput: false,
    jsonSchema: false,
    logprobs: false,
    multipleChoices: false,
    tokenArrays: false,
    contextWindow: 0,
  };
  return {
    id: row.id,
    weight: row.weight,
    enabled: row.enabled,
    usable,
    abilities: definition ? routeAbilities({ ...row, settings: row.metadata }, definition) : nothing,
  };
}

/** Of the enabled routes' states. */
export function statusOf(states: readonly RouteHealthState[]): ModelStatus {
  if (states.length === 0) return 'disabled';
  if (states.every((state) => state === 'unknown')) return 'unknown';
  if (states.every((state) => state === 'healthy')) return 'online';
  // A route that nobody probed yet may work: only when all are down does the model certainly not.
  if (states.every((state) => state === 'down')) return 'offline';
  return states.some((state) => state === 'down' || state === 'degraded') ? 'degraded' : 'online';
}

const STATUS_OF: Record<NoRoute['why'], number> = { not_found: 404, operation: 400, parameter: 400, context_window: 400, unavailable: 503 };

function outcomeOf(none: NoRoute | undefined) {
  return none ? { status: STATUS_OF[none.why], why: none.why, param: none.param } : { status: 200 };
}
