import { nanoUsdFromUsd, type NanoUsd } from '@omg/domain';
import type { ConfigOf } from '@omg/service-kit';
import { getHeapStatistics } from 'node:v8';

export const EDGE_SECTIONS = [
  'server',
  'redis',
  'nats',
  'secrets',
  'security',
  'budgets',
  'health',
  'retention',
  'edge',
  'metering',
  'profile',
  'observability',
] as const;

export type EdgeFileConfig = ConfigOf<(typeof EDGE_SECTIONS)[number]>;

/** The settings that the pipeline reads, in its own words and units. */
export interface EdgeConfig {
  apiKeyPepper: string;
  bodyBytesMax: number;
  /** Of all bodies together. */
  bodyMemoryBytes: number;
  jsonDepthMax: number;
  /** Objects, arrays and member names of one body. */
  jsonPartsMax: number;
  responseBytesMax: number;
  inFlightMax: number;
  syncTimeoutMs: number;
  providerTimeoutMs: number;
  streamIdleTimeoutMs: number;
  streamMaxDurationMs: number;
  clientWriteTimeoutMs: number;
  leaseMs: number;
  /** False under `retention.zero_retention`: no answer is stored for a replay. */
  keepsAnswers: boolean;
  holdOutputTokensDefault: number;
  unseededAllowanceNano: NanoUsd;
  offlineAllowanceNano: NanoUsd;
}

/** Deeper JSON than any tool schema has; the bound keeps hostile bodies cheap. */
const JSON_DEPTH_MAX = 128;
/** Far more than the longest conversation with the most tools has, and few enough that a body of nothing else is parsed in a moment. */
const JSON_PARTS_MAX = 100_000;
const MIB = 1024 * 1024;
/** Image answers carry megabytes of base64. */
const RESPONSE_BYTES_MAX = 64 * MIB;

export function edgeConfigOf(file: EdgeFileConfig): EdgeConfig {
  return {
    apiKeyPepper: file.secrets.apiKeyPepper,
    bodyBytesMax: file.server.bodyLimitMb * MIB,
    bodyMemoryBytes: bodyMemoryBytes(file),
    jsonDepthMax: JSON_DEPTH_MAX,
    jsonPartsMax: JSON_PARTS_MAX,
    responseBytesMax: RESPONSE_BYTES_MAX,
    inFlightMax: file.edge.maxInFlight,
    syncTimeoutMs: file.server.syncTimeoutMs,
    providerTimeoutMs: file.server.providerTimeoutMs,
    streamIdleTimeoutMs: file.server.streamIdleTimeoutMs,
    streamMaxDurationMs: file.server.streamMaxDurationMs,
    // A client that reads nothing for as long as a provider may be silent is gone.
    clientWriteTimeoutMs: file.server.streamIdleTimeoutMs,
    leaseMs: file.edge.leaseMs,
    keepsAnswers: !file.retention.zeroRetention,
    holdOutputTokensDefault: file.budgets.defaultOutputTokens,
    unseededAllowanceNano: nanoUsdFromUsd(file.edge.unseededAllowanceUsd),
    offlineAllowanceNano: nanoUsdFromUsd(file.edge.offlineAllowanceUsd),
  };
}

/** Text and tree of a body take several times its size. */
const HEAP_SHARE = 1 / 8;

function bodyMemoryBytes({ edge, server }: EdgeFileConfig): number {
  if (edge.bodyMemoryMb > 0) return edge.bodyMemoryMb * MIB;
  return Math.max(Math.floor(getHeapStatistics().heap_size_limit * HEAP_SHARE), server.bodyLimitMb * MIB);
}
