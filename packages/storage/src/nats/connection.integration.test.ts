import { afterAll, describe, expect, it } from '@jest/globals';
import { addCleanup, cleanUp, startNats, waitFor } from '@omg/testkit';
import { connectNats } from './connection.js';

afterAll(cleanUp);

describe('the connection to NATS', () => {
  it('is followed through every loss, whatever those who listen to it throw', async () => {
    let nats = await startNats();
    const port = Number(new URL(nats.url).port);
    const told: string[] = [];
    const errors: unknown[] = [];
    const observer = { onUp: () => told.push('up'), onDown: () => told.push('down'), onListenerError: (_name: string, error: unknown) => errors.push(error) };
    const client = connectNats({ url: nats.url }, { name: 'connection-test', observer });
    addCleanup(() => client.close());
    const heard: string[] = [];
    const fail = (what: string) => (): void => {
      throw new Error(what);
    };
    client.onUp(fail('first up'));
    client.onDown(fail('first down'));
    client.onUp(() => heard.push('up'));
    client.onDown(() => heard.push('down'));
    await client.connected();
    // A listener that comes when the connection stands is told at once, and does not hurt whoever brings it.
    client.onUp(fail('late up'));
    for (let losses = 1; losses <= 2; losses++) {
      await nats.kill();
      await waitFor(() => !client.isConnected);
      nats = await startNats({ port });
      await waitFor(() => client.isConnected);
    }
    expect(told).toEqual(['up', 'down', 'up', 'down', 'up']);
    expect(heard).toEqual(told);
    const ofOneLoss = ['first down', 'first up', 'late up'];
    expect(errors.map((error) => (error as Error).message)).toEqual(['first up', 'late up', ...ofOneLoss, ...ofOneLoss]);
  });
});
