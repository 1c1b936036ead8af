-- Takes a tenant off the list of active tenants unless an edge has announced it again since.
--
-- KEYS  1 active tenants
-- ARGV  1 tenant id  2 idle for at least this long, in ms
-- Returns 1 when it was taken off, else 0
--- @include clock
local at = redis.call('ZSCORE', KEYS[1], ARGV[1])
if at and tonumber(at) < clock_ms('') - tonumber(ARGV[2]) then
  return redis.call('ZREM', KEYS[1], ARGV[1])
end
return 0
