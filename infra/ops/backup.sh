#!/bin/sh
# infra/ops/backup.sh <file>: one consistent dump of the ledger's Postgres (ROUTER_DB_URL), checked and moved into place when whole.
# Secrets of providers in it stay sealed: keep the encryption keys and the pepper apart from it. docs/guides/backup-and-restore.md
set -eu
umask 077
file=${1:?"usage: backup.sh <file>"}
url=${ROUTER_DB_URL:?"set ROUTER_DB_URL"}
fresh="$file.partial.$$"
trap 'rm -f "$fresh"' EXIT
# Without owners and rights, so that it can be restored under any role.
pg_dump --format=custom --no-owner --no-privileges --lock-wait-timeout=30000 --file="$fresh" "$url"
# A dump that cannot be listed cannot be restored.
pg_restore --list "$fresh" | grep -q 'TABLE DATA' || { echo "backup: the dump holds no data" >&2; exit 1; }
mv "$fresh" "$file"
trap - EXIT
echo "backup: $file, $(wc -c <"$file" | tr -d ' ') bytes"
