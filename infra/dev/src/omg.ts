import { adminCommand } from './admin-command.ts';
import { benchCommand } from './bench-command.ts';
import { migrateCommand } from './database-commands.ts';
import { doctorCommand } from './doctor-command.ts';
import { downCommand } from './down-command.ts';
import { seedCommand } from './seed-command.ts';
import { reloadCommand } from './reload-command.ts';
import { envCommand, logsCommand } from './stack-commands.ts';
import { CommandError, say } from './terminal.ts';
import { testCommand } from './test-command.ts';
import { translateLitellmCommand } from './translate-litellm-command.ts';
import { superviseCommand, upCommand } from './up-command.ts';
import { verifyCommand } from './verify-command.ts';

interface Command {
  usage: string;
  does: string;
  run(args: string[]): Promise<number>;
}

const COMMANDS: Record<string, Command> = {
  up: { usage: 'up [--detach]', does: 'start everything on this machine and print a curl that works', run: upCommand },
  down: { usage: 'down', does: 'stop what up started', run: downCommand },
  test: {
    usage: 'test [unit|integration|e2e|faults|real-model|soak|checks] [-- jest arguments]',
    does: 'run the tests; without a kind: checks, unit, integration, e2e',
    run: testCommand,
  },
  bench: { usage: 'bench [name ...]', does: 'run the benchmarks and write docs/benchmarks/', run: benchCommand },
  verify: {
    usage: 'verify [--days n] [--wait seconds] [--running]',
    does: 'check that rows, rollups, totals, Redis and the audit log agree; prints each mismatch',
    run: verifyCommand,
  },
  admin: { usage: 'admin <task>', does: 'daily tasks over the admin API; ./omg admin help lists them', run: adminCommand },
  env: { usage: 'env', does: "the running stack's addresses and process ids as KEY=value lines", run: envCommand },
  logs: { usage: 'logs [-f] [name ...]', does: "the services' logs", run: logsCommand },
  reload: { usage: 'reload', does: 'make the running services read router.yaml again, and tell what came of it', run: reloadCommand },
  migrate: { usage: 'migrate', does: 'apply the migrations to ROUTER_DB_URL, else to the running stack', run: migrateCommand },
  seed: { usage: 'seed [n]', does: 'send n demo requests (100) through the running edge, so that reports have something to show', run: seedCommand },
  'translate-litellm': {
    usage: 'translate-litellm <config.yaml>',
    does: "print a LiteLLM proxy's configuration as router.yaml, and what has no equal",
    run: translateLitellmCommand,
  },
  doctor: { usage: 'doctor', does: 'what is missing on this machine and how to get it', run: doctorCommand },
};

function help(): string {
  const width = Math.max(...Object.values(COMMANDS).map((command) => command.usage.length));
  return ['Usage: ./omg <command>', '', ...Object.values(COMMANDS).map((command) => `  ${command.usage.padEnd(width)}  ${command.does}`), ''].join('\n');
}

async function main(): Promise<number> {
  const [name, ...args] = process.argv.slice(2);
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    process.stdout.write(help());
    return 0;
  }
  // Not for people: the half of `up --detach` that stays.
  if (name === '__supervise') return superviseCommand();
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) throw new CommandError(`unknown command "${name}"\n\n${help()}`);
  // What jest or the admin client get after the command is theirs.
  if ((args[0] === '--help' || args[0] === '-h') && name !== 'admin') {
    process.stdout.write(`Usage: ./omg ${command.usage}\n\n${command.does}\n`);
    return 0;
  }
  return command.run(args);
}

try {
  process.exitCode = await main();
} catch (error) {
  say(error instanceof CommandError ? error.message : String(error instanceof Error ? error.stack : error));
  process.exitCode = 1;
}
