export * from './redis/admission.types.js';
export * from './postgres/prisma.js';
