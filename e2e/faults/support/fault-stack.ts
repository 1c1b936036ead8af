import { startStack, type StackOptions, type TestStack } from '@omg/testkit';
import { startMockProvider, type MockProvider } from './mock-provider.js';

/** A stack whose own stores may be killed, in front of a provider that logs every call, with short leases. */
export interface FaultStack extends TestStack {
  provider: MockProvider;
}

type Settings = Record<string, unknown>;

export async function startFaultStack(options: StackOptions & { config?: Settings } = {}): Promise<FaultStack> {
  const provider = await startMockProvider();
  const { config, ...others } = options;
  const stack = await startStack({
    upstreamUrl: provider.url,
    ownServers: ['postgres', 'redis'],
    ...others,
    config: {
      edge: { lease: '5s', redis_timeout: '2s' },
      redis: { command_timeout: '2s' },
      database: { connect_timeout: '5s' },
      recorder: { listen_addr: '127.0.0.1:0', reaper_interval: '500ms', reaper_grace: '2s' },
      ...config,
    },
  });
  return Object.assign(stack, { provider });
}
