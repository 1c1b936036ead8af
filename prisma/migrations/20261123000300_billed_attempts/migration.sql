-- A usage row for each attempt that a provider billed, also where another attempt answered the request.

-- AlterTable
ALTER TABLE "usage_records" ADD COLUMN "attempt_of" UUID;
