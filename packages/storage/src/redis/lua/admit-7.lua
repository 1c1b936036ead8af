-- Decides one request for its key and its tenant, all or nothing: budget, requests, tokens, parallel.
--
-- KEYS  1 attempts  2 open attempts of the tenant  3 open attempts of the key  4 window of the tenant
--       5 window of the key  6 budget of the tenant  7 budget of the key (not read without a key budget)
-- ARGV  1 base (key prefix of the tenant)  2 attempt id  3 key id
--       4-6 key: requests, tokens per minute, parallel   7-9 tenant: the same
--       10 estimated tokens  11 wanted hold  12 least hold  13 allowance while unseeded
--       14 tenant window id  15 its end in ms  16 tenant limit
--       17 key window id ('' for none)  18 its end in ms  19 key limit
--       20 lease in ms  21 payload  22 time override ('' in production)
-- Returns 1 reason ('' = admitted)  2 scope  3 retry after ms  4 held  5 1 if the tenant had no attempts before
--       6-8 requests: limit, remaining, reset ms  9-11 tokens: the same
--       12-14 tenant budget: spent ('' unseeded), open, needs seed  15-17 key budget: the same
--- @include integer
--- @include clock
--- @include window
--- @include budget
--- @include attempt
local base, id, key_id = ARGV[1], ARGV[2], ARGV[3]
local now = clock_ms(ARGV[22])
local estimate, wanted, least, allowance = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13])
local has_key_budget = ARGV[17] ~= ''

local wk, wt = window_load(KEYS[5], now), window_load(KEYS[4], now)
wk.who, wk.open, wt.who, wt.open = 'key', KEYS[3], 'tenant', KEYS[2]
wk.requests, wk.tokens, wk.parallel = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
wt.requests, wt.tokens, wt.parallel = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local bt = budget_load(KEYS[6], tonumber(ARGV[16]), allowance, now)
local bk = has_key_budget and budget_load(KEYS[7], tonumber(ARGV[19]), allowance, now) or nil

local function tighter(limit_a, used_a, limit_b, used_b)
  local a, b = math.max(0, limit_a - used_a), math.max(0, limit_b - used_b)
  if b < a then
    return limit_b, b, false
  end
  return limit_a, a, true
end

local function answer(reason, scope, retry_ms, held, first)
  local rl, rr, r_key = tighter(wk.requests, wk.n, wt.requests, wt.n)
  local tl, tr, t_key = tighter(wk.tokens, wk.t, wt.tokens, wt.t)
  local out = {
    reason, scope, int(math.max(0, retry_ms)), int(held), first,
    int(rl), int(rr), int(window_reset_ms(r_key and wk or wt)),
    int(tl), int(tr), int(window_reset_ms(t_key and wk or wt)),
    bt.spent and int(bt.spent) or '', int(bt.open), bt.needs_seed and '1' or '',
  }
  if bk then
    out[15], out[16], out[17] = bk.spent and int(bk.spent) or '', int(bk.open), bk.needs_seed and '1' or ''
  end
  return out
end

-- The same attempt again (a command that was sent twice after a lost connection) changes nothing.
local known = attempt_read(KEYS[1], id)
if known then
  return answer('', '', 0, known.nano, '')
end

local reason, scope, retry_ms = '', '', 0
local function refuse(why, who, wait_ms)
  if reason == '' then
    reason, scope = why, who
  end
  retry_ms = math.max(retry_ms, wait_ms)
end

local floor = math.max(1, least)
if bk and bk.remaining < floor then
  return answer('budget', 'key', tonumber(ARGV[18]) - now, 0, '')
end
if bt.remaining < floor then
  return answer('budget', 'tenant', tonumber(ARGV[15]) - now, 0, '')
end
for _, w in ipairs({ wk, wt }) do
  if w.n >= w.requests then
    refuse('requests', w.who, window_wait_ms(w, 'r', w.n, w.requests))
  end
end
for _, w in ipairs({ wk, wt }) do
  if w.t >= w.tokens then
    refuse('tokens', w.who, window_wait_ms(w, 'x', w.t, w.tokens))
  end
end
for _, w in ipairs({ wk, wt }) do
  if redis.call('ZCOUNT', w.open, '(' .. int(now), '+inf') >= w.parallel then
    -- When a running call ends nobody knows; at the latest when the first lease does.
    local first = redis.call('ZRANGEBYSCORE', w.open, '(' .. int(now), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    refuse('parallel', w.who, math.min(1000, first[2] and tonumber(first[2]) - now or 1000))
  end
end
if reason ~= '' then
  return answer(reason, scope, retry_ms, 0, '')
end

local held = math.min(wanted, bt.remaining)
if bk then
  held = math.min(held, bk.remaining)
end
local first = redis.call('EXISTS', KEYS[1]) == 0 and '1' or ''
attempt_write(KEYS[1], id, {
  state = 'o', key_id = key_id, sec = wt.sec, tokens = estimate, nano = held,
  tenant_window = ARGV[14], key_window = ARGV[17], payload = ARGV[21],
})
local lease_end = int(now + tonumber(ARGV[20]))
redis.call('ZADD', KEYS[2], lease_end, id)
redis.call('ZADD', KEYS[3], lease_end, id)
for i = 1, 3 do
  redis.call('PEXPIRE', KEYS[i], int(RETAIN_MS))
end
window_charge(wk, 1, estimate)
window_charge(wt, 1, estimate)
for _, b in ipairs({ { bt, 15 }, bk and { bk, 18 } or nil }) do
  local budget, window_end = b[1], tonumber(ARGV[b[2]])
  budget.open = budget.open + held
  redis.call('HSET', budget.key, 'o', int(budget.open))
  budget_keep(base, budget.key, not budget.exists, window_end, now)
end
return answer('', '', 0, held, first)
