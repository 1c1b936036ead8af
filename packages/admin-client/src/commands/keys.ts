import type { Command } from 'commander';
import { unwrap } from '../client.js';
import type { CommandContext } from '../program.js';
import { formatTable } from '../table.js';
import { amount, count, keyId, tenantId } from './arguments.js';

interface IssueOptions {
  budgetUsd?: number;
  rpm?: number;
  tpm?: number;
  parallel?: number;
}

export function addKeyCommands(program: Command, context: CommandContext): void {
  const keys = program.command('keys').description('API keys of a tenant');
  addIssue(keys, context);
  const { connect, show } = context;
  keys
    .command('list <tenant>')
    .description('newest first')
    .action(async (tenant: string) => {
      const client = await connect();
      const answer = await unwrap(client.GET('/admin/tenants/{tenantId}/api-keys', { params: { path: { tenantId: await tenantId(client, tenant) } } }));
      const state = (row: { revoked: boolean; expired: boolean }): string => (row.revoked ? 'revoked' : row.expired ? 'expired' : 'active');
      show(answer, () =>
        formatTable(
          ['ID', 'NAME', 'PREFIX', 'STATE', 'LAST USED'],
          answer.api_keys.map((row) => [row.id, row.name, row.prefix, state(row), row.last_used_at]),
        ),
      );
    });
  keys
    .command('rotate <tenant> <key>')
    .description('give it a new secret; the token is shown this once')
    .option('--grace-seconds <n>', 'how long the old secret still works', count, 0)
    .action(async (tenant: string, key: string, { graceSeconds }: { graceSeconds: number }) => {
      const client = await connect();
      const id = await tenantId(client, tenant);
      const params = { path: { tenantId: id, keyId: await keyId(client, id, key) } };
      const answer = await unwrap(client.POST('/admin/tenants/{tenantId}/api-keys/{keyId}/rotate', { params, body: { grace_seconds: graceSeconds } }));
      show(answer, () => `${answer.token}\n`);
    });
  keys
    .command('revoke <tenant> <key>')
    .description('end a key, on every edge within a second')
    .action(async (tenant: string, key: string) => {
      const client = await connect();
      const id = await tenantId(client, tenant);
      const params = { path: { tenantId: id, keyId: await keyId(client, id, key) } };
      const answer = await unwrap(client.DELETE('/admin/tenants/{tenantId}/api-keys/{keyId}', { params }));
      show(answer, () => `${answer.prefix} is revoked\n`);
    });
}

function addIssue(keys: Command, { connect, show }: CommandContext): void {
  keys
    .command('issue <tenant> <name>')
    .description('make a key; its token is shown this once')
    .option('--budget-usd <usd>', 'budget of the key', amount)
    .option('--rpm <n>', 'requests per minute', count)
    .option('--tpm <n>', 'tokens per minute', count)
    .option('--parallel <n>', 'requests at the same time', count)
    .action(async (tenant: string, name: string, options: IssueOptions) => {
      const client = await connect();
      const body = {
        name,
        ...(options.budgetUsd !== undefined && { quota: { budget_usd: options.budgetUsd } }),
        ...((options.rpm ?? options.tpm ?? options.parallel) !== undefined && {
          rate_limits: { requests_per_minute: options.rpm ?? 0, tokens_per_minute: options.tpm ?? 0, parallel_requests: options.parallel ?? 0 },
        }),
      };
      const params = { path: { tenantId: await tenantId(client, tenant) } };
      const answer = await unwrap(client.POST('/admin/tenants/{tenantId}/api-keys', { params, body }));
      show(answer, () => `${answer.token}\n`);
    });
}
