import { leavesOf, type Leaf } from '../schema.js';
import { defaultOf } from './sample-file.js';

const NEEDED: Readonly<Record<string, string>> = {
  'database.url': 'postgres://postgres@127.0.0.1:5432/open_model_gateway',
  'redis.url': 'redis://127.0.0.1:6379',
  'nats.url': 'nats://127.0.0.1:4222',
  'secrets.api_key_pepper': '',
  'secrets.encryption_keys': '',
  'admin.session.jwt_secret': '',
};

const HEADER = `# Generated: pnpm generate. Copy to .env; what is set in the process environment wins.
#
# Needed in production. Make secrets with:  openssl rand -base64 32
# ROUTER_SECRETS_ENCRYPTION_KEYS is k1:<openssl rand -base64 32>; put a new key in front to rotate.
`;

export function envExample(): string {
  const leaves = leavesOf();
  const needed = leaves.filter((leaf) => leaf.dotted in NEEDED).map((leaf) => `${leaf.variable}=${NEEDED[leaf.dotted]}`);
  const others = leaves.filter((leaf) => !(leaf.dotted in NEEDED)).map((leaf) => `# ${leaf.variable}=${written(leaf)}`);
  return `${HEADER}${needed.join('\n')}\n\n# Everything else, with its default.\n# PORT=\n${others.join('\n')}\n`;
}

function written(leaf: Leaf): string {
  const value = defaultOf(leaf) ?? '';
  if (leaf.meta.kind === 'json') return JSON.stringify(value);
  return Array.isArray(value) ? value.join(',') : String(value as string);
}
