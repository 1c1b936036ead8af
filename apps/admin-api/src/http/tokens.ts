/** Injection tokens of what the app opens at its start: the module that owns them closes them. */
export const PRISMA = Symbol('PRISMA');
export const REDIS = Symbol('REDIS');
export const ADMIN_CONFIG = Symbol('ADMIN_CONFIG');
export const NATS = Symbol('NATS');
export const LOGGER = Symbol('LOGGER');
/** Key ring and shared provider credentials: see CatalogContext. */
export const CATALOG_CONTEXT = Symbol('CATALOG_CONTEXT');
