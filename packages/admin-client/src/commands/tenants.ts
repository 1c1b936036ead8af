import { Argument, Option, type Command } from 'commander';
import { unwrap } from '../client.js';
import type { CommandContext } from '../program.js';
import { formatTable, type Cell } from '../table.js';
import { allPages, amount, countTo, fraction, tenantId } from './arguments.js';

const TENANT_HEADER = ['ID', 'NAME', 'STATUS', 'BUDGET USD', 'USED USD'];
interface TenantRow {
  id: string;
  name: string;
  status: string;
  budget_limit_usd: number;
  budget_used_usd: number;
}
const tenantCells = (row: TenantRow): Cell[] => [row.id, row.name, row.status, row.budget_limit_usd, row.budget_used_usd];

export function addTenantCommands(program: Command, { connect, show }: CommandContext): void {
  const tenants = program.command('tenants').description('organizations');
  tenants
    .command('list')
    .description('all of them, with their budgets')
    .option('--search <text>', 'part of the name')
    .addOption(new Option('--status <status>', 'only these').choices(['active', 'suspended']))
    .action(async ({ search, status }: { search?: string; status?: 'active' | 'suspended' }) => {
      const client = await connect();
      const filter = { ...(search !== undefined && { q: search }), ...(status !== undefined && { status }) };
      const rows = await allPages(async (page) => {
        const answer = await unwrap(client.GET('/admin/tenants', { params: { query: { ...filter, ...page } } }));
        return { rows: answer.tenants, total: answer.total };
      });
      show({ tenants: rows, total: rows.length }, () => formatTable(TENANT_HEADER, rows.map(tenantCells)));
    });
  tenants
    .command('show <tenant>')
    .description('one of them')
    .action(async (tenant: string) => {
      const client = await connect();
      const answer = await unwrap(client.GET('/admin/tenants/{tenantId}', { params: { path: { tenantId: await tenantId(client, tenant) } } }));
      show(answer, () => formatTable(TENANT_HEADER, [tenantCells(answer)]));
    });
  tenants
    .command('create <name>')
    .description('create an organization')
    .action(async (name: string) => {
      const client = await connect();
      const answer = await unwrap(client.POST('/admin/tenants', { body: { name, status: 'active' } }));
      show(answer, () => formatTable(['ID', 'NAME', 'STATUS'], [[answer.id, answer.name, answer.status]]));
    });
  tenants
    .command('rename <tenant> <name>')
    .description('give it another name')
    .action(async (tenant: string, name: string) => {
      const client = await connect();
      const answer = await unwrap(
        client.PATCH('/admin/tenants/{tenantId}', { params: { path: { tenantId: await tenantId(client, tenant) } }, body: { name } }),
      );
      show(answer, () => formatTable(TENANT_HEADER, [tenantCells(answer)]));
    });
  for (const [verb, status, description] of [
    ['suspend', 'suspended', 'refuse its requests, on every edge within a second'],
    ['activate', 'active', 'serve its requests again'],
  ] as const)
    tenants
      .command(`${verb} <tenant>`)
      .description(description)
      .action(async (tenant: string) => {
        const client = await connect();
        const params = { path: { tenantId: await tenantId(client, tenant) } };
        const answer = await unwrap(client.PATCH('/admin/tenants/{tenantId}/status', { params, body: { status } }));
        show(answer, () => formatTable(TENANT_HEADER, [tenantCells(answer)]));
      });
}

export function addMemberCommands(program: Command, { connect, show }: CommandContext): void {
  const members = program.command('members').description('people of a tenant');
  members
    .command('list <tenant>')
    .description('who belongs to it')
    .action(async (tenant: string) => {
      const client = await connect();
      const answer = await unwrap(client.GET('/admin/tenants/{tenantId}/memberships', { params: { path: { tenantId: await tenantId(client, tenant) } } }));
      show(answer, () =>
        formatTable(
          ['USER', 'E-MAIL', 'ROLE', 'SINCE'],
          answer.memberships.map((row) => [row.user_id, row.email, row.role, row.created_at]),
        ),
      );
    });
  members
    .command('set <tenant> <email>')
    .description('add somebody, or change a role; an unknown mail makes the account')
    .addArgument(new Argument('<role>').choices(['owner', 'admin', 'viewer', 'user']))
    .action(async (tenant: string, email: string, role: string) => {
      const client = await connect();
      const params = { path: { tenantId: await tenantId(client, tenant) } };
      const answer = await unwrap(client.POST('/admin/tenants/{tenantId}/memberships', { params, body: { email, role } }));
      show(answer, () => `${answer.email} is ${answer.role}\n`);
    });
  members
    .command('remove <tenant> <email>')
    .description('take somebody out; the account stays')
    .action(async (tenant: string, email: string) => {
      const client = await connect();
      const id = await tenantId(client, tenant);
      const { memberships } = await unwrap(client.GET('/admin/tenants/{tenantId}/memberships', { params: { path: { tenantId: id } } }));
      const found = memberships.find((row) => row.email === email.trim().toLowerCase());
      if (!found) throw new Error(`${email} is no member of this tenant`);
      const params = { path: { tenantId: id, userId: found.user_id } };
      await unwrap(client.DELETE('/admin/tenants/{tenantId}/memberships/{userId}', { params }));
      show({ removed: found }, () => `${found.email} is out\n`);
    });
}

const BUDGET_HEADER = ['BUDGET USD', 'SCHEDULE', 'WARNS AT'];

export function addBudgetCommands(program: Command, { connect, show }: CommandContext): void {
  const budgets = program.command('budgets').description('budget of a tenant');
  budgets
    .command('show <tenant>')
    .description('its own budget; an error when it follows the default')
    .action(async (tenant: string) => {
      const client = await connect();
      const answer = await unwrap(client.GET('/admin/tenants/{tenantId}/budget', { params: { path: { tenantId: await tenantId(client, tenant) } } }));
      show(answer, () => formatTable(BUDGET_HEADER, [[answer.budget_usd, answer.refresh_schedule, answer.warning_threshold]]));
    });
  budgets
    .command('set <tenant>')
    .description('give it a budget of its own')
    .addArgument(new Argument('<usd>', 'amount for each window').argParser(amount))
    .option('--schedule <schedule>', 'calendar_month, weekly, daily or rolling_<N>d')
    .option('--warning-threshold <fraction>', 'such as 0.8', fraction)
    .action(async (tenant: string, usd: number, options: { schedule?: string; warningThreshold?: number }) => {
      const client = await connect();
      const body = {
        budget_usd: usd,
        ...(options.schedule !== undefined && { refresh_schedule: options.schedule }),
        ...(options.warningThreshold !== undefined && { warning_threshold: options.warningThreshold }),
      };
      const answer = await unwrap(client.PUT('/admin/tenants/{tenantId}/budget', { params: { path: { tenantId: await tenantId(client, tenant) } }, body }));
      show(answer, () => formatTable(BUDGET_HEADER, [[answer.budget_usd, answer.refresh_schedule, answer.warning_threshold]]));
    });
  budgets
    .command('clear <tenant>')
    .description('let it follow the default again')
    .action(async (tenant: string) => {
      const client = await connect();
      const id = await tenantId(client, tenant);
      await unwrap(client.DELETE('/admin/tenants/{tenantId}/budget', { params: { path: { tenantId: id } } }));
      show({ tenant_id: id }, () => 'it follows the default budget\n');
    });
  budgets
    .command('history <tenant>')
    .description('spend by budget window, newest first')
    .option('--windows <n>', 'how many, at most 36', countTo(36), 12)
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
