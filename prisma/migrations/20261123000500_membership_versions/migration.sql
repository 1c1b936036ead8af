-- A change of a role can name the version that it is based on, as changes of tenants, keys and settings do.

-- AlterTable
ALTER TABLE "memberships" ADD COLUMN "version" INTEGER NOT NULL DEFAULT 1;
