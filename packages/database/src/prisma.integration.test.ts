import { afterAll, describe, expect, it } from '@jest/globals';
import { cleanUp, createTestDatabase, waitFor } from '@omg/testkit';
import { randomUUID } from 'node:crypto';
import { silentObserver } from '@omg/storage';
import { createPool } from './pool.js';
import { createPrisma } from './prisma.js';

afterAll(cleanUp);

describe('the client of the control plane', () => {
  it('has the settings of every other pool, tells of its connection, and leaves none behind', async () => {
    const { settings } = await createTestDatabase();
    const name = randomUUID();
    const heard: string[] = [];
    const observer = { ...silentObserver, onUp: (dependency: string) => void heard.push(dependency) };
    const prisma = createPrisma({ ...settings, maxConns: 2, statementTimeoutMs: 1234 }, { name, observer });
    const shown = await prisma.$queryRaw`SELECT current_setting('statement_timeout') AS timeout, current_setting('application_name') AS name`;
    expect(shown).toEqual([{ timeout: '1234ms', name: `omg:${name}` }]);
    expect(heard).toContain('postgres');
    await Promise.all(Array.from({ length: 8 }, () => prisma.$queryRaw`SELECT 1 AS one`));
    const pool = createPool(settings, { name: 'looks' });
    const connections = async () => (await pool.query('SELECT 1 FROM pg_stat_activity WHERE application_name = $1', [`omg:${name}`])).rowCount;
    expect(await connections()).toBe(2);
    await prisma.$disconnect();
    await waitFor(async () => (await connections()) === 0, { what: 'the connections to be closed' });
    await pool.end();
  });
});
