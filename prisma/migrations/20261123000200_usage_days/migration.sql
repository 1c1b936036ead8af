-- Closed local days, summed per timezone: what reports read instead of millions of rollup rows.
--
-- `usage_rollups` stays the source. A day of a zone is built once it is over (by the admin API), and marked in
-- `usage_days_built`. A late rollup row removes the mark in its own transaction, so a reader sees either the mark and the
-- old sums or neither: days without a mark are summed from the rollups. Rows of days without a mark mean nothing.

-- CreateTable
CREATE TABLE "usage_days" (
    "zone" VARCHAR(64) NOT NULL,
    "kind" VARCHAR(16) NOT NULL,
    "starts_at" TIMESTAMPTZ(0) NOT NULL,
    "tenant_id" UUID NOT NULL,
    "entity" VARCHAR(128) NOT NULL,
    "requests" BIGINT NOT NULL,
    "tokens" BIGINT NOT NULL,
    "cost_nano" BIGINT NOT NULL,
    "unpriced" BIGINT NOT NULL,

    CONSTRAINT "usage_days_pkey" PRIMARY KEY ("zone","kind","starts_at","tenant_id","entity")
);

-- CreateTable
CREATE TABLE "usage_days_built" (
    "zone" VARCHAR(64) NOT NULL,
    "starts_at" TIMESTAMPTZ(0) NOT NULL,
    "ends_at" TIMESTAMPTZ(0) NOT NULL,
    "built_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "usage_days_built_pkey" PRIMARY KEY ("zone","starts_at")
);

-- CreateTable
CREATE TABLE "usage_zones" (
    "zone" VARCHAR(64) NOT NULL,
    "last_used_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "usage_zones_pkey" PRIMARY KEY ("zone")
);

-- CreateIndex
CREATE INDEX "usage_days_zone_kind_tenant_id_starts_at_idx" ON "usage_days"("zone", "kind", "tenant_id", "starts_at");

-- CreateIndex
CREATE INDEX "usage_days_zone_kind_entity_starts_at_idx" ON "usage_days"("zone", "kind", "entity", "starts_at");

-- CreateIndex
CREATE INDEX "usage_days_built_starts_at_ends_at_idx" ON "usage_days_built"("starts_at", "ends_at");

-- A changed rollup row older than an hour takes the marks of its days away. Younger ones cannot lie in a built day: a day
-- is built two hours after its end at the earliest, and no transaction of the recorder lasts an hour. The shared lock
-- (space 'omg', purpose 3) makes a late writer and the builder of a day take turns, so that neither overlooks the other.
CREATE FUNCTION omg_usage_days_stale() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM changed WHERE bucket < now() - interval '1 hour') THEN
    RETURN NULL;
  END IF;
  PERFORM pg_advisory_xact_lock_shared(7302503, 3);
  DELETE FROM usage_days_built WHERE (zone, starts_at) IN (
    SELECT b.zone, b.starts_at FROM usage_days_built b
    WHERE EXISTS (SELECT 1 FROM changed c WHERE c.bucket >= b.starts_at AND c.bucket < b.ends_at)
    ORDER BY b.zone, b.starts_at FOR UPDATE OF b
  );
  RETURN NULL;
END $$;

CREATE TRIGGER usage_rollups_inserted AFTER INSERT ON usage_rollups
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION omg_usage_days_stale();
CREATE TRIGGER usage_rollups_updated AFTER UPDATE ON usage_rollups
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION omg_usage_days_stale();
CREATE TRIGGER usage_rollups_deleted AFTER DELETE ON usage_rollups
  REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION omg_usage_days_stale();
