-- Ends an attempt: its hold becomes the real cost, the token windows get the real count, the lease is free and the usage
-- event is stored until the recorder releases it. A second settlement of the same attempt changes nothing.
--
-- KEYS  1 attempts  2 attempts' times  3 open attempts of the key  4 window of the tenant  5 window of the key
--       6 budget of the tenant  7 budget of the key (not read without a key budget)
-- ARGV  1 base  2 attempt id  3 key id  4 tenant window id  5 key window id ('' for none)
--       6 JSON array of integers: 1 tokens  2 cost  3 tenant limit  4 end of its window in ms  5 key limit  6 end of its window
--       7 event  8 time override ('' in production)
-- Returns, joined by commas: 1 was open (1), not known and stored all the same (2), ended before (0)
--       2-4 tenant budget: spent ('' unseeded), open, needs seed  5-7 key budget: the same
--- @include integer
--- @include clock
--- @include window
--- @include budget
--- @include attempt
local base, id, key_id = ARGV[1], ARGV[2], ARGV[3]
local n = cjson.decode(ARGV[6])
local now = clock_ms(ARGV[8])
local tokens, cost = n[1], n[2]
local a = attempt_read(KEYS[1], id)
local was_open = a ~= nil and a.state == 'o'
local outcome = was_open and 1 or a == nil and 2 or 0
local same_windows = a == nil or (a.tenant_window == ARGV[4] and a.key_window == ARGV[5])

if was_open and not same_windows then
  attempt_move_budgets(base, a, cost - a.nano, now)
end
local bt = budget_load(KEYS[6], n[3], 0, now)
local bk = ARGV[5] ~= '' and budget_load(KEYS[7], n[5], 0, now) or nil

-- An attempt that Redis lost is owed all the same, until the recorder has booked it.
local delta = (was_open and cost - a.nano) or (not a and cost) or 0
if same_windows and delta ~= 0 then
  budget_move(base, bt, delta, n[4], now)
  if bk then
    budget_move(base, bk, delta, n[6], now)
  end
end
if was_open then
  local diff = tokens - a.tokens
  if diff ~= 0 then
    window_correct(window_load(KEYS[5], now), a.sec, 0, diff)
    window_correct(window_load(KEYS[4], now), a.sec, 0, diff)
  end
  redis.call('ZREM', KEYS[3], id)
end
if was_open or not a then
  a = a or { key_id = key_id, sec = math.floor(now / 1000), tokens = tokens, tenant_window = ARGV[4], key_window = ARGV[5] }
  a.state, a.nano = 'e', cost
  attempt_write(KEYS[1], id, a, ARGV[7])
  redis.call('ZADD', KEYS[2], int(-now), id)
end

return int(outcome) .. ',' .. budgets_reply(bt, bk)
