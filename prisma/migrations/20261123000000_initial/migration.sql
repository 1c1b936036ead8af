-- The whole schema. Generated from schema.prisma, then changed by hand where Prisma has no words for it:
-- `requests` and `usage_records` are partitioned by month. Checks, triggers and functions stand in the next migration.

-- CreateEnum
CREATE TYPE "tenant_kind" AS ENUM ('organization', 'personal');

-- CreateEnum
CREATE TYPE "tenant_status" AS ENUM ('active', 'suspended');

-- CreateEnum
CREATE TYPE "membership_role" AS ENUM ('owner', 'admin', 'viewer', 'user');

-- CreateEnum
CREATE TYPE "credential_kind" AS ENUM ('password', 'oidc');

-- CreateEnum
CREATE TYPE "catalog_source" AS ENUM ('config', 'db');

-- CreateTable
CREATE TABLE "tenants" (
    "id" UUID NOT NULL,
    "name" VARCHAR(128) NOT NULL,
    "kind" "tenant_kind" NOT NULL DEFAULT 'organization',
    "status" "tenant_status" NOT NULL DEFAULT 'active',
    "suspended_by_super_admin" BOOLEAN NOT NULL DEFAULT false,
    "models_restricted" BOOLEAN NOT NULL DEFAULT false,
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "tenants_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "users" (
    "id" UUID NOT NULL,
    "email" VARCHAR(320) NOT NULL,
    "name" VARCHAR(256) NOT NULL,
    "is_super_admin" BOOLEAN NOT NULL DEFAULT false,
    "bootstrapped" BOOLEAN NOT NULL DEFAULT false,
    "theme_preference" VARCHAR(16) NOT NULL DEFAULT 'system',
    "personal_tenant_id" UUID,
    "last_login_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "users_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "credentials" (
    "id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "kind" "credential_kind" NOT NULL,
    "password_hash" TEXT,
    "issuer" TEXT,
    "subject" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "credentials_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "refresh_token_families" (
    "id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "method" VARCHAR(16) NOT NULL,
    "revoked_at" TIMESTAMPTZ(6),
    "revoked_reason" VARCHAR(64),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "refresh_token_families_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "refresh_tokens" (
    "id" UUID NOT NULL,
    "family_id" UUID NOT NULL,
    "token_hash" BYTEA NOT NULL,
    "successor_id" UUID,
    "rotated_at" TIMESTAMPTZ(6),
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "refresh_tokens_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "admin_tokens" (
    "id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "name" VARCHAR(128) NOT NULL,
    "token_hash" BYTEA NOT NULL,
    "last_four" VARCHAR(4) NOT NULL,
    "tenant_id" UUID,
    "role" "membership_role",
    "expires_at" TIMESTAMPTZ(6),
    "revoked_at" TIMESTAMPTZ(6),
    "last_used_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "admin_tokens_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "memberships" (
    "tenant_id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "role" "membership_role" NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "memberships_pkey" PRIMARY KEY ("tenant_id","user_id")
);

-- CreateTable
CREATE TABLE "api_keys" (
    "id" UUID NOT NULL,
    "tenant_id" UUID NOT NULL,
    "owner_user_id" UUID,
    "prefix" VARCHAR(64) NOT NULL,
    "secret_digest" BYTEA NOT NULL,
    "previous_digest" BYTEA,
    "previous_valid_until" TIMESTAMPTZ(6),
    "last_four" VARCHAR(4) NOT NULL,
    "name" VARCHAR(128) NOT NULL,
    "scopes" TEXT[] DEFAULT ARRAY[]::TEXT[],
    "requests_per_minute" INTEGER,
    "tokens_per_minute" INTEGER,
    "parallel_requests" INTEGER,
    "quota_nano" BIGINT,
    "quota_warning_threshold" DECIMAL(5,4),
    "expires_at" TIMESTAMPTZ(6),
    "revoked_at" TIMESTAMPTZ(6),
    "last_used_at" TIMESTAMPTZ(6),
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "api_keys_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "model_aliases" (
    "key" VARCHAR(128) NOT NULL,
    "alias" VARCHAR(128) NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "model_aliases_pkey" PRIMARY KEY ("key")
);

-- CreateTable
CREATE TABLE "model_routes" (
    "id" UUID NOT NULL,
    "alias_key" VARCHAR(128) NOT NULL,
    "identity" VARCHAR(512) NOT NULL,
    "source" "catalog_source" NOT NULL,
    "tombstone" BOOLEAN NOT NULL DEFAULT false,
    "provider" VARCHAR(64) NOT NULL,
    "provider_model" VARCHAR(256) NOT NULL,
    "deployment" VARCHAR(256) NOT NULL DEFAULT '',
    "model_type" VARCHAR(32) NOT NULL DEFAULT 'llm',
    "context_window" INTEGER NOT NULL DEFAULT 0,
    "max_output_tokens" INTEGER NOT NULL DEFAULT 0,
    "modalities" TEXT[] DEFAULT ARRAY[]::TEXT[],
    "supports_tools" BOOLEAN NOT NULL DEFAULT false,
    "currency" VARCHAR(3) NOT NULL DEFAULT 'USD',
    "enabled" BOOLEAN NOT NULL DEFAULT true,
    "weight" INTEGER NOT NULL DEFAULT 100,
    "endpoint" TEXT NOT NULL DEFAULT '',
    "api_version" VARCHAR(64) NOT NULL DEFAULT '',
    "region" VARCHAR(64) NOT NULL DEFAULT '',
    "metadata" JSONB NOT NULL DEFAULT '{}',
    "provider_config" JSONB NOT NULL DEFAULT '{}',
    "sealed_secrets" JSONB NOT NULL DEFAULT '{}',
    "invalid_reason" TEXT,
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "model_routes_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "price_versions" (
    "id" UUID NOT NULL,
    "route_id" UUID NOT NULL,
    "price_input" DECIMAL(24,12),
    "price_output" DECIMAL(24,12),
    "price_cached_input" DECIMAL(24,12),
    "price_cache_write" DECIMAL(24,12),
    "price_reasoning" DECIMAL(24,12),
    "price_image_cents" DECIMAL(24,12),
    "tiers" JSONB NOT NULL DEFAULT '{}',
    "valid_from" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "price_versions_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "tenant_models" (
    "tenant_id" UUID NOT NULL,
    "alias_key" VARCHAR(128) NOT NULL,

    CONSTRAINT "tenant_models_pkey" PRIMARY KEY ("tenant_id","alias_key")
);

-- CreateTable
CREATE TABLE "default_models" (
    "alias_key" VARCHAR(128) NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "default_models_pkey" PRIMARY KEY ("alias_key")
);

-- CreateTable
CREATE TABLE "tenant_rate_limits" (
    "tenant_id" UUID NOT NULL,
    "requests_per_minute" INTEGER NOT NULL DEFAULT 0,
    "tokens_per_minute" INTEGER NOT NULL DEFAULT 0,
    "parallel_requests" INTEGER NOT NULL DEFAULT 0,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "tenant_rate_limits_pkey" PRIMARY KEY ("tenant_id")
);

-- CreateTable
CREATE TABLE "tenant_budget_overrides" (
    "tenant_id" UUID NOT NULL,
    "budget_nano" BIGINT,
    "warning_threshold" DECIMAL(5,4),
    "refresh_schedule" VARCHAR(32),
    "enforcement" VARCHAR(16),
    "alert_emails" JSONB,
    "alert_webhooks" JSONB,
    "alert_cooldown_seconds" INTEGER,
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "tenant_budget_overrides_pkey" PRIMARY KEY ("tenant_id")
);

-- CreateTable
CREATE TABLE "settings" (
    "key" VARCHAR(64) NOT NULL,
    "value" JSONB NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_by" UUID,
    "updated_by" UUID,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "settings_pkey" PRIMARY KEY ("key")
);

-- CreateTable
CREATE TABLE "budget_totals" (
    "tenant_id" UUID NOT NULL,
    "api_key_id" UUID NOT NULL,
    "window_id" VARCHAR(48) NOT NULL,
    "window_start" TIMESTAMPTZ(6) NOT NULL,
    "window_end" TIMESTAMPTZ(6) NOT NULL,
    "spent_nano" BIGINT NOT NULL DEFAULT 0,
    "requests" BIGINT NOT NULL DEFAULT 0,
    "tokens" BIGINT NOT NULL DEFAULT 0,
    "version" BIGINT NOT NULL DEFAULT 0,
    "limit_nano" BIGINT,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "budget_totals_pkey" PRIMARY KEY ("tenant_id","api_key_id","window_id")
);

-- CreateTable
CREATE TABLE "budget_alert_states" (
    "tenant_id" UUID NOT NULL,
    "window_id" VARCHAR(48),
    "last_level" VARCHAR(16),
    "last_alert_at" TIMESTAMPTZ(6),
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "budget_alert_states_pkey" PRIMARY KEY ("tenant_id")
);

-- CreateTable
CREATE TABLE "budget_alert_events" (
    "id" UUID NOT NULL,
    "tenant_id" UUID NOT NULL,
    "level" VARCHAR(16) NOT NULL,
    "channels" JSONB NOT NULL,
    "payload" JSONB NOT NULL,
    "deliveries" JSONB NOT NULL DEFAULT '{}',
    "success" BOOLEAN,
    "error" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "budget_alert_events_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "requests" (
    "id" UUID NOT NULL,
    "ts" TIMESTAMPTZ(3) NOT NULL,
    "tenant_id" UUID NOT NULL,
    "api_key_id" UUID NOT NULL,
    "trace_id" VARCHAR(128) NOT NULL,
    "operation" VARCHAR(16) NOT NULL,
    "model_alias" VARCHAR(128) NOT NULL,
    "route_id" VARCHAR(64),
    "provider" VARCHAR(64) NOT NULL,
    "stream" BOOLEAN NOT NULL,
    "status" SMALLINT NOT NULL,
    "error_code" VARCHAR(64),
    "latency_ms" INTEGER NOT NULL,
    "ttft_ms" INTEGER,
    "attempts" JSONB,
    "input_tokens" INTEGER NOT NULL,
    "output_tokens" INTEGER NOT NULL,
    "cost_nano" BIGINT,
    "idempotency_key" VARCHAR(255),

    CONSTRAINT "requests_pkey" PRIMARY KEY ("id","ts")
) PARTITION BY RANGE ("ts");

-- CreateTable
CREATE TABLE "usage_records" (
    "id" UUID NOT NULL,
    "ts" TIMESTAMPTZ(3) NOT NULL,
    "tenant_id" UUID NOT NULL,
    "api_key_id" UUID NOT NULL,
    "operation" VARCHAR(16) NOT NULL,
    "model_alias" VARCHAR(128) NOT NULL,
    "provider" VARCHAR(64) NOT NULL,
    "provider_model" VARCHAR(256),
    "route_id" VARCHAR(64),
    "input_tokens" INTEGER NOT NULL,
    "output_tokens" INTEGER NOT NULL,
    "cached_input_tokens" INTEGER NOT NULL DEFAULT 0,
    "cache_write_tokens" INTEGER NOT NULL DEFAULT 0,
    "reasoning_tokens" INTEGER NOT NULL DEFAULT 0,
    "images" INTEGER NOT NULL DEFAULT 0,
    "meters" JSONB NOT NULL,
    "usage_source" VARCHAR(16) NOT NULL,
    "price_version_id" VARCHAR(64),
    "cost_nano" BIGINT,
    "cost_components" JSONB,
    "budget_window_id" VARCHAR(48),
    "booked_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "usage_records_pkey" PRIMARY KEY ("id","ts")
) PARTITION BY RANGE ("ts");

-- CreateTable
CREATE TABLE "usage_rollups" (
    "bucket" TIMESTAMPTZ(0) NOT NULL,
    "tenant_id" UUID NOT NULL,
    "api_key_id" UUID NOT NULL,
    "model_alias" VARCHAR(128) NOT NULL,
    "provider" VARCHAR(64) NOT NULL,
    "requests" BIGINT NOT NULL,
    "input_tokens" BIGINT NOT NULL,
    "output_tokens" BIGINT NOT NULL,
    "cached_input_tokens" BIGINT NOT NULL,
    "reasoning_tokens" BIGINT NOT NULL,
    "images" BIGINT NOT NULL,
    "cost_nano" BIGINT NOT NULL,
    "unpriced" BIGINT NOT NULL,

    CONSTRAINT "usage_rollups_pkey" PRIMARY KEY ("tenant_id","bucket","api_key_id","model_alias","provider")
);

-- CreateTable
CREATE TABLE "audit_logs" (
    "seq" BIGSERIAL NOT NULL,
    "id" UUID NOT NULL,
    "user_id" UUID,
    "user_email" VARCHAR(320),
    "tenant_id" UUID,
    "action" VARCHAR(64) NOT NULL,
    "resource" VARCHAR(64) NOT NULL,
    "resource_id" VARCHAR(256) NOT NULL,
    "metadata" JSONB NOT NULL DEFAULT '{}',
    "prev_hash" BYTEA NOT NULL,
    "hash" BYTEA NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "audit_logs_pkey" PRIMARY KEY ("seq")
);

-- CreateTable
CREATE TABLE "config_outbox" (
    "seq" BIGSERIAL NOT NULL,
    "kind" VARCHAR(16) NOT NULL,
    "ref" VARCHAR(160) NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "config_outbox_pkey" PRIMARY KEY ("seq")
);

-- CreateTable
CREATE TABLE "bootstrap_fingerprints" (
    "record" VARCHAR(256) NOT NULL,
    "fingerprint" VARCHAR(64) NOT NULL,
    "applied_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "bootstrap_fingerprints_pkey" PRIMARY KEY ("record")
);

-- CreateTable
CREATE TABLE "route_incidents" (
    "id" UUID NOT NULL,
    "route_id" VARCHAR(64) NOT NULL,
    "alias" VARCHAR(128) NOT NULL,
    "provider" VARCHAR(64) NOT NULL,
    "state" VARCHAR(16) NOT NULL,
    "reason" VARCHAR(64),
    "started_at" TIMESTAMPTZ(6) NOT NULL,
    "ended_at" TIMESTAMPTZ(6),

    CONSTRAINT "route_incidents_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "tenants_name_key" ON "tenants"("name");

-- CreateIndex
CREATE UNIQUE INDEX "users_email_key" ON "users"("email");

-- CreateIndex
CREATE UNIQUE INDEX "users_personal_tenant_id_key" ON "users"("personal_tenant_id");

-- CreateIndex
CREATE INDEX "credentials_user_id_idx" ON "credentials"("user_id");

-- CreateIndex
CREATE UNIQUE INDEX "credentials_issuer_subject_key" ON "credentials"("issuer", "subject");

-- CreateIndex
CREATE INDEX "refresh_token_families_user_id_idx" ON "refresh_token_families"("user_id");

-- CreateIndex
CREATE UNIQUE INDEX "refresh_tokens_token_hash_key" ON "refresh_tokens"("token_hash");

-- CreateIndex
CREATE INDEX "refresh_tokens_family_id_idx" ON "refresh_tokens"("family_id");

-- CreateIndex
CREATE INDEX "refresh_tokens_expires_at_idx" ON "refresh_tokens"("expires_at");

-- CreateIndex
CREATE UNIQUE INDEX "admin_tokens_token_hash_key" ON "admin_tokens"("token_hash");

-- CreateIndex
CREATE INDEX "admin_tokens_user_id_idx" ON "admin_tokens"("user_id");

-- CreateIndex
CREATE INDEX "memberships_user_id_idx" ON "memberships"("user_id");

-- CreateIndex
CREATE UNIQUE INDEX "api_keys_prefix_key" ON "api_keys"("prefix");

-- CreateIndex
CREATE INDEX "api_keys_tenant_id_created_at_idx" ON "api_keys"("tenant_id", "created_at");

-- CreateIndex
CREATE INDEX "api_keys_owner_user_id_idx" ON "api_keys"("owner_user_id");

-- CreateIndex
CREATE UNIQUE INDEX "model_routes_alias_key_identity_source_key" ON "model_routes"("alias_key", "identity", "source");

-- CreateIndex
CREATE INDEX "price_versions_route_id_valid_from_idx" ON "price_versions"("route_id", "valid_from");

-- CreateIndex
CREATE INDEX "tenant_models_alias_key_idx" ON "tenant_models"("alias_key");

-- CreateIndex
CREATE INDEX "budget_totals_window_end_idx" ON "budget_totals"("window_end");

-- CreateIndex
CREATE INDEX "budget_alert_events_tenant_id_created_at_idx" ON "budget_alert_events"("tenant_id", "created_at");

-- CreateIndex
CREATE INDEX "budget_alert_events_created_at_idx" ON "budget_alert_events"("created_at");

-- CreateIndex
CREATE INDEX "requests_tenant_id_ts_id_idx" ON "requests"("tenant_id", "ts", "id");

-- CreateIndex
CREATE INDEX "requests_ts_idx" ON "requests"("ts");

-- CreateIndex
CREATE INDEX "usage_records_tenant_id_ts_idx" ON "usage_records"("tenant_id", "ts");

-- CreateIndex
CREATE INDEX "usage_records_ts_idx" ON "usage_records"("ts");

-- CreateIndex
CREATE INDEX "usage_rollups_bucket_idx" ON "usage_rollups"("bucket");

-- CreateIndex
CREATE INDEX "usage_rollups_model_alias_bucket_idx" ON "usage_rollups"("model_alias", "bucket");

-- CreateIndex
CREATE INDEX "usage_rollups_api_key_id_bucket_idx" ON "usage_rollups"("api_key_id", "bucket");

-- CreateIndex
CREATE UNIQUE INDEX "audit_logs_id_key" ON "audit_logs"("id");

-- CreateIndex
CREATE INDEX "audit_logs_created_at_idx" ON "audit_logs"("created_at");

-- CreateIndex
CREATE INDEX "audit_logs_tenant_id_created_at_idx" ON "audit_logs"("tenant_id", "created_at");

-- CreateIndex
CREATE INDEX "audit_logs_user_id_created_at_idx" ON "audit_logs"("user_id", "created_at");

-- CreateIndex
CREATE INDEX "audit_logs_resource_resource_id_idx" ON "audit_logs"("resource", "resource_id");

-- CreateIndex
CREATE INDEX "route_incidents_route_id_started_at_idx" ON "route_incidents"("route_id", "started_at");

-- CreateIndex
CREATE INDEX "route_incidents_ended_at_idx" ON "route_incidents"("ended_at");

-- AddForeignKey
ALTER TABLE "users" ADD CONSTRAINT "users_personal_tenant_id_fkey" FOREIGN KEY ("personal_tenant_id") REFERENCES "tenants"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "credentials" ADD CONSTRAINT "credentials_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "refresh_token_families" ADD CONSTRAINT "refresh_token_families_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "refresh_tokens" ADD CONSTRAINT "refresh_tokens_family_id_fkey" FOREIGN KEY ("family_id") REFERENCES "refresh_token_families"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "admin_tokens" ADD CONSTRAINT "admin_tokens_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "memberships" ADD CONSTRAINT "memberships_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "memberships" ADD CONSTRAINT "memberships_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_owner_user_id_fkey" FOREIGN KEY ("owner_user_id") REFERENCES "users"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "model_routes" ADD CONSTRAINT "model_routes_alias_key_fkey" FOREIGN KEY ("alias_key") REFERENCES "model_aliases"("key") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "price_versions" ADD CONSTRAINT "price_versions_route_id_fkey" FOREIGN KEY ("route_id") REFERENCES "model_routes"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "tenant_models" ADD CONSTRAINT "tenant_models_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "tenant_models" ADD CONSTRAINT "tenant_models_alias_key_fkey" FOREIGN KEY ("alias_key") REFERENCES "model_aliases"("key") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "default_models" ADD CONSTRAINT "default_models_alias_key_fkey" FOREIGN KEY ("alias_key") REFERENCES "model_aliases"("key") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "tenant_rate_limits" ADD CONSTRAINT "tenant_rate_limits_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "tenant_budget_overrides" ADD CONSTRAINT "tenant_budget_overrides_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "budget_alert_states" ADD CONSTRAINT "budget_alert_states_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE CASCADE;

