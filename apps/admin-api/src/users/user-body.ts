import type { UserBody } from '@omg/contracts';

export interface UserRow {
  id: string;
  email: string;
  name: string;
  isSuperAdmin: boolean;
  themePreference: string;
  personalTenantId: string | null;
  lastLoginAt: Date | null;
  createdAt: Date;
  updatedAt: Date;
}

export function userBody(row: UserRow): UserBody {
  return {
    id: row.id,
    email: row.email,
    name: row.name,
    theme_preference: row.themePreference,
    created_at: row.createdAt.toISOString(),
    updated_at: row.updatedAt.toISOString(),
    ...(row.lastLoginAt && { last_login_at: row.lastLoginAt.toISOString() }),
    is_super_admin: row.isSuperAdmin,
    ...(row.personalTenantId && { personal_tenant_id: row.personalTenantId }),
  };
}
