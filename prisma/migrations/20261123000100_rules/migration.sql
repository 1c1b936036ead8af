-- What the schema file cannot say: value rules, partitions, the append-only audit log, the outbox.

-- ---------------------------------------------------------------- value rules

ALTER TABLE tenants ADD CONSTRAINT tenants_name_not_blank CHECK (btrim(name) <> '');
ALTER TABLE tenants ADD CONSTRAINT tenants_version_positive CHECK (version > 0);

ALTER TABLE users ADD CONSTRAINT users_email_lower_case CHECK (email = lower(email) AND email <> '');
ALTER TABLE users ADD CONSTRAINT users_theme_known CHECK (theme_preference IN ('system', 'light', 'dark'));

ALTER TABLE credentials ADD CONSTRAINT credentials_complete CHECK (
  (kind = 'password' AND password_hash IS NOT NULL AND issuer IS NULL AND subject IS NULL)
  OR (kind = 'oidc' AND password_hash IS NULL AND issuer IS NOT NULL AND subject IS NOT NULL)
);
-- One password per account. Partial, so the schema file cannot declare it.
CREATE UNIQUE INDEX credentials_one_password_per_user ON credentials (user_id) WHERE kind = 'password';

ALTER TABLE api_keys ADD CONSTRAINT api_keys_prefix_form CHECK (prefix <> '' AND prefix !~ '[.[:space:]]');
ALTER TABLE api_keys ADD CONSTRAINT api_keys_digest_length CHECK (
  octet_length(secret_digest) = 32 AND (previous_digest IS NULL OR octet_length(previous_digest) = 32)
);
ALTER TABLE api_keys ADD CONSTRAINT api_keys_grace_complete CHECK ((previous_digest IS NULL) = (previous_valid_until IS NULL));
ALTER TABLE api_keys ADD CONSTRAINT api_keys_limits_positive CHECK (
  coalesce(requests_per_minute, 1) > 0 AND coalesce(tokens_per_minute, 1) > 0 AND coalesce(parallel_requests, 1) > 0
);
ALTER TABLE api_keys ADD CONSTRAINT api_keys_quota_valid CHECK (
  coalesce(quota_nano, 0) >= 0 AND coalesce(quota_warning_threshold, 1) > 0 AND coalesce(quota_warning_threshold, 1) <= 1
);

ALTER TABLE model_aliases ADD CONSTRAINT model_aliases_key_is_lower_alias CHECK (key = lower(alias) AND key <> '');

ALTER TABLE model_routes ADD CONSTRAINT model_routes_weight_positive CHECK (weight >= 1);
ALTER TABLE model_routes ADD CONSTRAINT model_routes_sizes_not_negative CHECK (context_window >= 0 AND max_output_tokens >= 0);
ALTER TABLE model_routes ADD CONSTRAINT model_routes_currency_usd CHECK (currency = 'USD');
ALTER TABLE model_routes ADD CONSTRAINT model_routes_provider_lower_case CHECK (provider = lower(provider) AND provider <> '');
-- A tombstone hides a config entry; a config entry itself is removed from the file instead.
ALTER TABLE model_routes ADD CONSTRAINT model_routes_tombstone_is_db CHECK (NOT tombstone OR source = 'db');

ALTER TABLE price_versions ADD CONSTRAINT price_versions_not_negative CHECK (
  coalesce(price_input, 0) >= 0 AND coalesce(price_output, 0) >= 0 AND coalesce(price_cached_input, 0) >= 0
  AND coalesce(price_cache_write, 0) >= 0 AND coalesce(price_reasoning, 0) >= 0 AND coalesce(price_image_cents, 0) >= 0
);

ALTER TABLE tenant_rate_limits ADD CONSTRAINT tenant_rate_limits_not_negative CHECK (
  requests_per_minute >= 0 AND tokens_per_minute >= 0 AND parallel_requests >= 0
);
ALTER TABLE tenant_budget_overrides ADD CONSTRAINT tenant_budget_overrides_valid CHECK (
  coalesce(budget_nano, 1) > 0 AND coalesce(warning_threshold, 1) > 0 AND coalesce(warning_threshold, 1) <= 1
  AND coalesce(alert_cooldown_seconds, 1) > 0 AND coalesce(enforcement, 'estimate') IN ('estimate', 'strict')
);

ALTER TABLE budget_totals ADD CONSTRAINT budget_totals_valid CHECK (
  spent_nano >= 0 AND requests >= 0 AND tokens >= 0 AND version >= 0 AND window_end > window_start
);
ALTER TABLE budget_alert_events ADD CONSTRAINT budget_alert_events_level_known CHECK (level IN ('warning', 'exceeded'));

ALTER TABLE requests ADD CONSTRAINT requests_not_negative CHECK (
  latency_ms >= 0 AND coalesce(ttft_ms, 0) >= 0 AND input_tokens >= 0 AND output_tokens >= 0 AND coalesce(cost_nano, 0) >= 0
);
ALTER TABLE usage_records ADD CONSTRAINT usage_records_not_negative CHECK (
  input_tokens >= 0 AND output_tokens >= 0 AND cached_input_tokens >= 0 AND cache_write_tokens >= 0 AND reasoning_tokens >= 0
  AND images >= 0 AND coalesce(cost_nano, 0) >= 0
);
ALTER TABLE usage_records ADD CONSTRAINT usage_records_source_known CHECK (usage_source IN ('provider', 'estimate', 'none'));
ALTER TABLE usage_rollups ADD CONSTRAINT usage_rollups_bucket_aligned CHECK (extract(epoch FROM bucket)::bigint % 900 = 0);

ALTER TABLE route_incidents ADD CONSTRAINT route_incidents_in_order CHECK (ended_at IS NULL OR ended_at >= started_at);

-- ---------------------------------------------------------------- monthly partitions

-- Rows outside all months land here, so nothing is ever refused for its time.
CREATE TABLE requests_default PARTITION OF requests DEFAULT;
CREATE TABLE usage_records_default PARTITION OF usage_records DEFAULT;

-- Makes the partition of one UTC month and returns its name, or null when it exists. Rows of that month that already
-- lie in the default partition move into it.
CREATE FUNCTION omg_ensure_month_partition(parent text, month_of timestamptz) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  lower_bound timestamptz := date_trunc('month', month_of AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
  upper_bound timestamptz := (date_trunc('month', month_of AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
  part text := parent || to_char(lower_bound AT TIME ZONE 'UTC', '"_y"YYYY"m"MM');
BEGIN
  IF parent NOT IN ('requests', 'usage_records') THEN
    RAISE EXCEPTION 'not a partitioned table of the gateway: %', parent;
  END IF;
  IF to_regclass(part) IS NOT NULL THEN
    RETURN NULL;
  END IF;
  EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', part, parent);
  EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', parent || '_default');
  EXECUTE format(
    'WITH moved AS (DELETE FROM %I WHERE ts >= %L AND ts < %L RETURNING *) INSERT INTO %I SELECT * FROM moved',
    parent || '_default', lower_bound, upper_bound, part
  );
  EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, part, lower_bound, upper_bound);
  RETURN part;
END $$;

-- Makes the partitions of last month, this month and `months_ahead` more, for both tables. Several callers at once are
-- safe: they take turns. Returns the names of those that are new.
CREATE FUNCTION omg_ensure_partitions(months_ahead int DEFAULT 3) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  parent text;
  step int;
  made text;
BEGIN
  -- Space 'omg', purpose 2: partitions.
  PERFORM pg_advisory_xact_lock(7302503, 2);
  FOREACH parent IN ARRAY ARRAY['requests', 'usage_records'] LOOP
    FOR step IN -1 .. least(greatest(months_ahead, 0), 24) LOOP
      made := omg_ensure_month_partition(parent, (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => step)) AT TIME ZONE 'UTC');
      IF made IS NOT NULL THEN
        RETURN NEXT made;
      END IF;
    END LOOP;
  END LOOP;
END $$;

-- Drops the month partitions that end at or before `cutoff`; the default partition stays. Returns their names.
CREATE FUNCTION omg_drop_partitions_before(parent text, cutoff timestamptz) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  part text;
BEGIN
  IF parent NOT IN ('requests', 'usage_records') THEN
    RAISE EXCEPTION 'not a partitioned table of the gateway: %', parent;
  END IF;
  PERFORM pg_advisory_xact_lock(7302503, 2);
  FOR part IN
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = parent::regclass AND c.relname ~ ('^' || parent || '_y\d{4}m\d{2}$')
      AND (to_date(substring(c.relname FROM '(\d{4}m\d{2})$'), 'YYYY"m"MM') + interval '1 month') AT TIME ZONE 'UTC' <= cutoff
    ORDER BY 1
  LOOP
    EXECUTE format('DROP TABLE %I', part);
    RETURN NEXT part;
  END LOOP;
END $$;

SELECT omg_ensure_partitions();

-- ---------------------------------------------------------------- audit log: append only

CREATE FUNCTION omg_audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- The one change that is allowed: the user is forgotten, the e-mail in the hashed row stays.
  IF TG_OP = 'UPDATE' AND NEW.user_id IS NULL AND OLD.user_id IS NOT NULL THEN
    OLD.user_id := NULL;
    IF NEW IS NOT DISTINCT FROM OLD THEN
      RETURN NEW;
    END IF;
  END IF;
  RAISE EXCEPTION 'audit_logs is append-only' USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER audit_logs_append_only BEFORE UPDATE OR DELETE ON audit_logs
  FOR EACH ROW EXECUTE FUNCTION omg_audit_append_only();
CREATE TRIGGER audit_logs_no_truncate BEFORE TRUNCATE ON audit_logs
  FOR EACH STATEMENT EXECUTE FUNCTION omg_audit_append_only();

CREATE FUNCTION omg_audit_forget_user() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE audit_logs SET user_id = NULL WHERE user_id = OLD.id;
  RETURN OLD;
END $$;

CREATE TRIGGER users_forgotten_in_audit AFTER DELETE ON users
  FOR EACH ROW EXECUTE FUNCTION omg_audit_forget_user();

-- ---------------------------------------------------------------- price versions: immutable

CREATE FUNCTION omg_price_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'price versions are immutable: add a new one' USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER price_versions_immutable BEFORE UPDATE ON price_versions
  FOR EACH ROW EXECUTE FUNCTION omg_price_immutable();

-- ---------------------------------------------------------------- outbox
-- Written by triggers, so that no code path, and no operator with psql, can change what the edges must know without the
-- projector learning of it. The rows only say what to look at again; the projector reads the state itself.

ALTER TABLE config_outbox ADD CONSTRAINT config_outbox_kind_known CHECK (kind IN ('defaults', 'model', 'tenant', 'key'));

CREATE FUNCTION omg_outbox_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('omg_config_outbox', '');
  RETURN NULL;
END $$;

CREATE TRIGGER config_outbox_notify AFTER INSERT ON config_outbox
  FOR EACH STATEMENT EXECUTE FUNCTION omg_outbox_notify();

-- Arguments: the kind, then the column that names the thing.
CREATE FUNCTION omg_outbox_row() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  old_ref text := CASE WHEN TG_OP = 'INSERT' THEN NULL ELSE to_jsonb(OLD) ->> TG_ARGV[1] END;
  new_ref text := CASE WHEN TG_OP = 'DELETE' THEN NULL ELSE to_jsonb(NEW) ->> TG_ARGV[1] END;
BEGIN
  IF old_ref IS NOT NULL AND old_ref IS DISTINCT FROM new_ref THEN
    INSERT INTO config_outbox (kind, ref) VALUES (TG_ARGV[0], old_ref);
  END IF;
  IF new_ref IS NOT NULL THEN
    INSERT INTO config_outbox (kind, ref) VALUES (TG_ARGV[0], new_ref);
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER tenants_to_outbox AFTER INSERT OR DELETE OR UPDATE OF id, name, kind, status, models_restricted ON tenants
  FOR EACH ROW EXECUTE FUNCTION omg_outbox_row('tenant', 'id');
CREATE TRIGGER tenant_models_to_outbox AFTER INSERT OR UPDATE OR DELETE ON tenant_models
  FOR EACH ROW EXECUTE FUNCTION omg_outbox_row('tenant', 'tenant_id');
CREATE TRIGGER tenant_rate_limits_to_outbox AFTER INSERT OR UPDATE OR DELETE ON tenant_rate_limits
  FOR EACH ROW EXECUTE FUNCTION omg_outbox_row('tenant', 'tenant_id');
CREATE TRIGGER tenant_budget_overrides_to_outbox AFTER INSERT OR UPDATE OR DELETE ON tenant_budget_overrides
  FOR EACH ROW EXECUTE FUNCTION omg_outbox_row('tenant', 'tenant_id');

-- Not on last_used_at, which the recorder writes all the time.
CREATE TRIGGER api_keys_to_outbox AFTER INSERT OR DELETE OR UPDATE OF id, tenant_id, prefix, secret_digest, previous_digest,
    previous_valid_until, scopes, requests_per_minute, tokens_per_minute, parallel_requests, quota_nano,
    quota_warning_threshold, expires_at, revoked_at ON api_keys
  FOR EACH ROW EXECUTE FUNCTION omg_outbox_row('key', 'prefix');

CREATE TRIGGER model_aliases_to_outbox AFTER INSERT OR UPDATE OR DELETE ON model_aliases
  FOR EACH ROW EXECUTE FUNCTION omg_outbox_row('model', 'key');
CREATE TRIGGER model_routes_to_outbox AFTER INSERT OR UPDATE OR DELETE ON model_routes
  FOR EACH ROW EXECUTE FUNCTION omg_outbox_row('model', 'alias_key');

CREATE FUNCTION omg_outbox_price() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO config_outbox (kind, ref)
    SELECT 'model', alias_key FROM model_routes WHERE id = CASE WHEN TG_OP = 'DELETE' THEN OLD.route_id ELSE NEW.route_id END;
  RETURN NULL;
END $$;

CREATE TRIGGER price_versions_to_outbox AFTER INSERT OR DELETE ON price_versions
  FOR EACH ROW EXECUTE FUNCTION omg_outbox_price();

-- Personal tenants inherit the default models.
CREATE FUNCTION omg_outbox_default_models() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO config_outbox (kind, ref) SELECT 'tenant', id FROM tenants WHERE kind = 'personal' AND NOT models_restricted;
  RETURN NULL;
END $$;

CREATE TRIGGER default_models_to_outbox AFTER INSERT OR UPDATE OR DELETE ON default_models
  FOR EACH STATEMENT EXECUTE FUNCTION omg_outbox_default_models();

CREATE FUNCTION omg_outbox_defaults() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO config_outbox (kind, ref) VALUES ('defaults', '');
  RETURN NULL;
END $$;

CREATE TRIGGER settings_to_outbox AFTER INSERT OR UPDATE OR DELETE ON settings
  FOR EACH STATEMENT EXECUTE FUNCTION omg_outbox_defaults();
