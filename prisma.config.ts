import { defineConfig } from 'prisma/config';

// The client is generated offline; migrations are applied by prisma/src/migrate.ts, which needs no engine download.
export default defineConfig({ schema: 'prisma/schema.prisma', migrations: { path: 'prisma/migrations' } });
