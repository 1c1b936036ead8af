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
 * A random order in which each next route is drawn by weight from those that remain: the first is the weighted choice,
 * the others are the failover order. `random` returns numbers in [0, 1).
 */
export function weightedOrder<T extends WeightedRoute>(routes: readonly T[], random: () => number): T[] {
  if (routes.length <= 1) return [...routes];
  const remaining = [...routes];
  const order: T[] = [];
  let total = remaining.reduce((sum, route) => sum + route.weight, 0);
  while (remaining.length > 1) {
    let draw = random() * total;
    let index = 0;
    while (index < remaining.length - 1 && draw >= remaining[index]!.weight) draw -= remaining[index++]!.weight;
    const [chosen] = remaining.splice(index, 1);
    total -= chosen!.weight;
    order.push(chosen!);
  }
  order.push(remaining[0]!);
  return order;
}

/** Chance of each route to be tried first. */
export function firstChoiceOdds<T extends WeightedRoute>(routes: readonly T[]): number[] {
  const total = routes.reduce((sum, route) => sum + route.weight, 0);
  return routes.map((route) => route.weight / total);
}
