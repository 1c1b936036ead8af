/**
 * Who may import whom. Each rule has its reason; infra/dev/src/borders.test.ts plants a violation of each and expects it to be
 * found, and asserts that the graph has as many modules as there are files: a checker that sees nothing would be green.
 */
const storePackages = 'node_modules/(pg|ioredis|bullmq|@nats-io|@prisma|prisma)/';
const tests = '\\.(test|integration\\.test|e2e\\.test|fault\\.test|real-model\\.test)\\.ts$|/test-support/|\\.fixture\\.ts$|\\.test-helper\\.ts$|/testing/';

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      comment:
        'A circle means that none of its files can be loaded alone; with Nest it also breaks injection. Types may refer to each other: they are gone at run time.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-unresolvable',
      comment: 'An import that does not resolve here fails at the first run in production.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'domain-imports-nothing-of-ours',
      comment: 'The rules of money, limits and routing stay usable and testable without anything around them.',
      severity: 'error',
      from: { path: '^packages/domain/src', pathNot: tests },
      to: { path: '^(packages|apps|prisma|infra)/', pathNot: '^packages/domain/src' },
    },
    {
      name: 'domain-does-no-io',
      comment: 'Rules take time and data as parameters. Pure computation of node:crypto is allowed.',
      severity: 'error',
      from: { path: '^packages/domain/src', pathNot: tests },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?crypto$' },
    },
    {
      name: 'contracts-know-only-domain-and-zod',
      comment: 'What crosses a process must be readable by every process.',
      severity: 'error',
      from: { path: '^packages/contracts/src', pathNot: tests },
      to: { path: '^(packages|apps|prisma|infra|node_modules)/', pathNot: '^packages/(contracts|domain)/src|node_modules/(\\.pnpm/)?zod' },
    },
    {
      name: 'providers-know-only-domain-and-contracts',
      comment: 'An adapter turns requests into bytes and bytes into answers; sockets, settings and logs are handed to it.',
      severity: 'error',
      from: { path: '^packages/providers/src', pathNot: tests },
      to: { path: '^(packages|apps|prisma|infra)/|node_modules/(\\.pnpm/)?(@nestjs|pino|@omg)', pathNot: '^packages/(providers|domain|contracts)/src' },
    },
    {
      name: 'storage-knows-only-domain-and-contracts',
      comment: 'Storage is a leaf: scripts and streams, no rules of an app. It does not know the database, so that who needs no Postgres has none.',
      severity: 'error',
      from: { path: '^packages/storage/src', pathNot: tests },
      to: { path: '^(packages|apps|infra)/', pathNot: '^packages/(storage|domain|contracts)/src' },
    },
    {
      name: 'database-knows-only-storage-domain-and-contracts',
      comment: 'Queries, no rules of an app.',
      severity: 'error',
      from: { path: '^packages/database/src', pathNot: tests },
      to: { path: '^(packages|apps|infra)/', pathNot: '^packages/(database|storage|domain|contracts)/src' },
    },
    {
      name: 'service-kit-knows-no-app-and-no-provider',
      comment: 'What every service needs cannot depend on what one service does.',
      severity: 'error',
      from: { path: '^packages/service-kit/src', pathNot: tests },
      to: { path: '^(packages|apps|prisma|infra)/', pathNot: '^packages/(service-kit|storage|domain|contracts)/src' },
    },
    {
      name: 'apps-never-import-apps',
      comment: 'Services meet through NATS, Redis and Postgres, so that each can be deployed and fail alone.',
      severity: 'error',
      from: { path: '^apps/([^/]+)/' },
      to: { path: '^apps/', pathNot: '^apps/$1/' },
    },
    {
      name: 'testkit-only-in-tests',
      comment: 'Crash helpers and fakes have no business in a service.',
      severity: 'error',
      from: { path: '^(apps|packages|prisma)/', pathNot: `^packages/testkit/|${tests}` },
      to: { path: '^packages/testkit/|^infra/dev/' },
    },
    {
      name: 'stores-only-through-storage',
      comment: 'One place knows the drivers: their reconnecting, timeouts and errors are solved once.',
      severity: 'error',
      from: { path: '^(apps|packages)/', pathNot: `^packages/(storage|database|testkit)/|${tests}` },
      to: { path: storePackages },
    },
    {
      name: 'edge-and-monitor-never-open-postgres',
      comment: 'They serve while Postgres is down, and carry nothing of it.',
      severity: 'error',
      from: { path: '^(apps/(edge-gateway|health-monitor)|packages/(storage|service-kit|upstream))/src', pathNot: tests },
      to: { path: '^(prisma|packages/database)/|node_modules/(pg|@prisma|prisma)/' },
    },
    {
      name: 'no-nest-on-the-data-plane',
      comment: 'Guards, pipes and interceptors cost more per request than all of our own steps together.',
      severity: 'error',
      from: { path: '^apps/edge-gateway/src/data-plane', pathNot: tests },
      to: { path: 'node_modules/(\\.pnpm/)?@nestjs' },
    },
    {
      name: 'packages-only-through-their-entry',
      comment: 'What a package does not export is its own business.',
      severity: 'error',
      from: { path: '^(apps|packages|prisma|e2e|infra)/([^/]+)/' },
      to: { path: '^packages/([^/]+)/src/', pathNot: ['^$1/$2/', '^packages/[^/]+/src/index\\.ts$'], dependencyTypes: ['local'] },
    },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(dist|coverage|__fixtures__|generated)/' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['source', 'import', 'node', 'default'],
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.json'],
    },
  },
};
