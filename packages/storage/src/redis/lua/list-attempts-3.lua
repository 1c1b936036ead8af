-- Attempts whose time (lease end of open ones, end of ended ones) lies more than `older than` ago, oldest first.
--
-- Drops the marks of cancelled attempts that have come to their end, as it comes by here anyway.
--
-- KEYS  1 attempts  2 attempts' times  3 cancelled attempts
-- ARGV  1 'open' or 'ended'  2 older than in ms  3 most to return  4 time override ('' in production)
-- Returns per attempt: id, time in ms, key id, held or owed, payload
--- @include integer
--- @include clock
--- @include budget
--- @include attempt
local now = clock_ms(ARGV[4])
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', '(' .. int(now), 'LIMIT', 0, 256)) do
  local mark = attempt_read(KEYS[1], id)
  if mark and mark.state == 'c' then
    redis.call('HDEL', KEYS[1], id)
  end
  redis.call('ZREM', KEYS[3], id)
end
local before = int(now - tonumber(ARGV[2]))
local found
if ARGV[1] == 'open' then
  found = redis.call('ZRANGEBYSCORE', KEYS[2], '0', '(' .. before, 'WITHSCORES', 'LIMIT', 0, ARGV[3])
else
  found = redis.call('ZREVRANGEBYSCORE', KEYS[2], '(0', '(-' .. before, 'WITHSCORES', 'LIMIT', 0, ARGV[3])
end
local out = {}
for i = 1, #found, 2 do
  local a = attempt_read(KEYS[1], found[i])
  if a then
    local n = #out
    out[n + 1], out[n + 2], out[n + 3], out[n + 4], out[n + 5] = found[i], int(math.abs(tonumber(found[i + 1]))), a.key_id, a.nano, attempt_payload(a)
  else
    redis.call('ZREM', KEYS[2], found[i])
  end
end
return out
