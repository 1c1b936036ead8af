import { describe, expect, it } from '@jest/globals';
import { Metrics } from '@omg/service-kit';
import type { RequestContext } from './data-plane/context.js';
import { EdgeMetrics } from './edge-metrics.js';

function call(tenant: number): RequestContext {
  return {
    request: { method: 'POST' },
    endpoint: { path: '/v1/chat/completions' },
    caller: { tenant: { doc: { id: `id-${tenant}`, name: `tenant-${tenant}` } } },
    attempts: [],
    status: 200,
    event: { modelAlias: 'chat', provider: 'openai', status: 200, stream: false, meters: { inputTokens: 3, outputTokens: 2 }, costNano: '0' },
  } as unknown as RequestContext;
}

describe('usage metrics', () => {
  it('name the tenant, for a bounded number of them, and the model for all', async () => {
    const metrics = new Metrics({ service: 'edge-gateway', version: '0' });
    const none = (): number => 0;
    const edge = new EdgeMetrics(metrics, { inFlight: none, bodyBytes: none, queuedEvents: none, overflowedEvents: none, spoolBytes: none, routes: () => [] });
    for (let tenant = 0; tenant < 200; tenant++) edge.onRequest(call(tenant), 10);
    const text = await metrics.scrape();
    const prompts = [...text.matchAll(/api_tokens_total\{tenant="([^"]+)",model="chat",provider="openai",type="prompt"\} (\d+)/g)];
    expect(prompts).toHaveLength(51);
    expect(prompts.find(([, tenant]) => tenant === 'tenant-7')![2]).toBe('3');
    expect(prompts.find(([, tenant]) => tenant === 'other')![2]).toBe(String(150 * 3));
    expect(text).toMatch(/api_request_duration_seconds_count\{tenant="tenant-7",model="chat",provider="openai",status="200"\} 1/);
  });
});
