import { z } from 'zod';
import { listProviders } from '../registry.js';
import type { ProviderDefinition } from '../spec/provider.js';

/** The page `docs/reference/providers.md`, made from the registry so that it cannot say anything else than the code does. */
export const PROVIDER_REFERENCE_FILE = 'docs/reference/providers.md';

const INTRODUCTION = `# Providers

<!-- Generated from the registry in packages/providers/src: pnpm generate -->

What each provider serves. A request that needs something else is never sent to a route of it: with no other route left, the client gets
a 400 that names the field. What a particular *model* can do is for its catalog entry to say (\`supports_tools\`, \`modalities\`,
\`context_window\`). Reasoning text is always \`reasoning_content\`. Each provider has a [page of its own](../guides/providers/) with a catalog
entry to copy; how to add another one is told in [add a provider](../guides/add-a-provider.md).
`;

const mark = (can: boolean | undefined): string => (can ? 'yes' : '–');

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n');
}

function capabilityTable(): string {
  const head = [
    'Provider',
    'Slug',
    'Chat',
    'Streams',
    'Tools',
    'Images in',
    'JSON schema',
    'Reasoning',
    'Log probabilities',
    'n > 1',
    'Embeddings',
    'Token lists',
    'dimensions',
    'Images out',
    'Image URLs',
  ];
  const rows = listProviders().map(({ title, slug, capabilities: { chat, embeddings, images } }) => [
    `[${title}](../guides/providers/${slug}.md)`,
    `\`${slug}\``,
    ...[chat !== undefined, chat?.stream, chat?.tools, chat?.imageInput, chat?.jsonSchema, chat?.reasoning, chat?.logprobs, chat?.n].map(mark),
    ...[embeddings !== undefined, embeddings?.tokenArrays, embeddings?.dimensions, images !== undefined, images?.url].map(mark),
  ]);
  return table(head, rows);
}

interface ObjectShape {
  properties?: Record<string, { description?: string; enum?: string[] }>;
  required?: string[];
}

/** Settings of a route with what is known of each: other names, shared credentials, secrecy. */
function settingsTable(provider: ProviderDefinition): string {
  const schema = z.toJSONSchema(provider.settings, { io: 'input', unrepresentable: 'any' }) as ObjectShape;
  const required = new Set(schema.required ?? []);
  const rows = Object.entries(schema.properties ?? {}).map(([name, { enum: words }]) => {
    const others = provider.catalog?.spellings?.[name] ?? [];
    const shared = (provider.catalog?.shared ?? []).flatMap(({ values }) => (values[name] === undefined ? [] : [`\`providers.${values[name]}\``]));
    return [
      `\`${name}\`${others.length > 0 ? ` (also ${others.map((other) => `\`${other}\``).join(', ')})` : ''}`,
      required.has(name) ? 'yes' : '',
      provider.secretSettings.includes(name) ? 'yes' : '',
      words === undefined ? '' : words.map((word) => `\`${word}\``).join(', '),
      [...new Set(shared)].join(', '),
    ];
  });
  return table(['Setting', 'Required', 'Secret', 'Values', 'Else from'], rows);
}

export function providerReference(): string {
  const sections = listProviders().map((provider) => `### ${provider.title}\n\n${provider.description}\n\n${settingsTable(provider)}\n`);
  const settings = `## Settings

A route's settings come from the provider's block of its catalog entry, else the entry's own fields, else its \`metadata\`, else the shared
credentials of the configuration, else the adapter's built-in. Secrets are sealed at rest and masked in answers.

Every entry may have these, whoever its provider is:

${table(
  ['Setting', 'Values', 'Does'],
  [
    ['`price_image_cents`', 'a number', 'price of an image in US cents, where no tier of `pricing_tiers` fits'],
    ['`cap_image_input`, `cap_audio_input`', '`true`, `false`', 'whether the model takes pictures or sounds, whatever `modalities` says'],
    [
      '`health_probe`',
      '`free`, `paid`, `off`',
      "what the health monitor does: the provider's own check, which costs nothing; the smallest call, some tokens outside any budget (image models keep the free check); nothing",
    ],
  ],
)}

Of the buckets of \`pricing_tiers\`, \`image_edit\`, \`image_variation\`, \`audio\`, \`tts\` and \`video\` are kept for information: no operation that the
gateway serves is billed by them. The same holds for \`image\` and \`image_generation\` whose tiers count no images (\`per_image\`,
\`per_megapixel\`), and for \`image\` beside \`image_generation\`. The admin API's start tells it in the log, and \`unbilled_tiers\` of a catalog entry in \`/admin\` names them.
`;
  return [INTRODUCTION, `${capabilityTable()}\n`, settings, ...sections].join('\n');
}
