-- Gives everything back, as if the request had never been: nothing was sent upstream.
--
-- The admission may still be on its way: its edge gave it up while Redis hung, and connections keep no order among each
-- other. An attempt that is not known is therefore marked as cancelled, for a while, and an admission that comes later
-- changes nothing. The reaper drops the mark at its end of life.
--
-- KEYS  1 attempts  2 attempts' times  3 open attempts of the key  4 window of the tenant  5 window of the key
--       6 cancelled attempts, by their marks' end of life
-- ARGV  1 base  2 attempt id  3 key id  4 time override ('' in production)
-- Returns 1 when it was open, else 0
--- @include integer
--- @include clock
--- @include window
--- @include budget
--- @include attempt
local MARK_MS = 5 * 60 * 1000
local base, id = ARGV[1], ARGV[2]
local now = clock_ms(ARGV[4])
local a = attempt_read(KEYS[1], id)
if not a then
  attempt_write(KEYS[1], id, { state = 'c', key_id = ARGV[3], sec = int(now / 1000), tokens = 0, nano = 0, tenant_window = '', key_window = '' }, '')
  redis.call('ZADD', KEYS[6], int(now + MARK_MS), id)
  return 0
end
if a.state ~= 'o' then
  return 0
end
redis.call('HDEL', KEYS[1], id)
redis.call('ZREM', KEYS[2], id)
redis.call('ZREM', KEYS[3], id)
attempt_move_budgets(base, a, -a.nano, now)
window_correct(window_load(KEYS[5], now), a.sec, -1, -a.tokens)
window_correct(window_load(KEYS[4], now), a.sec, -1, -a.tokens)
return 1
