import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findBinary } from '@omg/dev';
import { addCleanup } from '@omg/testkit';

/** The few options of curl that the documentation uses, for machines without it. */
const STAND_IN = `#!${process.execPath}
const args = process.argv.slice(2);
const headers = {};
let body;
let url;
for (let index = 0; index < args.length; index += 1) {
  const arg = args[index];
  if (arg === '-H') {
    const [name, ...rest] = args[++index].split(':');
    headers[name] = rest.join(':').trim();
  } else if (arg === '-d') body = args[++index];
  else if (!arg.startsWith('-')) url = arg;
}
const response = await fetch(url, { method: body === undefined ? 'GET' : 'POST', headers, body });
process.stdout.write(Buffer.from(await response.arrayBuffer()));
`;

/** A PATH with curl in it: the machine's own, else a stand-in. */
export function pathWithCurl(): string {
  const path = process.env['PATH'] ?? '';
  if (findBinary('curl') !== undefined) return path;
  const folder = mkdtempSync(join(tmpdir(), 'omg-curl-'));
  addCleanup(async () => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  writeFileSync(join(folder, 'curl'), STAND_IN);
  chmodSync(join(folder, 'curl'), 0o755);
  return `${folder}:${path}`;
}
