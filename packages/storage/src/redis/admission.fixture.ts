import { randomBytes } from 'node:crypto';
import { uuidV7 } from '@omg/domain';
import type { AdmitRequest, SettleRequest } from './admission.types.js';

/** Builders for the tests of this folder. */

export const newId = (): string => uuidV7(Date.now(), randomBytes(10));

export const WIDE_LIMITS = { requestsPerMinute: 1_000_000, tokensPerMinute: 1_000_000_000, parallelRequests: 1_000_000 };

export interface Caller {
  tenantId: string;
  keyId: string;
}

export const newCaller = (): Caller => ({ tenantId: newId(), keyId: newId() });

export function admitRequest(caller: Caller, change: Partial<AdmitRequest> = {}): AdmitRequest {
  return {
    attemptId: newId(),
    ...caller,
    limits: { key: WIDE_LIMITS, tenant: WIDE_LIMITS },
    estimatedTokens: 10,
    holdNano: 1_000n,
    holdMinNano: 0n,
    budgets: { tenant: { windowId: 'calendar_month:2026-11-01', windowEndMs: Date.now() + 86_400_000, limitNano: 1_000_000_000n } },
    unseededAllowanceNano: 1_000_000_000n,
    leaseMs: 60_000,
    attempt: '{"v":1}',
    ...change,
  };
}

export function settleRequest(admitted: AdmitRequest, change: Partial<SettleRequest> = {}): SettleRequest {
  const { attemptId, tenantId, keyId, budgets } = admitted;
  return { attemptId, tenantId, keyId, budgets, tokens: 10, costNano: 500n, event: `{"v":1,"id":"${attemptId}"}`, ...change };
}
