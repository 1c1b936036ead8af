import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { AdminError, type routeTestInputSchema } from '@omg/contracts';
import { getProvider, ProviderError, routeAbilities, smallestCall } from '@omg/providers';
import type { ConfigOf } from '@omg/service-kit';
import type { PrismaClient } from '@omg/database';
import { createTransport, type UpstreamTransport } from '@omg/upstream';
import { audit } from '../audit/audit.js';
import type { CatalogContext } from '../config.js';
import { actorOf } from '../http/actor.js';
import type { Parsed } from '../http/paging.js';
import type { Principal } from '../http/principal.js';
import { ADMIN_CONFIG, CATALOG_CONTEXT, PRISMA } from '../http/tokens.js';
import { openEntry, type CatalogRow } from './catalog-body.js';
import { settingsOf } from './catalog-route.js';
import { requireRoutes } from './model-catalog.queries.js';
import { RouteCheck } from './route-check.js';

const TEST_MAX_MS = 20_000;
const PARALLEL_MAX = 4;

interface Outcome {
  ok: boolean;
  error?: string;
  upstream_status?: number;
  reason?: string;
}

/**
 * Tries saved routes over the same guarded sockets that the edges use. `probe` is the provider's own health check and costs
 * nothing; `call` sends the smallest request that the model takes. Answers hold classes of failures, never provider text.
 */
@Injectable()
export class RouteTester implements OnModuleDestroy {
  private readonly transport: UpstreamTransport;

  constructor(
    @Inject(ADMIN_CONFIG) config: ConfigOf<'security'>,
    @Inject(PRISMA) private readonly prisma: PrismaClient,
    @Inject(CATALOG_CONTEXT) private readonly context: CatalogContext,
    private readonly check: RouteCheck,
  ) {
    this.transport = createTransport({ connections: 2, allowlist: config.security.upstreamAllowlist, connectTimeoutMs: 5000 });
  }

  async onModuleDestroy(): Promise<void> {
    await this.transport.close();
  }

  async test(caller: Principal, alias: string, input: Parsed<typeof routeTestInputSchema>) {
    const rows = await requireRoutes(this.prisma, alias, input.id);
    const results = await inParallel(rows, async (row) => {
      const startedMs = performance.now();
      const outcome = await this.testOne(row, input.mode);
      return {
        id: row.id,
        provider: row.provider,
        provider_model: row.providerModel,
        latency_ms: Math.round((performance.now() - startedMs) * 10) / 10,
        ...outcome,
      };
    });
    await this.prisma.$transaction((tx) =>
      audit(tx, {
        actor: actorOf(caller),
        action: 'model_catalog.test',
        resource: 'model',
        resourceId: rows[0]!.alias.alias,
        metadata: { mode: input.mode, results: results.map(({ id, ok, error }) => ({ id, ok, ...(error && { error }) })) },
      }),
    );
    return { alias: rows[0]!.alias.alias, results };
  }

  private async testOne(row: CatalogRow, mode: 'probe' | 'call'): Promise<Outcome> {
    const { entry, problem } = openEntry(row, this.context);
    const definition = getProvider(row.provider);
    if (!entry || !definition || problem !== null) return { ok: false, error: 'invalid', reason: problem ?? 'unknown provider' };
    const signal = AbortSignal.timeout(TEST_MAX_MS);
    const context = { transport: this.transport, signal, timeoutMs: TEST_MAX_MS };
    try {
      this.check.requireUsable(row.id, entry, definition);
      const adapter = this.check.build(row.id, entry, definition, settingsOf(entry, this.context).settings);
      if (mode === 'call') {
        const operation = [...routeAbilities(row, definition).operations][0];
        if (!operation) return { ok: false, error: 'invalid', reason: 'the model type and modalities leave nothing to call' };
        await adapter.invoke(smallestCall(operation, row.alias.alias, context));
      } else if (adapter.probe) await adapter.probe(context);
      else return { ok: false, error: 'not_probeable' };
      return { ok: true };
    } catch (error) {
      if (error instanceof ProviderError) return { ok: false, error: error.kind, ...(error.status !== undefined && { upstream_status: error.status }) };
      if (error instanceof AdminError) return { ok: false, error: 'invalid', reason: error.message };
      return { ok: false, error: signal.aborted ? 'timeout' : 'network' };
    }
  }
}

async function inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let start = 0; start < items.length; start += PARALLEL_MAX) results.push(...(await Promise.all(items.slice(start, start + PARALLEL_MAX).map(work))));
  return results;
}
