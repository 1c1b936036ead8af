export { AdminApiError, createAdminClient, downloadUrl, signIn, unwrap, type AdminClient, type AdminClientOptions } from './client.js';
export type { components, operations, paths } from './generated/schema.js';
export { buildProgram, type ProgramIo } from './program.js';
