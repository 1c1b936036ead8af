import { describe, expect, it } from '@jest/globals';
import type { Role } from '@omg/domain';
import { hasAnyRole, hasTenantRole, requireRankOver, visibleTenantIds, type Principal } from './principal.js';

const ORG = '00000000-0000-4000-8000-000000000001';
const OTHER = '00000000-0000-4000-8000-000000000002';
const PERSONAL = '00000000-0000-4000-8000-000000000003';

function principal(role: Role | undefined, isSuperAdmin = false): Principal {
  const memberships = new Map<string, { role: Role; kind: 'organization' | 'personal' }>([[PERSONAL, { role: 'owner', kind: 'personal' }]]);
  if (role) memberships.set(ORG, { role, kind: 'organization' });
  return { userId: 'u', email: 'u@example.com', name: 'u', isSuperAdmin, memberships, via: 'session' };
}

describe('roles', () => {
  it('does not count owning a personal tenant as a role in an organization', () => {
    expect(hasAnyRole(principal(undefined), 'user')).toBe(false);
    expect(visibleTenantIds(principal(undefined), 'viewer')).toEqual([]);
  });

  it('ranks owner above admin above viewer above user', () => {
    expect(hasTenantRole(principal('admin'), ORG, 'viewer')).toBe(true);
    expect(hasTenantRole(principal('admin'), ORG, 'owner')).toBe(false);
    expect(hasTenantRole(principal('owner'), OTHER, 'user')).toBe(false);
    expect(visibleTenantIds(principal('user'), 'viewer')).toEqual([]);
    expect(visibleTenantIds(principal('viewer'), 'viewer')).toEqual([ORG]);
  });

  it('lets a super admin pass everything', () => {
    expect(hasTenantRole(principal(undefined, true), OTHER, 'owner')).toBe(true);
    expect(visibleTenantIds(principal(undefined, true), 'viewer')).toBeUndefined();
  });

  it('lets nobody touch a role above his own', () => {
    expect(() => requireRankOver(principal('admin'), ORG, 'owner')).toThrow();
    expect(() => requireRankOver(principal('admin'), ORG, 'admin', 'viewer')).not.toThrow();
    expect(() => requireRankOver(principal('owner'), OTHER, 'user')).toThrow();
    expect(() => requireRankOver(principal(undefined, true), OTHER, 'owner')).not.toThrow();
  });
});
