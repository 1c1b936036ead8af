import { Option, type Command } from 'commander';
import { unwrap } from '../client.js';
import type { CommandContext } from '../program.js';
import { formatTable, type Cell } from '../table.js';
import { allPages, countTo, tenantId } from './arguments.js';

export function addTokenCommands(program: Command, { connect, show }: CommandContext): void {
  const tokens = program.command('tokens').description('admin API tokens for scripts');
  tokens
    .command('create <name>')
    .description('make one; its text is shown this once')
    .option('--tenant <tenant>', 'only this tenant')
    .addOption(new Option('--role <role>', 'at most this role').choices(['owner', 'admin', 'viewer', 'user']))
    .option('--days <n>', 'life in days, at most 366', countTo(366))
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
  tokens
    .command('list')
    .description('with whom they act for')
    .action(async () => {
      const client = await connect();
      const rows = await allPages(async (page) => {
        const answer = await unwrap(client.GET('/admin/tokens', { params: { query: page } }));
        return { rows: answer.admin_tokens, total: answer.total };
      });
      show({ admin_tokens: rows, total: rows.length }, () =>
        formatTable(
          ['ID', 'NAME', 'OWNER', 'ROLE', 'EXPIRES', 'REVOKED'],
          rows.map((row): Cell[] => [row.id, row.name, row.user_email, row.role, row.expires_at, row.revoked_at]),
        ),
      );
    });
  tokens
    .command('revoke <tokenId>')
    .description('end one, at once')
    .action(async (tokenId: string) => {
      const client = await connect();
      await unwrap(client.DELETE('/admin/tokens/{tokenId}', { params: { path: { tokenId } } }));
      show({ id: tokenId }, () => `${tokenId} is revoked\n`);
    });
}
