import { Option, type Command } from 'commander';
import { downloadUrl, unwrap } from '../client.js';
import type { CommandContext } from '../program.js';
import { formatTable } from '../table.js';
import { countTo, period, tenantId } from './arguments.js';

type Group = 'tenant' | 'model' | 'user' | 'api_key';

export function addReportCommands(program: Command, { connect, show, baseUrl }: CommandContext): void {
  program
    .command('spend')
    .description('who or what spent how much, the dearest first')
    .addOption(new Option('--by <group>', 'what to group by').choices(['tenant', 'model', 'user', 'api_key']).default('tenant'))
    .option('--tenant <tenant>', 'only this tenant')
    .option('--period <period>', '<n>d or <n>h', period, '30d')
    .option('--limit <n>', 'rows, at most 50', countTo(50), 20)
    .action(async ({ by, tenant, period, limit }: { by: Group; tenant?: string; period: string; limit: number }) => {
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
  program
    .command('download-link <path>')
    .description('an address that downloads a report as CSV in a browser, for a minute: "/admin/usage/summary?period=30d"')
    .action(async (path: string) => {
      const url = await downloadUrl(await connect(), baseUrl(), path);
      show({ url }, () => `${url}\n`);
    });
  program
    .command('audit')
    .description('who changed what, newest first')
    .option('--tenant <tenant>', 'only this tenant')
    .option('--action <action>', 'such as api_key.revoke')
    .option('--limit <n>', 'rows, at most 200', countTo(200), 20)
    .action(async ({ tenant, action, limit }: { tenant?: string; action?: string; limit: number }) => {
      const client = await connect();
      const filter = { ...(tenant !== undefined && { tenant_id: await tenantId(client, tenant) }), ...(action !== undefined && { action }) };
      const answer = await unwrap(client.GET('/admin/audit/logs', { params: { query: { limit, ...filter } } }));
      show(answer, () =>
        formatTable(
          ['TIME', 'WHO', 'ACTION', 'RESOURCE', 'ID'],
          answer.logs.map((row) => [row.created_at, row.user_email, row.action, row.resource, row.resource_id]),
        ),
      );
    });
}

export function addModelCommands(program: Command, { connect, show }: CommandContext): void {
  program
    .command('models')
    .description('models and their routes')
    .command('list', { isDefault: true })
    .description('all of them')
    .action(async () => {
      const client = await connect();
      const answer = await unwrap(client.GET('/admin/model-catalog', {}));
      show(answer, () =>
        formatTable(
          ['ALIAS', 'PROVIDER', 'MODEL', 'ENABLED', 'WEIGHT', 'SOURCE', 'PROBLEM'],
          answer.map((row) => [row.alias, row.provider, row.provider_model, row.enabled, row.weight, row.source, row.invalid_reason]),
        ),
      );
    });
}
