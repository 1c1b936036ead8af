-- Puts a tenant on the list of active tenants, by Redis's time.
--
-- KEYS  1 active tenants
-- ARGV  1 tenant id  2 life of the list in ms
--- @include clock
redis.call('ZADD', KEYS[1], clock_ms(''), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
