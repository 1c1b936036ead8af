-- Ends an attempt: its hold becomes the real cost, the token windows get the real count, the lease is free and the usage
-- event is stored until the recorder releases it. A second settlement of the same attempt changes nothing.
--
-- KEYS  1 attempts  2 open attempts of the tenant  3 open attempts of the key  4 ended attempts
--       5 window of the tenant  6 window of the key  7 budget of the tenant  8 budget of the key
-- ARGV  1 base  2 attempt id  3 key id  4 tokens  5 cost  6 event
--       7 tenant window id  8 its end in ms  9 tenant limit  10 key window id ('' for none)  11 its end  12 key limit
--       13 time override ('' in production)
-- Returns 1 was open ('1' or '')  2-4 tenant budget: spent ('' unseeded), open, needs seed  5-7 key budget: the same
--- @include integer
--- @include clock
--- @include window
--- @include budget
--- @include attempt
local base, id, key_id = ARGV[1], ARGV[2], ARGV[3]
local now = clock_ms(ARGV[13])
local tokens, cost = tonumber(ARGV[4]), tonumber(ARGV[5])
local has_key_budget = ARGV[10] ~= ''
local a = attempt_read(KEYS[1], id)
local was_open = a ~= nil and a.state == 'o'

if was_open then
  attempt_free_budgets(base, a, cost - a.nano, now)
  local diff = tokens - a.tokens
  if diff ~= 0 then
    window_correct(window_load(KEYS[6], now), a.sec, 0, diff)
    window_correct(window_load(KEYS[5], now), a.sec, 0, diff)
  end
  redis.call('ZREM', KEYS[2], id)
  redis.call('ZREM', KEYS[3], id)
elseif not a then
  -- Redis lost the attempt: it is owed all the same, until the recorder has booked it.
  a = { key_id = key_id, sec = math.floor(now / 1000), tokens = tokens, tenant_window = ARGV[7], key_window = ARGV[10] }
  budget_add_open(base, KEYS[7], cost, tonumber(ARGV[8]), now)
  if has_key_budget then
    budget_add_open(base, KEYS[8], cost, tonumber(ARGV[11]), now)
  end
end
if a.state ~= 'e' then
  a.state, a.nano, a.payload = 'e', cost, ARGV[6]
  attempt_write(KEYS[1], id, a)
  redis.call('ZADD', KEYS[4], int(now), id)
  redis.call('PEXPIRE', KEYS[1], int(RETAIN_MS))
  redis.call('PEXPIRE', KEYS[4], int(RETAIN_MS))
end

local bt = budget_load(KEYS[7], tonumber(ARGV[9]), 0, now)
local out = { was_open and '1' or '', bt.spent and int(bt.spent) or '', int(bt.open), bt.needs_seed and '1' or '' }
if has_key_budget then
  local bk = budget_load(KEYS[8], tonumber(ARGV[12]), 0, now)
  out[5], out[6], out[7] = bk.spent and int(bk.spent) or '', int(bk.open), bk.needs_seed and '1' or ''
end
return out
