import { leavesOf, type Leaf } from '../schema.js';
import { isLive } from '../live-keys.js';
import { choicesOf, defaultOf } from './sample-file.js';

const INTRO = `# Configuration

<!-- Generated from packages/service-kit/src/config: pnpm generate -->

One schema for all services; each validates only the sections that it reads. \`infra/router.example.yaml\` has every key.

**Sources**, the first that has a value counts: process environment, \`.env\` in the working directory, the YAML file, defaults.
The file is \`--config <file>\`, else \`ROUTER_CONFIG_FILE\`, else \`router.yaml\` or \`config/router.yaml\` in the working directory.
An explicit file must exist. An empty variable counts as not set. What \`/admin\` changes is live.

**Reload**: SIGHUP makes a service read its file and \`.env\` again. A configuration with a mistake is refused whole, and the former one stays; keys
marked *live* take effect at once, others at the next start; the log line \`configuration reloaded\` names both. Send it to every replica of every
service (\`./omg reload\` does so on one machine). In Kubernetes the chart restarts the pods when \`config\` changes, one after the other.
What was changed in \`/admin\` still wins over the file.

**Variables**: \`ROUTER_\` and the key in upper case with \`_\` for each dot. \`PORT\` replaces the port of the service that is started; 0 takes a
free one, and the line \`{"msg":"listening","port":...}\` tells it.

**Values**: flags are \`true\`, \`false\`, \`1\`, \`0\`; durations are written as in Go (\`300s\`, \`1h30m\`, \`250ms\`) or as seconds; lists of texts are separated
by commas in variables; everything else is JSON there. In YAML, \`\${VAR}\` and \`\${VAR:-default}\` are expanded (\`$\${\` stays \`\${\`).

**Problems** are told all at once, with key and variable, never with a value. Unknown keys and variables are warned of by name.

**Secrets**: in the profile \`production\` a service does not start with an empty, short or well-known secret. \`demo\` and \`development\` fill missing
ones with well-known values and warn.
`;

const KINDS: Readonly<Record<Leaf['meta']['kind'], string>> = {
  text: 'text',
  integer: 'integer',
  number: 'number',
  flag: 'flag',
  duration: 'duration',
  list: 'list of texts',
  json: 'list of objects',
};

export function referencePage(): string {
  const bySection = Map.groupBy(leavesOf(), (leaf) => leaf.path[0]!);
  const sections = [...bySection].map(
    ([name, leaves]) => `## \`${name}\`\n\n| Key | Type | Default | Meaning | Variable |\n|---|---|---|---|---|\n${leaves.map(row).join('\n')}\n`,
  );
  return `${INTRO}\n${sections.join('\n')}`;
}

function row(leaf: Leaf): string {
  const choices = choicesOf(leaf);
  const type = choices.length > 0 ? choices.join(', ') : KINDS[leaf.meta.kind];
  const names = [leaf.variable, ...leaf.aliases].map((name) => `\`${name}\``).join(', ');
  return `| \`${leaf.dotted}\` | ${type}${leaf.meta.secret ? ', secret' : ''}${isLive(leaf.dotted) ? ', live' : ''} | ${shown(leaf)} | ${leaf.meta.about.replaceAll('|', '\\|')} | ${names} |`;
}

function shown(leaf: Leaf): string {
  const value = defaultOf(leaf);
  if (value === undefined) return 'required';
  if (value === '' || (Array.isArray(value) && value.length === 0)) return 'empty';
  return `\`${Array.isArray(value) ? value.join(',') : String(value)}\``;
}
