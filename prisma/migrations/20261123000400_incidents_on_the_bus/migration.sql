-- Incidents of routes live in the KV bucket `incidents`, where the monitor writes and the admin API reads them: the monitor has no
-- way to Postgres. Nothing ever wrote to this table.

-- DropTable
DROP TABLE "route_incidents";
