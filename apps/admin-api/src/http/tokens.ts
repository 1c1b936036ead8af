/** Injection tokens of what the app opens at its start: the module that owns them closes them. */
export const PRISMA = Symbol('PRISMA');
export const REDIS = Symbol('REDIS');
export const ADMIN_CONFIG = Symbol('ADMIN_CONFIG');
