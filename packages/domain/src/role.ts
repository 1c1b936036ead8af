/** Ranks of a membership. A super admin is a property of the user, not a role, and passes every check. */
export const ROLES = ['user', 'viewer', 'admin', 'owner'] as const;
export type Role = (typeof ROLES)[number];

export function roleRank(role: Role): number {
  return ROLES.indexOf(role) + 1;
}

export function roleAtLeast(role: Role, needed: Role): boolean {
  return roleRank(role) >= roleRank(needed);
}

/** Case-insensitive; undefined for an unknown role. */
export function parseRole(text: string): Role | undefined {
  const lower = text.trim().toLowerCase();
  return ROLES.find((role) => role === lower);
}
