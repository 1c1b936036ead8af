-- Turns an open attempt whose lease has ended into an ended one with the reaper's event; what it held stays open until
-- that is booked. Refuses when it was settled, cancelled or renewed meanwhile.
--
-- KEYS  1 attempts  2 attempts' times
-- ARGV  1 base  2 attempt id  3 event  4 time override ('' in production)
-- Returns 1, or 0 when it is not an expired open attempt any more
--- @include integer
--- @include clock
--- @include budget
--- @include attempt
local base, id, now = ARGV[1], ARGV[2], clock_ms(ARGV[4])
local lease_end = redis.call('ZSCORE', KEYS[2], id)
local a = lease_end and tonumber(lease_end) < now and attempt_read(KEYS[1], id)
if not a or a.state ~= 'o' then
  return 0
end
a.state = 'e'
attempt_write(KEYS[1], id, a, ARGV[3])
redis.call('ZREM', base .. 'open:' .. a.key_id, id)
redis.call('ZADD', KEYS[2], int(-now), id)
return 1
