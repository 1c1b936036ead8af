import { readConfig } from './config.js';
import { createDemoProvider } from './server.js';

const config = readConfig(process.env, process.argv.slice(2));
const server = createDemoProvider(config);

function log(fields: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), level: 'info', service: 'demo-provider', ...fields })}\n`);
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    server.close(() => log({ msg: 'stopped' }));
    server.closeIdleConnections();
  });
}

server.listen({ port: config.port, host: config.host }, () => {
  const address = server.address();
  log({ msg: 'listening', port: typeof address === 'object' ? address?.port : undefined, static: config.firstTokenMs === 0 });
});
