import { randomBytes, randomUUID } from 'node:crypto';
import type { UsageEvent } from '@omg/contracts';
import { uuidV7 } from '@omg/domain';

/** Events as an edge sends them, for tests. */

export function attemptId(atMs: number): string {
  return uuidV7(atMs, randomBytes(10));
}

export interface EventFixture extends Partial<Omit<UsageEvent, 'v'>> {
  /** Time of the admission; default: now. */
  atMs?: number;
}

/** A chat call that cost 1 500 nano-USD for 10 + 5 tokens, unless told otherwise. */
export function usageEvent(fixture: EventFixture = {}): UsageEvent {
  const { atMs = Date.now(), ...rest } = fixture;
  return {
    v: 1,
    id: attemptId(atMs),
    requestId: randomUUID(),
    tenantId: randomUUID(),
    apiKeyId: randomUUID(),
    operation: 'chat',
    modelAlias: 'assistant',
    routeId: randomUUID(),
    provider: 'demo',
    providerModel: 'demo-large',
    stream: false,
    status: 200,
    latencyMs: 12.5,
    meters: { inputTokens: 10, outputTokens: 5 },
    usageSource: 'provider',
    costNano: '1500',
    costComponents: { input: '1000', output: '500' },
    holdNano: '4000',
    endedAtMs: atMs + 13,
    ...rest,
  };
}
