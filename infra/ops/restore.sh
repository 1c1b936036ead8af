#!/bin/sh
# infra/ops/restore.sh <file>: restores a dump into the EMPTY database of ROUTER_DB_URL, whole or not at all.
# Stop the services first, and empty Redis before they start again. docs/guides/backup-and-restore.md
set -eu
file=${1:?"usage: restore.sh <file>"}
url=${ROUTER_DB_URL:?"set ROUTER_DB_URL"}
[ -r "$file" ] || { echo "restore: $file cannot be read" >&2; exit 1; }
tables=$(psql --no-psqlrc --tuples-only --no-align --command "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg_toast%'" "$url")
[ "$tables" = 0 ] || { echo "restore: the database has $tables tables; restore into an empty one" >&2; exit 1; }
pg_restore --single-transaction --exit-on-error --no-owner --no-privileges --dbname="$url" "$file"
psql --no-psqlrc --quiet --command 'analyze' "$url"
echo "restore: done; now ./omg migrate, then start the services and ./omg verify"
