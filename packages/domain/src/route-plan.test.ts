import { describe, expect, it } from '@jest/globals';
import { fc, seeded } from '@omg/testkit/properties';
import { CLOSED_BREAKER, type BreakerState } from './breaker.js';
import { capableRoutes, explainRoutes, planRoutes, type NoRoute, type PlannedRoute, type RouteHealthState, type RouteState } from './route-plan.js';
import { orderByWeight, type RouteAbilities, type RouteNeeds } from './routing.js';

const NEEDS: RouteNeeds = {
  operation: 'chat',
  stream: false,
  tools: false,
  imageInput: false,
  jsonSchema: false,
  logprobs: false,
  choices: 1,
  tokenArrays: false,
  inputTokens: 100,
};
const ALL: RouteAbilities = {
  operations: new Set(['chat', 'embeddings', 'images'] as const),
  stream: true,
  tools: true,
  imageInput: true,
  jsonSchema: true,
  logprobs: true,
  multipleChoices: true,
  tokenArrays: true,
  contextWindow: 0,
};
const OPEN: BreakerState = { generation: 1, consecutiveFailures: 3, openUntilMs: 5000, probeUntilMs: undefined };

function route(id: string, over: Partial<PlannedRoute> = {}, abilities: Partial<RouteAbilities> = {}): PlannedRoute {
  return { id, weight: 100, enabled: true, usable: true, ...over, abilities: { ...ALL, ...abilities } };
}

interface Asked {
  routes: PlannedRoute[];
  needs: RouteNeeds;
  stateOf: (id: string) => RouteState | undefined;
  nowMs: number;
}

function input(
  routes: PlannedRoute[],
  over: Partial<{ needs: Partial<RouteNeeds>; health: Record<string, RouteHealthState>; breakers: Record<string, BreakerState>; nowMs: number }> = {},
): Asked {
  const stateOf = (id: string): RouteState | undefined => {
    const state = over.health?.[id];
    const breaker = over.breakers?.[id];
    if (state === undefined && breaker === undefined) return undefined;
    return { breaker: breaker ?? CLOSED_BREAKER, health: state && { state, validUntilMs: Number.MAX_SAFE_INTEGER } };
  };
  return { routes, needs: { ...NEEDS, ...over.needs }, stateOf, nowMs: over.nowMs ?? 1000 };
}

/** Both steps of a request. */
function plan({ routes, needs, stateOf, nowMs }: Asked, random: () => number): { order: readonly PlannedRoute[]; none?: NoRoute } {
  const capable = capableRoutes(routes, needs);
  return capable.none ? { order: [], none: capable.none } : { order: planRoutes(capable.routes, stateOf, nowMs, random) };
}

const explain = ({ routes, needs, stateOf, nowMs }: Asked): ReturnType<typeof explainRoutes> => explainRoutes(routes, needs, stateOf, nowMs);

describe('the order of routes', () => {
  it('holds every eligible route exactly once, whatever the weights and the chance', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 1_000_000 }), { minLength: 1, maxLength: 64 }), fc.nat(), (weights, seed) => {
        const routes = weights.map((weight, i) => route(`r${i}`, { weight }));
        const { order, none } = plan(input(routes), seeded(seed));
        expect(none).toBeUndefined();
        expect(order.map(({ id }) => id).sort()).toEqual(routes.map(({ id }) => id).sort());
      }),
    );
  });

  it('gives each route its share of first choices', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 2, maxLength: 6 }), fc.nat(), (weights, seed) => {
        const routes = weights.map((weight, i) => route(`r${i}`, { weight }));
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        const random = seeded(seed);
        const draws = 4000;
        const first = new Map<string, number>();
        for (let i = 0; i < draws; i++) {
          const id = plan(input(routes), random).order[0]!.id;
          first.set(id, (first.get(id) ?? 0) + 1);
        }
        for (const { id, weight } of routes) {
          const share = weight / total;
          // Six standard deviations: wrong odds are found, chance is not.
          expect(Math.abs((first.get(id) ?? 0) / draws - share)).toBeLessThan(6 * Math.sqrt((share * (1 - share)) / draws));
        }
      }),
      { numRuns: 25 },
    );
  });

  it('draws the failover by weight among those that remain', () => {
    const random = seeded(7);
    let second = 0;
    let count = 0;
    for (let i = 0; i < 20_000; i++) {
      const order = orderByWeight(
        [
          { id: 'a', weight: 1 },
          { id: 'b', weight: 1 },
          { id: 'c', weight: 3 },
        ],
        random,
      );
      if (order[0]!.id !== 'a') continue;
      count++;
      if (order[1]!.id === 'c') second++;
    }
    expect(second / count).toBeCloseTo(0.75, 1);
  });

  it('never goes wrong at the edges of chance', () => {
    for (const value of [0, 1 - Number.EPSILON / 2]) {
      expect(plan(input([route('a', { weight: 1 }), route('b', { weight: 3 })]), () => value).order).toHaveLength(2);
    }
  });

  it('puts routes that the monitor saw down behind the others, and uses them when nothing else is left', () => {
    const routes = [route('bad', { weight: 1_000_000 }), route('good', { weight: 1 })];
    expect(plan(input(routes, { health: { bad: 'down' } }), seeded(1)).order.map(({ id }) => id)).toEqual(['good', 'bad']);
    expect(plan(input([routes[0]!], { health: { bad: 'down' } }), seeded(1)).order).toHaveLength(1);
  });
});

describe('a route whose cooldown is over', () => {
  it('gets its share of first choices for the one probing request, also when the monitor saw it down', () => {
    const asked = input([route('bad', { weight: 1_000_000 }), route('good', { weight: 1 })], {
      health: { bad: 'down' },
      breakers: { bad: OPEN },
      nowMs: OPEN.openUntilMs!,
    });
    expect(plan(asked, seeded(1)).order.map(({ id }) => id)).toEqual(['bad', 'good']);
    const running = input(asked.routes, { health: { bad: 'down' }, breakers: { bad: { ...OPEN, probeUntilMs: 6000 } }, nowMs: OPEN.openUntilMs! });
    expect(plan(running, seeded(1)).order.map(({ id }) => id)).toEqual(['good']);
  });
});

describe('a route is left out', () => {
  const reasonOf = (routes: PlannedRoute[], over: Parameters<typeof input>[1] = {}): unknown => {
    const { eligible, reason, param, waitMs } = explain(input(routes, over)).routes[0]!;
    return eligible ? 'eligible' : { reason, ...(param === undefined ? {} : { param }), ...(waitMs === undefined ? {} : { waitMs }) };
  };

  it.each([
    [{ enabled: false }, {}, {}, { reason: 'disabled' }],
    [{}, { operations: new Set(['embeddings'] as const) }, {}, { reason: 'operation' }],
    [{}, { stream: false }, { stream: true }, { reason: 'parameter', param: 'stream' }],
    [{}, { tools: false }, { tools: true }, { reason: 'parameter', param: 'tools' }],
    [{}, { imageInput: false }, { imageInput: true }, { reason: 'parameter', param: 'messages' }],
    [{}, { jsonSchema: false }, { jsonSchema: true }, { reason: 'parameter', param: 'response_format' }],
    [{}, { logprobs: false }, { logprobs: true }, { reason: 'parameter', param: 'logprobs' }],
    [{}, { multipleChoices: false }, { choices: 2 }, { reason: 'parameter', param: 'n' }],
    [{}, { tokenArrays: false }, { tokenArrays: true }, { reason: 'parameter', param: 'input' }],
    [{}, { contextWindow: 99 }, {}, { reason: 'context_window', param: 'messages' }],
    [{}, { contextWindow: 100 }, {}, 'eligible'],
    [{}, { tools: false }, {}, 'eligible'],
    [{ usable: false }, {}, {}, { reason: 'invalid' }],
  ])('when %j %j cannot serve %j: %j', (over, abilities, needs, expected) => {
    expect(reasonOf([route('a', over, abilities)], { needs })).toEqual(expected);
  });

  it('while its breaker is open, with the time to wait; half-open it is tried by one request', () => {
    const routes = [route('a')];
    expect(reasonOf(routes, { breakers: { a: OPEN } })).toEqual({ reason: 'breaker_open', waitMs: 4000 });
    expect(reasonOf(routes, { breakers: { a: OPEN }, nowMs: 5000 })).toBe('eligible');
    expect(reasonOf(routes, { breakers: { a: { ...OPEN, probeUntilMs: 6000 } }, nowMs: 5000 })).toEqual({ reason: 'probe_running', waitMs: 1000 });
  });

  it('never because of the monitor alone, and the monitor cannot close a breaker', () => {
    const routes = [route('a')];
    for (const health of ['healthy', 'degraded', 'down', 'unknown'] as const) expect(reasonOf(routes, { health: { a: health } })).toBe('eligible');
    expect(reasonOf(routes, { health: { a: 'healthy' }, breakers: { a: OPEN } })).toMatchObject({ reason: 'breaker_open' });
  });
});

describe('when no route is left', () => {
  const none = (routes: PlannedRoute[], over: Parameters<typeof input>[1] = {}): unknown => explain(input(routes, over)).none;

  it('says why in the order of what helps the client most', () => {
    const failing = route('failing');
    const toolless = route('toolless', {}, { tools: false });
    const small = route('small', {}, { contextWindow: 10 });
    const other = route('other', {}, { operations: new Set(['images'] as const) });
    const off = route('off', { enabled: false });
    const over = { needs: { tools: true }, breakers: { failing: OPEN } };
    expect(none([off, other, toolless, small, failing], over)).toEqual({ why: 'unavailable', retryAfterMs: 4000 });
    expect(none([off, other, toolless, small], over)).toEqual({ why: 'context_window', param: 'messages' });
    expect(none([off, other, toolless], over)).toEqual({ why: 'parameter', param: 'tools' });
    expect(none([off, other], over)).toEqual({ why: 'operation' });
    expect(none([off], over)).toEqual({ why: 'not_found' });
    expect(none([], over)).toEqual({ why: 'not_found' });
    expect(none([off, other, route('broken', { usable: false })], over)).toEqual({ why: 'unavailable' });
  });

  it('tells the soonest time at which one may be tried', () => {
    expect(none([route('a'), route('b')], { breakers: { a: OPEN, b: { ...OPEN, openUntilMs: 3000 } } })).toEqual({ why: 'unavailable', retryAfterMs: 2000 });
  });
});

describe('an explanation', () => {
  it('shows every route with its odds, which sum up to one among the eligible', () => {
    const routes = [route('a', { weight: 1 }), route('b', { weight: 3 }), route('off', { enabled: false }), route('slow')];
    const { routes: verdicts } = explain(input(routes, { health: { slow: 'down' }, breakers: { a: CLOSED_BREAKER } }));
    expect(verdicts.map(({ routeId, odds }) => [routeId, odds])).toEqual([
      ['a', 0.25],
      ['b', 0.75],
      ['off', 0],
      ['slow', 0],
    ]);
    expect(verdicts[3]).toMatchObject({ eligible: true, lastResort: true, health: 'down', breaker: 'closed' });
  });

  it('agrees with the plan about who is eligible', () => {
    const arbitrary = fc.record({
      enabled: fc.boolean(),
      usable: fc.boolean(),
      tools: fc.boolean(),
      health: fc.constantFrom('healthy', 'degraded', 'down', 'unknown'),
      open: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(arbitrary, { maxLength: 8 }), fc.nat(), (specs, seed) => {
        const routes = specs.map(({ enabled, usable, tools }, i) => route(String(i), { enabled, usable }, { tools }));
        const asked = input(routes, {
          needs: { tools: true },
          health: Object.fromEntries(specs.map(({ health }, i) => [String(i), health as RouteHealthState])),
          breakers: Object.fromEntries(specs.map(({ open }, i) => [String(i), open ? OPEN : CLOSED_BREAKER])),
        });
        const explained = explain(asked);
        const { order, none } = plan(asked, seeded(seed));
        expect(order.map(({ id }) => id).sort()).toEqual(explained.routes.filter(({ eligible }) => eligible).map(({ routeId }) => routeId));
        if (none) expect(explained.none).toEqual(none);
        expect(explained.none?.why === 'unavailable').toBe(none === undefined && order.length === 0);
        const odds = explained.routes.reduce((sum, verdict) => sum + verdict.odds, 0);
        expect(odds).toBeCloseTo(order.length > 0 ? 1 : 0);
      }),
    );
  });
});
