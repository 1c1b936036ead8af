import { readFileSync } from 'node:fs';
import { installDependencies } from './prepare.ts';
import { CommandError, say } from './terminal.ts';

/** `./omg translate-litellm <config.yaml>`: prints a router.yaml; what has no equal is told on the error output. */
export async function translateLitellmCommand(args: readonly string[]): Promise<number> {
  const [file, ...rest] = args;
  if (file === undefined || rest.length > 0) throw new CommandError('which file? ./omg translate-litellm <config.yaml> > router.yaml');
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    throw new CommandError(`${file} cannot be read`);
  }
  await installDependencies();
  // Only now: without the installation there is no such package.
  const [{ parseDocument, stringify }, { translate }] = await Promise.all([import('yaml'), import('./litellm/translate.ts')]);
  const document = parseDocument(text, { prettyErrors: false });
  // The parser's message may quote the file, which may hold secrets.
  if (document.errors[0]) throw new CommandError(`${file} is not valid YAML (${document.errors[0].code})`);
  const { router, warnings } = translate(document.toJS({ maxAliasCount: 100 }));
  process.stdout.write(
    `# Translated from a LiteLLM configuration. Check the warnings that were printed, and each price.\n${stringify(router, { lineWidth: 0 })}`,
  );
  for (const warning of warnings) say(warning);
  return 0;
}
