/** The processes of a running stack, in order of start. */
export interface App {
  /** Folder under apps/. */
  name: string;
  /** Prefix of its lines in `./omg env`. */
  prefix: string;
  defaultPort: number;
  about: string;
}

export const APPS: readonly App[] = [
  { name: 'demo-provider', prefix: 'DEMO_PROVIDER', defaultPort: 8090, about: 'stands in for a paid provider' },
  { name: 'admin-api', prefix: 'ADMIN', defaultPort: 8081, about: 'tenants, keys, models, budgets, reports' },
  { name: 'edge-gateway', prefix: 'EDGE', defaultPort: 8080, about: 'the OpenAI-compatible API' },
  { name: 'usage-recorder', prefix: 'RECORDER', defaultPort: 8082, about: 'books the usage' },
  { name: 'health-monitor', prefix: 'MONITOR', defaultPort: 8083, about: 'probes the providers' },
];

/** What infra/dev/demo.router.yaml sets up. */
export const DEMO = {
  apiKey: 'sk-demo.my-secret',
  adminEmail: 'admin@example.com',
  adminPassword: 'demo-admin-password',
  providerKey: 'demo-provider-key',
  model: 'demo-chat',
};
