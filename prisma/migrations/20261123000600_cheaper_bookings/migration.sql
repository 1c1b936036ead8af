-- What a booking writes, when each event is another key's.
--
-- An index that no statement needs costs a page of its own per event: those by tenant and by key lie all over the index.
-- Reports of keys name the keys' tenants and read the primary key; nothing looks for usage rows by their tenant.

-- DropIndex
DROP INDEX "usage_rollups_api_key_id_bucket_idx";

-- DropIndex
DROP INDEX "usage_records_tenant_id_ts_idx";

-- A row that finds room in its page is updated without touching any index. Rollups change while their 15 minutes last, totals
-- as long as their window does; of a key, the time of its last use.
ALTER TABLE usage_rollups SET (fillfactor = 90);
ALTER TABLE budget_totals SET (fillfactor = 70);
ALTER TABLE api_keys SET (fillfactor = 90);
