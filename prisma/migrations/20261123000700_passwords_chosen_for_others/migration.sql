-- A password that a tenant's owner chose for a new member is known to two people. It ends when its person comes in through an OpenID
-- provider, where the account may get rights that the owner does not have.

-- AlterTable
ALTER TABLE "credentials" ADD COLUMN "chosen_by_owner" BOOLEAN NOT NULL DEFAULT false;
