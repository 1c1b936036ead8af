import { describe, expect, it } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import pino from 'pino';
import { createLogger, endLog } from './logger.js';

const CANARY = 'canary-7f3a9c';

function capture() {
  let text = '';
  const destination = new Writable({ write: (chunk: Buffer, _e, done) => ((text += chunk.toString()), done()) });
  return { logger: createLogger({ service: 'test', destination }), text: () => text };
}

describe('the log', () => {
  it('refuses to start without a redaction list', () => {
    expect(() => createLogger({ service: 'test', redact: [] })).toThrow('redaction');
  });

  it('never shows a secret or a prompt, however deep the logged object holds it', () => {
    const { logger, text } = capture();
    logger.info(
      { authorization: CANARY, a: { password: CANARY, b: { apiKey: CANARY, c: { messages: [CANARY] } } }, headers: { 'x-api-key': CANARY, cookie: CANARY } },
      'request',
    );
    expect(text()).toContain('[redacted]');
    expect(text()).not.toContain(CANARY);
  });

  it('hides it in lists and in what a child of the logger always tells, and changes nothing that it was given', () => {
    const { logger, text } = capture();
    const fields = { calls: [{ name: 'shown', secret: CANARY }, 7, null], at: new Date(0), token: undefined };
    logger.child({ part: 'p', password: CANARY }).info(fields, 'calls');
    expect(text()).not.toContain(CANARY);
    expect(JSON.parse(text())).toMatchObject({ part: 'p', calls: [{ name: 'shown', secret: '[redacted]' }, 7, null], at: '1970-01-01T00:00:00.000Z' });
    expect(fields.calls[0]).toEqual({ name: 'shown', secret: CANARY });
  });

  it('shows of an error only known fields, without credentials in its text', () => {
    const { logger, text } = capture();
    const cause = Object.assign(new Error(`connect redis://user:${CANARY}@host failed`), { command: { args: [CANARY] }, code: 'ECONNREFUSED' });
    const link = `GET /admin/usage/summary?format=csv&download_token=eyJhbGciOiJIUzI1NiJ9.${CANARY}.${CANARY} by oat_0123456789abcdef${CANARY}`;
    logger.error({ err: new Error(`key sk-demo.${CANARY} refused, Bearer ${CANARY}, ${link}`, { cause }) }, 'failed');
    const line = JSON.parse(text()) as { err: { cause: { code: string } }; level: string };
    expect(text()).not.toContain(CANARY);
    expect(line.level).toBe('error');
    expect(line.err.cause.code).toBe('ECONNREFUSED');
  });

  it('ends with its last line written, and hurts nobody who writes one more', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'omg-log-'));
    try {
      const file = join(folder, 'log');
      const logger = createLogger({ service: 'test', destination: pino.destination({ dest: file, sync: false }) });
      logger.info('last');
      await endLog(logger);
      expect(() => logger.child({ connection: 'redis' }).warn('too late')).not.toThrow();
      expect(readFileSync(file, 'utf8')).toMatch(/"msg":"last"}\n$/);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
