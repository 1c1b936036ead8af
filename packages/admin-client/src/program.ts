import { Command, InvalidArgumentError, Option } from 'commander';
import { createAdminClient, signIn, type AdminClient } from './client.js';
import { addKeyCommands } from './commands/keys.js';
import { addModelCommands, addReportCommands } from './commands/reports.js';
import { addBudgetCommands, addMemberCommands, addTenantCommands } from './commands/tenants.js';
import { addTokenCommands } from './commands/tokens.js';

interface GlobalOptions {
  url: string;
  token?: string;
  email?: string;
  password?: string;
  json?: boolean;
}

export interface ProgramIo {
  write: (text: string) => void;
  /** How the program was called, for its help. */
  name?: string;
}

/** What a command needs: the API as the caller, and a place for its answer. */
export interface CommandContext {
  connect(): Promise<AdminClient>;
  baseUrl(): string;
  /** As JSON with `--json`, else as the table. */
  show(answer: unknown, table: () => string): void;
}

const help = (name: string): string => `
Tenants are named by id or name, keys by id or prefix. Answers go to standard output, errors to standard error.
Exit code: 0 done, 1 refused or not reached, 2 not understood.

Examples:
  ${name} tenants create acme
  ${name} budgets set acme 500 --schedule calendar_month --warning-threshold 0.8
  ${name} keys issue acme "ci robot" --rpm 60 --budget-usd 20
  ${name} spend --by model --tenant acme --period 7d
  ${name} tokens create nightly --role viewer --days 30
`;

/** The daily tasks of an operator. Credentials come from options or variables; a token is the better one for scripts. */
export function buildProgram(io: ProgramIo): Command {
  const name = io.name ?? 'omg-admin';
  const program = new Command(name)
    .description('Manage tenants, keys, budgets, models and spend through the admin API')
    .addOption(new Option('--url <url>', 'address of the admin API').env('ADMIN_URL').default('http://127.0.0.1:8081'))
    .addOption(new Option('--token <token>', 'admin API token').env('OMG_ADMIN_TOKEN'))
    .addOption(new Option('--email <email>', 'sign in with mail and password instead').env('DEMO_ADMIN_EMAIL'))
    .addOption(new Option('--password <password>', 'password of --email').env('DEMO_ADMIN_PASSWORD'))
    .option('--json', 'print the whole answer as JSON')
    .showSuggestionAfterError()
    .exitOverride()
    .addHelpText('after', help(name));
  const context: CommandContext = {
    connect: () => connect(program.opts<GlobalOptions>()),
    baseUrl: () => program.opts<GlobalOptions>().url,
    show: (answer, table) => io.write(program.opts<GlobalOptions>().json ? `${JSON.stringify(answer, null, 2)}\n` : table()),
  };
  addTenantCommands(program, context);
  addMemberCommands(program, context);
  addKeyCommands(program, context);
  addBudgetCommands(program, context);
  addReportCommands(program, context);
  addModelCommands(program, context);
  addTokenCommands(program, context);
  return program;
}

async function connect({ url, token, email, password }: GlobalOptions): Promise<AdminClient> {
  if (!URL.canParse(url)) throw new InvalidArgumentError(`--url: ${url} is no address`);
  if (token) return createAdminClient({ baseUrl: url, token });
  if (!email || !password) throw new InvalidArgumentError('who is asking? Give --token (OMG_ADMIN_TOKEN), or --email and --password');
  return signIn({ baseUrl: url }, email, password);
}
