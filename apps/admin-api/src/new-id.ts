import { uuidV7 } from '@omg/domain';
import { randomBytes } from 'node:crypto';

/** Ids sort by the time they were made. */
export const newId = (): string => uuidV7(Date.now(), randomBytes(10));
