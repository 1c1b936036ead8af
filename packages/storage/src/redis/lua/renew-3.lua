-- Prolongs the lease of a running call.
--
-- KEYS  1 attempts  2 attempts' times  3 open attempts of the key
-- ARGV  1 attempt id  2 lease in ms  3 time override ('' in production)
-- Returns 1, or 0 when the attempt is not open any more
--- @include clock
local now = clock_ms(ARGV[3])
local at = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not at or tonumber(at) < 0 then
  return 0
end
local lease_end = now + tonumber(ARGV[2])
redis.call('ZADD', KEYS[2], 'XX', lease_end, ARGV[1])
redis.call('ZADD', KEYS[3], 'XX', lease_end, ARGV[1])
return 1
