-- Gives everything back, as if the request had never been: nothing was sent upstream.
--
-- KEYS  1 attempts  2 open attempts of the tenant  3 open attempts of the key  4 window of the tenant  5 window of the key
-- ARGV  1 base  2 attempt id  3 time override ('' in production)
-- Returns 1 when it was open, else 0
--- @include integer
--- @include clock
--- @include window
--- @include budget
--- @include attempt
local base, id = ARGV[1], ARGV[2]
local now = clock_ms(ARGV[3])
local a = attempt_read(KEYS[1], id)
if not a or a.state ~= 'o' then
  return 0
end
redis.call('HDEL', KEYS[1], id)
redis.call('ZREM', KEYS[2], id)
redis.call('ZREM', KEYS[3], id)
attempt_move_budgets(base, a, -a.nano, now)
window_correct(window_load(KEYS[5], now), a.sec, -1, -a.tokens)
window_correct(window_load(KEYS[4], now), a.sec, -1, -a.tokens)
return 1
