import { adminCommand } from './admin-command.ts';
import { benchCommand, BENCHMARKS } from './bench-command.ts';
import { migrateCommand } from './database-commands.ts';
import { doctorCommand } from './doctor-command.ts';
import { downCommand } from './down-command.ts';
import { seedCommand } from './seed-command.ts';
import { reloadCommand } from './reload-command.ts';
import { envCommand, logsCommand } from './stack-commands.ts';
import { CommandError, say } from './terminal.ts';
import { KINDS, testCommand } from './test-command.ts';
import { translateLitellmCommand } from './translate-litellm-command.ts';
import { superviseCommand, upCommand } from './up-command.ts';
import { VERIFY_HELP, verifyCommand } from './verify-command.ts';

interface Command {
  usage: string;
  does: string;
  /** For `./omg <command> --help`, below what it does. */
  more?: readonly string[];
  run(args: string[]): Promise<number>;
}

const COMMANDS: Record<string, Command> = {
  up: {
    usage: 'up [--detach]',
    does: 'start everything on this machine and print a curl that works',
    more: ['With router.yaml at the root, else with the demo configuration. --detach (-d) returns when it serves; without it Ctrl-C stops everything.'],
    run: upCommand,
  },
  down: { usage: 'down', does: 'stop what up started', run: withoutArguments('down', downCommand) },
  test: {
    usage: 'test [kind ...] [-- jest arguments]',
    does: 'run the tests; without a kind: checks, unit, integration, e2e',
    more: [`Kinds: ${[...KINDS, 'checks'].join(', ')}.`, 'One file: ./omg test unit -- --testPathPatterns packages/domain/src/money'],
    run: testCommand,
  },
  bench: {
    usage: 'bench [name ...]',
    does: 'run the benchmarks and write docs/benchmarks/',
    more: [`Benchmarks: ${BENCHMARKS.join(', ')}. Without a name all of them, which takes long; the machine should have nothing else to do.`],
    run: benchCommand,
  },
  verify: {
    usage: 'verify [option ...]',
    does: 'check that rows, rollups, totals, Redis and the audit log agree; prints each mismatch',
    more: VERIFY_HELP,
    run: verifyCommand,
  },
  admin: { usage: 'admin <task>', does: 'daily tasks over the admin API; ./omg admin help lists them', run: adminCommand },
  env: { usage: 'env', does: "the running stack's addresses and process ids as KEY=value lines", run: withoutArguments('env', envCommand) },
  logs: {
    usage: 'logs [-f] [name ...]',
    does: "the services' logs",
    more: ['The last 200 lines of each; -f (--follow) goes on. Names are those of ./omg up, and postgres, redis, nats.'],
    run: logsCommand,
  },
  reload: {
    usage: 'reload',
    does: 'make the running services read router.yaml again, and tell what came of it',
    run: withoutArguments('reload', reloadCommand),
  },
  migrate: {
    usage: 'migrate',
    does: 'apply the migrations to ROUTER_DB_URL, else to the running stack',
    run: withoutArguments('migrate', migrateCommand),
  },
  seed: { usage: 'seed [n]', does: 'send n demo requests (100) through the running edge, so that reports have something to show', run: seedCommand },
  'translate-litellm': {
    usage: 'translate-litellm <config.yaml>',
    does: "print a LiteLLM proxy's configuration as router.yaml, and what has no equal",
    run: translateLitellmCommand,
  },
  doctor: { usage: 'doctor', does: 'what is missing on this machine and how to get it', run: withoutArguments('doctor', doctorCommand) },
};

/** A word that a command would ignore is a mistake of whoever typed it. */
function withoutArguments(name: string, command: () => Promise<number>): Command['run'] {
  return (args) => {
    if (args[0] !== undefined) throw new CommandError(`${name} takes nothing, not "${args[0]}"`);
    return command();
  };
}

function help(): string {
  const width = Math.max(...Object.values(COMMANDS).map((command) => command.usage.length));
  const lines = Object.values(COMMANDS).map((command) => `  ${command.usage.padEnd(width)}  ${command.does}`);
  return ['Usage: ./omg <command>', '', ...lines, '', 'More about one of them: ./omg <command> --help', ''].join('\n');
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
  if (command === undefined) throw new CommandError(`unknown command "${name}"; ./omg help lists them`);
  // What jest or the admin client get after the command is theirs.
  if ((args[0] === '--help' || args[0] === '-h') && name !== 'admin') {
    const more = command.more ? ['', ...command.more] : [];
    process.stdout.write(`${[`Usage: ./omg ${command.usage}`, '', command.does, ...more].join('\n')}\n`);
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
