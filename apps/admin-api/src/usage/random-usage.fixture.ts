import { uuidV7 } from '@omg/domain';
import type { PrismaClient } from '@omg/database';
import { seeded } from '@omg/testkit/properties';
import { randomBytes } from 'node:crypto';

/** Random usage rows and their rollups, booked as the recorder books them. */
export interface RandomUsage {
  tenantIds: string[];
  keyIds: string[];
  models: readonly string[];
}

export interface UsageRow {
  atMs: number;
  tenantId: string;
  apiKeyId: string;
  model: string;
  inputTokens: number;
  outputTokens: number;
  costNano: bigint | null;
}

const QUARTER_MS = 900_000;
const random = seeded();

/** Inserts usage rows and adds them to the rollups, in one transaction. */
export async function bookUsage(prisma: PrismaClient, rows: readonly UsageRow[]): Promise<void> {
  const json = JSON.stringify(
    rows.map((row) => ({
      id: uuidV7(row.atMs, randomBytes(10)),
      at: new Date(row.atMs).toISOString(),
      bucket: new Date(Math.floor(row.atMs / QUARTER_MS) * QUARTER_MS).toISOString(),
      tenant_id: row.tenantId,
      api_key_id: row.apiKeyId,
      model: row.model,
      input: row.inputTokens,
      output: row.outputTokens,
      cost: row.costNano?.toString() ?? null,
    })),
  );
  await prisma.$transaction([
    prisma.$executeRaw`
      INSERT INTO usage_records (id, ts, booked_at, tenant_id, api_key_id, operation, model_alias, provider, input_tokens, output_tokens, meters, usage_source, cost_nano)
      SELECT id, at, at, tenant_id, api_key_id, 'chat', model, 'fake', input, output, '{}', 'provider', cost
      FROM jsonb_to_recordset(${json}::jsonb) AS e(id uuid, at timestamptz, tenant_id uuid, api_key_id uuid, model text, input int, output int, cost bigint)`,
    prisma.$executeRaw`
      INSERT INTO usage_rollups AS r (bucket, tenant_id, api_key_id, model_alias, provider, requests, input_tokens, output_tokens, cached_input_tokens, reasoning_tokens, images, cost_nano, unpriced)
      SELECT bucket, tenant_id, api_key_id, model, 'fake', count(*), sum(input), sum(output), 0, 0, 0, coalesce(sum(cost), 0), count(*) FILTER (WHERE cost IS NULL)
      FROM jsonb_to_recordset(${json}::jsonb) AS e(bucket timestamptz, tenant_id uuid, api_key_id uuid, model text, input int, output int, cost bigint)
      GROUP BY 1, 2, 3, 4
      ON CONFLICT (tenant_id, bucket, api_key_id, model_alias, provider) DO UPDATE SET requests = r.requests + EXCLUDED.requests, input_tokens = r.input_tokens + EXCLUDED.input_tokens,
        output_tokens = r.output_tokens + EXCLUDED.output_tokens, cost_nano = r.cost_nano + EXCLUDED.cost_nano, unpriced = r.unpriced + EXCLUDED.unpriced`,
  ]);
}

export function randomRows(usage: RandomUsage & { keyTenant: ReadonlyMap<string, string> }, count: number, fromMs: number, toMs: number): UsageRow[] {
  return Array.from({ length: count }, () => {
    const apiKeyId = pick(usage.keyIds);
    return {
      atMs: Math.floor(fromMs + random() * (toMs - fromMs)),
      tenantId: usage.keyTenant.get(apiKeyId)!,
      apiKeyId,
      model: pick(usage.models),
      inputTokens: Math.floor(random() * 5_000),
      outputTokens: Math.floor(random() * 2_000),
      costNano: random() < 0.05 ? null : BigInt(Math.floor(random() * 30_000_000)),
    };
  });
}

function pick<T>(items: readonly T[]): T {
  return items[Math.floor(random() * items.length)]!;
}
