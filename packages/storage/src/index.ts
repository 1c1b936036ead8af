export * from './postgres/prisma.js';
export { RedisAdmissionStore, type AdmissionStoreOptions } from './redis/admission-store.js';
export * from './redis/admission.types.js';
export { RedisUnavailableError, type GuardOptions, type RedisFailure } from './redis/guarded-redis.js';
export { RedisLedgerStore, type LedgerStoreOptions } from './redis/ledger-store.js';
