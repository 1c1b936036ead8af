// Four kinds of tests, told apart by their file names:
//   *.test.ts              unit: no services, no sockets beyond loopback fakes
//   *.integration.test.ts  one package or app against real Postgres, Redis and NATS
//   *.e2e.test.ts          the built services as separate processes, driven by real clients
//   *.fault.test.ts        like e2e, with processes and services killed in mid-load
//   *.soak.test.ts         like faults, for minutes
const swc = {
  jsc: {
    parser: { syntax: 'typescript', decorators: true },
    transform: { legacyDecorator: true, decoratorMetadata: true },
    target: 'es2024',
    keepClassNames: true,
  },
  module: { type: 'es6' },
  sourceMaps: 'inline',
};

// Jest adds "import" or "require" itself, according to who asks; named here, CommonJS packages would get ES modules from require().
const shared = {
  rootDir: import.meta.dirname,
  roots: ['<rootDir>/apps', '<rootDir>/packages', '<rootDir>/prisma', '<rootDir>/e2e', '<rootDir>/k8s', '<rootDir>/infra'],
  testEnvironment: 'node',
  testEnvironmentOptions: { customExportConditions: ['source', 'node', 'node-addons'] },
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest', swc] },
  transformIgnorePatterns: ['/node_modules/', '/dist/'],
  modulePathIgnorePatterns: ['/dist/', '/\\.omg/'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
};

const others = ['\\.integration\\.test\\.ts$', '\\.e2e\\.test\\.ts$', '\\.fault\\.test\\.ts$', '\\.real-model\\.test\\.ts$', '\\.soak\\.test\\.ts$'];

export default {
  // A bound for what hangs, not for what is slow: a machine with a twentieth of a core to give must come through.
  testTimeout: 600_000,
  projects: [
    { ...shared, displayName: 'unit', testMatch: ['**/*.test.ts'], testPathIgnorePatterns: ['/node_modules/', '/dist/', ...others] },
    { ...shared, displayName: 'integration', testMatch: ['**/*.integration.test.ts'] },
    { ...shared, displayName: 'e2e', testMatch: ['**/*.e2e.test.ts'] },
    { ...shared, displayName: 'faults', testMatch: ['**/*.fault.test.ts'] },
    { ...shared, displayName: 'real-model', testMatch: ['**/*.real-model.test.ts'] },
    { ...shared, displayName: 'soak', testMatch: ['**/*.soak.test.ts'] },
  ],
};
