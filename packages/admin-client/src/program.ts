import { Command, InvalidArgumentError, Option } from 'commander';
import { createAdminClient, signIn, unwrap, type AdminClient } from './client.js';
import { formatTable, type Cell } from './table.js';

interface GlobalOptions {
  url: string;
  token?: string;
  email?: string;
  password?: string;
  json?: boolean;
}

export interface ProgramIo {
  write: (text: string) => void;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The daily tasks of an operator. Credentials come from options or variables; a token is the better one for scripts. */
export function buildProgram(io: ProgramIo): Command {
  const program = new Command('omg-admin')
    .description('Manage tenants, keys, budgets, models and spend through the admin API')
    .addOption(new Option('--url <url>', 'address of the admin API').env('ADMIN_URL').default('http://127.0.0.1:8081'))
    .addOption(new Option('--token <token>', 'admin API token').env('OMG_ADMIN_TOKEN'))
    .addOption(new Option('--email <email>', 'sign in with mail and password instead').env('DEMO_ADMIN_EMAIL'))
    .addOption(new Option('--password <password>', 'password of --email').env('DEMO_ADMIN_PASSWORD'))
    .option('--json', 'print the answer as JSON');
  const context: Context = {
    connect: () => connect(program.opts<GlobalOptions>()),
    show: (answer, table) => io.write(program.opts<GlobalOptions>().json ? `${JSON.stringify(answer, null, 2)}\n` : table()),
  };
  addTenantCommands(program, context);
  addKeyCommands(program, context);
  addBudgetCommands(program, context);
  addReportCommands(program, context);
  addModelCommands(program, context);
  addTokenCommands(program, context);
  return program;
}

interface Context {
  connect(): Promise<AdminClient>;
  show(answer: unknown, table: () => string): void;
}

async function connect({ url, token, email, password }: GlobalOptions): Promise<AdminClient> {
  if (token !== undefined) return createAdminClient({ baseUrl: url, token });
  if (email === undefined || password === undefined) throw new Error('give --token (OMG_ADMIN_TOKEN), or --email and --password');
  return signIn({ baseUrl: url }, email, password);
}

/** A tenant by id or exact name. */
async function tenantId(client: AdminClient, nameOrId: string): Promise<string> {
  if (UUID.test(nameOrId)) return nameOrId;
  const { tenants } = await unwrap(client.GET('/admin/tenants', { params: { query: { q: nameOrId, limit: 200 } } }));
  const found = tenants.find(({ name }) => name === nameOrId);
  if (!found) throw new Error(`there is no tenant named ${nameOrId}`);
  return found.id;
}

function addTenantCommands(program: Command, { connect, show }: Context): void {
  const tenants = program.command('tenants').description('organizations');
  tenants
    .command('list')
    .option('--search <text>', 'part of the name')
    .action(async ({ search }: { search?: string }) => {
      const client = await connect();
      const answer = await unwrap(client.GET('/admin/tenants', { params: { query: { limit: 200, ...(search !== undefined && { q: search }) } } }));
      show(answer, () =>
        formatTable(
          ['ID', 'NAME', 'STATUS', 'BUDGET USD', 'USED USD'],
          answer.tenants.map((row) => [row.id, row.name, row.status, row.budget_limit_usd, row.budget_used_usd]),
        ),
      );
    });
  tenants
    .command('create <name>')
    .description('create an organization')
    .action(async (name: string) => {
      const client = await connect();
      const answer = await unwrap(client.POST('/admin/tenants', { body: { name, status: 'active' } }));
      show(answer, () => formatTable(['ID', 'NAME', 'STATUS'], [[answer.id, answer.name, answer.status]]));
    });
}

interface KeyOptions {
  budgetUsd?: number;
  rpm?: number;
  tpm?: number;
  parallel?: number;
}

function addKeyCommands(program: Command, { connect, show }: Context): void {
  const keys = program.command('keys').description('API keys of a tenant (by id or name)');
  keys
    .command('issue <tenant> <name>')
    .description('make a key; its token is shown this once')
    .option('--budget-usd <usd>', 'budget of the key', amount)
    .option('--rpm <n>', 'requests per minute', count)
    .option('--tpm <n>', 'tokens per minute', count)
    .option('--parallel <n>', 'requests at the same time', count)
    .action(async (tenant: string, name: string, options: KeyOptions) => {
      const client = await connect();
      const body = {
        name,
        ...(options.budgetUsd !== undefined && { quota: { budget_usd: options.budgetUsd } }),
        ...((options.rpm ?? options.tpm ?? options.parallel) !== undefined && {
          rate_limits: { requests_per_minute: options.rpm ?? 0, tokens_per_minute: options.tpm ?? 0, parallel_requests: options.parallel ?? 0 },
        }),
      };
      const answer = await unwrap(client.POST('/admin/tenants/{tenantId}/api-keys', { params: { path: { tenantId: await tenantId(client, tenant) } }, body }));
      show(answer, () => `${answer.token}\n`);
    });
  keys.command('list <tenant>').action(async (tenant: string) => {
    const client = await connect();
    const answer = await unwrap(client.GET('/admin/tenants/{tenantId}/api-keys', { params: { path: { tenantId: await tenantId(client, tenant) } } }));
    show(answer, () =>
      formatTable(
        ['ID', 'NAME', 'PREFIX', 'REVOKED', 'LAST USED'],
        answer.api_keys.map((row) => [row.id, row.name, row.prefix, row.revoked, row.last_used_at]),
      ),
    );
  });
  keys
    .command('revoke <tenant> <keyId>')
    .description('end a key, on every edge within a second')
    .action(async (tenant: string, keyId: string) => {
      const client = await connect();
      const answer = await unwrap(
        client.DELETE('/admin/tenants/{tenantId}/api-keys/{keyId}', { params: { path: { tenantId: await tenantId(client, tenant), keyId } } }),
      );
      show(answer, () => `${answer.prefix} is revoked\n`);
    });
}

function addBudgetCommands(program: Command, { connect, show }: Context): void {
  const budgets = program.command('budgets').description('budget of a tenant (by id or name)');
  budgets
    .command('set <tenant> <usd>')
    .option('--schedule <schedule>', 'calendar_month, weekly, daily or rolling_<N>d')
    .option('--warning-threshold <fraction>', 'such as 0.8', fraction)
    .action(async (tenant: string, usd: string, options: { schedule?: string; warningThreshold?: number }) => {
      const client = await connect();
      const body = {
        budget_usd: amount(usd),
        ...(options.schedule !== undefined && { refresh_schedule: options.schedule }),
        ...(options.warningThreshold !== undefined && { warning_threshold: options.warningThreshold }),
      };
      const answer = await unwrap(client.PUT('/admin/tenants/{tenantId}/budget', { params: { path: { tenantId: await tenantId(client, tenant) } }, body }));
      show(answer, () => formatTable(['BUDGET USD', 'SCHEDULE', 'WARNS AT'], [[answer.budget_usd, answer.refresh_schedule, answer.warning_threshold]]));
    });
  budgets
    .command('history <tenant>')
    .option('--windows <n>', 'how many', count, 12)
    .action(async (tenant: string, { windows }: { windows: number }) => {
      const client = await connect();
      const answer = await unwrap(client.GET('/admin/budgets/history', { params: { query: { tenant_id: await tenantId(client, tenant), windows } } }));
      show(answer, () =>
        formatTable(
          ['START', 'END', 'LIMIT USD', 'SPENT USD', 'STATE'],
          answer.windows.map((row) => [row.start, row.end, row.limit_usd, row.spent_usd, row.exceeded ? 'exceeded' : row.warning ? 'warning' : 'ok']),
        ),
      );
    });
}

function addReportCommands(program: Command, { connect, show }: Context): void {
  program
    .command('spend')
    .description('who or what spent how much')
    .addOption(new Option('--by <group>', 'what to group by').choices(['tenant', 'model', 'user', 'api_key']).default('tenant'))
    .option('--tenant <tenant>', 'only this tenant (by id or name)')
    .option('--period <period>', '<n>d or <n>h', '30d')
    .option('--limit <n>', 'rows, at most 50', count, 20)
    .action(async ({ by, tenant, period, limit }: { by: 'tenant' | 'model' | 'user' | 'api_key'; tenant?: string; period: string; limit: number }) => {
      const client = await connect();
      const scope = tenant === undefined ? {} : { tenant_id: await tenantId(client, tenant) };
      const answer = await unwrap(client.GET('/admin/usage/breakdown', { params: { query: { group: by, period, limit, ...scope } } }));
      show(answer, () =>
        formatTable(
          ['ID', 'NAME', 'REQUESTS', 'TOKENS', 'USD'],
          answer.items.map((row) => [row.id, row.label, row.requests, row.tokens, row.cost_usd]),
        ),
      );
    });
}

function addModelCommands(program: Command, { connect, show }: Context): void {
  program
    .command('models')
    .description('models and their routes')
    .action(async () => {
      const client = await connect();
      const answer = await unwrap(client.GET('/admin/model-catalog', {}));
      show(answer, () =>
        formatTable(
          ['ALIAS', 'PROVIDER', 'MODEL', 'ENABLED', 'WEIGHT', 'SOURCE'],
          answer.map((row) => [row.alias, row.provider, row.provider_model, row.enabled, row.weight, row.source]),
        ),
      );
    });
}

function addTokenCommands(program: Command, { connect, show }: Context): void {
  const tokens = program.command('tokens').description('admin API tokens for scripts');
  tokens
    .command('create <name>')
    .option('--tenant <tenant>', 'only this tenant (by id or name)')
    .addOption(new Option('--role <role>', 'at most this role').choices(['owner', 'admin', 'viewer', 'user']))
    .option('--days <n>', 'life in days', count)
    .action(async (name: string, { tenant, role, days }: { tenant?: string; role?: string; days?: number }) => {
      const client = await connect();
      const body = {
        name,
        ...(tenant !== undefined && { tenant_id: await tenantId(client, tenant) }),
        ...(role !== undefined && { role }),
        ...(days !== undefined && { expires_in_days: days }),
      };
      const answer = await unwrap(client.POST('/admin/tokens', { body }));
      show(answer, () => `${answer.token}\n`);
    });
  tokens.command('list').action(async () => {
    const client = await connect();
    const answer = await unwrap(client.GET('/admin/tokens', {}));
    show(answer, () =>
      formatTable(
        ['ID', 'NAME', 'OWNER', 'ROLE', 'EXPIRES', 'REVOKED'],
        answer.admin_tokens.map((row): Cell[] => [row.id, row.name, row.user_email, row.role, row.expires_at, row.revoked_at]),
      ),
    );
  });
}

function count(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('must be a whole number');
  return Number(text);
}

function amount(text: string): number {
  if (!/^\d{1,9}(\.\d{1,9})?$/.test(text)) throw new InvalidArgumentError('must be an amount in USD, such as 25 or 0.5');
  return Number(text);
}

function fraction(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 1)) throw new InvalidArgumentError('must be above 0 and at most 1');
  return value;
}
