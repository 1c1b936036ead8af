import { z } from 'zod';
import { emailSchema, pageShape, pagingShape, roleSchema, text, timeSchema, uuidSchema } from './common.js';

/** Signing in, sessions, and admin API tokens. */

export const PASSWORD_CHARS_MIN = 8;
/** Argon2 hashes whatever it gets: a bound keeps a megabyte of "password" from costing CPU. */
export const PASSWORD_CHARS_MAX = 256;
export const passwordSchema = z.string().min(PASSWORD_CHARS_MIN).max(PASSWORD_CHARS_MAX);

export const userSchema = z.object({
  id: uuidSchema,
  email: z.string(),
  name: z.string(),
  theme_preference: z.string(),
  created_at: timeSchema,
  updated_at: timeSchema,
  last_login_at: timeSchema.optional(),
  is_super_admin: z.boolean(),
  personal_tenant_id: uuidSchema.optional(),
});
export type UserBody = z.output<typeof userSchema>;

export const authMethodsSchema = z.object({ methods: z.array(z.enum(['local', 'oidc'])) });

export const loginRequestSchema = z.object({
  // Not checked as an address: an odd one is an unknown one, with the same answer.
  email: text(320).transform((value) => value.toLowerCase()),
  password: z.string().min(1).max(PASSWORD_CHARS_MAX),
});

export const refreshRequestSchema = z
  .object({ refresh_token: z.string().min(1).max(4096).optional() })
  .nullish()
  .transform((value) => value ?? {});

export const tokenResponseSchema = z.object({
  access_token: z.string(),
  access_expires_at: timeSchema,
  refresh_token: z.string(),
  refresh_expires_at: timeSchema,
  method: z.enum(['local', 'refresh']),
  user: userSchema,
});
export type TokenResponse = z.output<typeof tokenResponseSchema>;

export const oidcStartQuerySchema = z.object({ return_to: z.string().max(1024).optional() });
/** What the way back from the OpenID provider adds to `return_to`. */
export const oidcResultQuerySchema = z.object({ status: z.string().max(32).optional(), error: z.string().max(64).optional() });
export const oidcStartResponseSchema = z.object({ auth_url: z.url(), state: z.string() });

export const meSchema = z.object({
  user: userSchema,
  via: z.enum(['session', 'token']),
  memberships: z.array(z.object({ tenant_id: uuidSchema, role: z.string(), kind: z.enum(['organization', 'personal']) })),
});

export const adminTokenSchema = z.object({
  id: uuidSchema,
  user_id: uuidSchema,
  user_email: z.string(),
  name: z.string(),
  last_four: z.string(),
  tenant_id: uuidSchema.nullable(),
  role: z.string().nullable(),
  expires_at: timeSchema.nullable(),
  revoked_at: timeSchema.nullable(),
  last_used_at: timeSchema.nullable(),
  created_at: timeSchema,
});
export type AdminTokenBody = z.output<typeof adminTokenSchema>;

export const createAdminTokenSchema = z.object({
  name: text(128),
  /** Null or absent: all tenants of its owner. */
  tenant_id: uuidSchema.nullish(),
  /** Null or absent: the owner's own role, and his super admin right if no tenant is named. */
  role: roleSchema.nullish(),
  /** Absent: 90 days. */
  expires_in_days: z.int().min(1).max(366).optional(),
});
export const createdAdminTokenSchema = z.object({ admin_token: adminTokenSchema, token: z.string() });
export const listAdminTokensQuerySchema = z.object({ ...pagingShape(50), user_id: uuidSchema.optional() });
export const adminTokenListSchema = z.object({ admin_tokens: z.array(adminTokenSchema), ...pageShape });

export const createUserSchema = z.object({ email: emailSchema, name: text(256).optional(), password: passwordSchema.optional() });
export const listUsersQuerySchema = z.object({ ...pagingShape(100), q: text(128).optional() });
export const userListSchema = z.object({ users: z.array(userSchema), ...pageShape });
export const resetPasswordSchema = z.object({
  password: passwordSchema,
  /** True where the account may have been in wrong hands: the admin API tokens that were made with it end as well. */
  revoke_tokens: z.boolean().default(false),
});
export const userTenantsSchema = z.object({
  tenants: z.array(z.object({ tenant_id: uuidSchema, tenant_name: z.string(), role: z.string(), status: z.string(), joined_at: timeSchema })),
});

export const membershipSchema = z.object({
  tenant_id: uuidSchema,
  user_id: uuidSchema,
  email: z.string(),
  role: z.string(),
  created_at: timeSchema,
  version: z.int(),
});
export const membershipListSchema = z.object({ memberships: z.array(membershipSchema) });
export const upsertMembershipSchema = z.object({ email: emailSchema, role: roleSchema, password: passwordSchema.optional() });
