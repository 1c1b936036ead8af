import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { cleanUp, startStack, TEST_KEY, waitFor, type TestStack } from './index.js';

afterAll(cleanUp);

describe('startStack', () => {
  let stack: TestStack;

  beforeAll(async () => {
    stack = await startStack({ edges: 2 });
  });

  const ask = async (url: string): Promise<number> => {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TEST_KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'test-chat', messages: [{ role: 'user', content: 'Hi' }] }),
    });
    await response.arrayBuffer();
    return response.status;
  };

  it('gives edges that serve, and books what they served', async () => {
    expect(await Promise.all(stack.edges.map((edge) => ask(edge.url)))).toEqual([200, 200]);
    const client = new pg.Client({ connectionString: stack.databaseUrl });
    await client.connect();
    await waitFor(async () => (await client.query('SELECT 1 FROM requests WHERE status = 200')).rowCount === 2, { what: 'two rows' });
    await client.end();
    await waitFor(() => stack.edge.logs.some((line) => line['msg'] === 'request' && line['status'] === 200), { what: 'its line in the log' });
  });

  it('starts a killed edge again at its address', async () => {
    await stack.edge.kill();
    expect(stack.edge.isRunning()).toBe(false);
    await expect(ask(stack.edge.url)).rejects.toThrow();
    const again = await stack.edge.again();
    expect(again.url).toBe(stack.edge.url);
    expect(await ask(again.url)).toBe(200);
  });
});
