/** Notes about the work go to stderr; stdout carries only what a command was asked for. */
export function say(text: string): void {
  process.stderr.write(`omg: ${text}\n`);
}

/** An expected end of a command: its text is for the user, without a stack. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}
