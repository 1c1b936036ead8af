import type { Operation } from './operation.js';

/** What a request asks of a route beyond its operation. */
export interface RouteNeeds {
  operation: Operation;
  stream: boolean;
  tools: boolean;
  imageInput: boolean;
  audioInput?: boolean;
  jsonSchema: boolean;
  logprobs: boolean;
  choices: number;
  tokenArrays: boolean;
  /** Input estimate and wanted output; compared with the context window where that is known. */
  inputTokens: number;
}

/** What a route can do: the provider's capabilities narrowed by its catalog entry. */
export interface RouteAbilities {
  operations: ReadonlySet<Operation>;
  stream: boolean;
  tools: boolean;
  imageInput: boolean;
  /** Absent: not known, the provider judges. */
  audioInput?: boolean;
  jsonSchema: boolean;
  logprobs: boolean;
  multipleChoices: boolean;
  tokenArrays: boolean;
  /** 0: not known. */
  contextWindow: number;
}

/** Why a route cannot serve a request; `param` names the request's field at fault. */
export interface Incapability {
  reason: 'operation' | 'parameter' | 'context_window';
  param?: string;
}

/** Undefined: the route can serve the request. */
export function incapability(needs: RouteNeeds, can: RouteAbilities): Incapability | undefined {
  if (!can.operations.has(needs.operation)) return { reason: 'operation' };
  if (needs.stream && !can.stream) return { reason: 'parameter', param: 'stream' };
  if (needs.tools && !can.tools) return { reason: 'parameter', param: 'tools' };
  if (needs.imageInput && !can.imageInput) return { reason: 'parameter', param: 'messages' };
  if (needs.audioInput && can.audioInput === false) return { reason: 'parameter', param: 'messages' };
  if (needs.jsonSchema && !can.jsonSchema) return { reason: 'parameter', param: 'response_format' };
  if (needs.logprobs && !can.logprobs) return { reason: 'parameter', param: 'logprobs' };
  if (needs.choices > 1 && !can.multipleChoices) return { reason: 'parameter', param: 'n' };
  if (needs.tokenArrays && !can.tokenArrays) return { reason: 'parameter', param: 'input' };
  if (can.contextWindow > 0 && needs.inputTokens > can.contextWindow) return { reason: 'context_window', param: 'messages' };
  return undefined;
}

export interface WeightedRoute {
  /** At least 1. */
  weight: number;
}

/**
 * Puts the list into a random order in which each next route is drawn by weight from those that remain: the first is the
 * weighted choice, the others are the failover order. In place, since every request does it. `random` returns numbers in [0, 1).
 */
export function orderByWeight<T extends WeightedRoute>(routes: T[], random: () => number): T[] {
  const last = routes.length - 1;
  let total = 0;
  for (let i = 0; i <= last; i++) total += routes[i]!.weight;
  for (let place = 0; place < last; place++) {
    let draw = random() * total;
    let index = place;
    while (index < last && draw >= routes[index]!.weight) draw -= routes[index++]!.weight;
    const chosen = routes[index]!;
    total -= chosen.weight;
    routes[index] = routes[place]!;
    routes[place] = chosen;
  }
  return routes;
}

/** Chance of each route to be tried first. */
export function firstChoiceOdds<T extends WeightedRoute>(routes: readonly T[]): number[] {
  const total = routes.reduce((sum, route) => sum + route.weight, 0);
  return routes.map((route) => route.weight / total);
}
