import { CommandError, say } from './terminal.ts';
import { testCommand } from './test-command.ts';

interface Command {
  usage: string;
  does: string;
  run(args: string[]): Promise<number>;
}

const COMMANDS: Record<string, Command> = {
  test: { usage: 'test [unit|integration|e2e|faults|real-model|checks] [-- jest arguments]', does: 'run the tests; without a kind: checks, unit, integration, e2e', run: testCommand },
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
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) throw new CommandError(`unknown command "${name}"\n\n${help()}`);
  return command.run(args);
}

try {
  process.exitCode = await main();
} catch (error) {
  say(error instanceof CommandError ? error.message : String(error instanceof Error ? error.stack : error));
  process.exitCode = 1;
}
