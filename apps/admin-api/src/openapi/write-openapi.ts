import 'reflect-metadata';
import { writeFileSync } from 'node:fs';
import { buildAppDocument } from './app-document.js';

/** `node dist/openapi/write-openapi.js <file>`: writes the document that is committed. */
const file = process.argv[2];
if (file === undefined) throw new Error('name the file to write');
writeFileSync(file, `${JSON.stringify(await buildAppDocument(), null, 2)}\n`);
