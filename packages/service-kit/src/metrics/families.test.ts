import { describe, expect, it } from '@jest/globals';
import { Metrics } from './metrics.js';

const metrics = () => new Metrics({ service: 't', version: '1' }, { runtime: false });

describe('metric families', () => {
  it('print what Prometheus reads: counters, gauges and cumulative histogram buckets', async () => {
    const m = metrics();
    m.counter({ name: 'a_total', help: 'A.', labelNames: ['x'] })
      .child('1')
      .inc(2);
    m.gauge({ name: 'b', help: 'B.' }).child().set(-1.5);
    const h = m.histogram({ name: 'c_seconds', help: 'C.', labelNames: ['x'], buckets: [1, 2] }).child('q"');
    for (const value of [0.5, 1, 1.5, 9]) h.observe(value);
    const text = await m.scrape();
    expect(text).toContain('# TYPE open_model_gateway_a_total counter\nopen_model_gateway_a_total{x="1"} 2');
    expect(text).toContain('open_model_gateway_b -1.5');
    expect(text).toContain('open_model_gateway_c_seconds_bucket{x="q\\"",le="1"} 2');
    expect(text).toContain('open_model_gateway_c_seconds_bucket{x="q\\"",le="2"} 3');
    expect(text).toContain('open_model_gateway_c_seconds_bucket{x="q\\"",le="+Inf"} 4');
    expect(text).toContain('open_model_gateway_c_seconds_sum{x="q\\""} 12');
  });

  it('hold a bounded number of series and count the rest under other', async () => {
    const m = metrics();
    const family = m.counter({ name: 'd_total', help: 'D.', labelNames: ['model', 'provider'], seriesMax: 3 });
    for (let index = 0; index < 50; index++) family.child(`m${index}`, 'p').inc();
    const text = await m.scrape();
    expect(text.match(/^open_model_gateway_d_total\{/gm)).toHaveLength(4);
    expect(text).toContain('open_model_gateway_d_total{model="other",provider="other"} 47');
    expect(family.child('m0', 'p').value).toBe(1);
  });

  it('begin a forgotten series anew, and leave those that share a label with it alone', async () => {
    const family = metrics().counter({ name: 'calls_total', help: 'Calls.', labelNames: ['model', 'status'] });
    family.child('chat', '200').inc(3);
    family.child('chat', '500').inc(2);
    family.remove('chat', '200');
    family.child('chat', '200').inc();
    const values = (await family.get()).values.map(({ labels, value }) => [labels['status'], value]);
    expect(values).toEqual([
      ['500', 2],
      ['200', 1],
    ]);
    family.reset();
    family.child('chat', '500').inc();
    expect((await family.get()).values.map(({ value }) => value)).toEqual([1]);
    expect(() => family.child('chat')).toThrow('takes 2 labels, not 1');
  });

  it('give the same child for the same labels, so that it can be kept', () => {
    const family = metrics().counter({ name: 'e_total', help: 'E.', labelNames: ['x'] });
    expect(family.child('1')).toBe(family.child('1'));
    expect(() => family.child()).toThrow('takes 1 labels');
  });
});
