export { RUN_ID_VARIABLE, identify, isRunning, processStartTime, processesOfRun, signalProcess, startProcess, stopProcess, waitForExit } from './processes.ts';
export type { ProcessIdentity, StartedProcess } from './processes.ts';
export { askPort, freePort, portIsFree, preferPort } from './ports.ts';
export { findBinary, findPostgresFolder } from './services/binaries.ts';
export { startPostgres, type PostgresOptions } from './services/postgres.ts';
export { startRedis, type RedisOptions } from './services/redis.ts';
export { startNats } from './services/nats.ts';
export type { RunningService, StartOptions } from './services/running-service.ts';
