import { z } from 'zod';
import { formatShape, pageShape, pagingShape, text, timeSchema, uuidSchema } from './common.js';

export const auditQuerySchema = z.object({
  ...pagingShape(50),
  ...formatShape,
  user_id: uuidSchema.optional(),
  action: text(64).optional(),
  resource: text(64).optional(),
  resource_id: text(256).optional(),
  tenant_id: uuidSchema.optional(),
  start: timeSchema.optional(),
  end: timeSchema.optional(),
});

export const auditLogSchema = z.object({
  id: uuidSchema,
  user_id: uuidSchema.optional(),
  user_email: z.string().optional(),
  tenant_id: uuidSchema.optional(),
  action: z.string(),
  resource: z.string(),
  resource_id: z.string(),
  metadata: z.record(z.string(), z.unknown()),
  created_at: timeSchema,
});
export const auditListSchema = z.object({ logs: z.array(auditLogSchema), ...pageShape });
