-- Decides one request for its key and its tenant, all or nothing: budget, requests, tokens, parallel.
--
-- KEYS  1 attempts  2 attempts' times  3 open attempts of the key  4 window of the tenant
--       5 window of the key  6 budget of the tenant  7 budget of the key (not read without a key budget)
-- ARGV  1 base (key prefix of the tenant)  2 attempt id  3 key id  4 tenant window id  5 key window id ('' for none)
--       6 JSON array of integers: 1-3 key: requests, tokens per minute, parallel  4-6 tenant: the same
--         7 estimated tokens  8 wanted hold  9 least hold  10 allowance while unseeded
--         11 tenant limit  12 end of its window in ms  13 key limit  14 end of its window in ms  15 lease in ms
--       7 payload  8 time override ('' in production)
-- Returns, joined by commas: 1 reason ('' = admitted)  2 scope  3 retry after ms  4 held  5 1 if Redis had nothing of the tenant
--       6-8 requests: limit, remaining, reset ms  9-11 tokens: the same
--       12-14 tenant budget: spent ('' unseeded), open, needs seed  15-17 key budget: the same
--- @include integer
--- @include clock
--- @include window
--- @include budget
--- @include attempt
--- @include state
local base, id, key_id = ARGV[1], ARGV[2], ARGV[3]
local n = cjson.decode(ARGV[6])
local now = clock_ms(ARGV[8])
local estimate = n[7]

local wk, wt = window_load(KEYS[5], now), window_load(KEYS[4], now)
wk.who, wk.leases_by, wk.requests, wk.tokens, wk.parallel = 'key', KEYS[3], n[1], n[2], n[3]
wt.who, wt.leases_by, wt.requests, wt.tokens, wt.parallel = 'tenant', KEYS[2], n[4], n[5], n[6]
local bt = budget_load(KEYS[6], n[11], n[10], now)
local bk = ARGV[5] ~= '' and budget_load(KEYS[7], n[13], n[10], now) or nil

local function answer(reason, scope, retry_ms, held, first)
  return state_reply(reason, scope, math.max(0, retry_ms), held, first, wk, wt, bt, bk)
end

-- The same attempt again (a command that was sent twice after a lost connection) changes nothing, nor does one that was
-- cancelled before it came.
local known = attempt_read(KEYS[1], id)
if known then
  return answer('', '', 0, known.nano, 0)
end

local least = math.max(1, n[9])
if bk and bk.remaining < least then
  return answer('budget', 'key', n[14] - now, 0, 0)
end
if bt.remaining < least then
  return answer('budget', 'tenant', n[12] - now, 0, 0)
end

local reason, scope, retry_ms = '', '', 0
local function refuse(why, who, wait_ms)
  if reason == '' then
    reason, scope = why, who
  end
  retry_ms = math.max(retry_ms, wait_ms)
end
for _, w in ipairs({ wk, wt }) do
  if w.n >= w.requests then
    refuse('requests', w.who, window_wait_ms(w, 2, w.n, w.requests))
  end
end
for _, w in ipairs({ wk, wt }) do
  if w.t >= w.tokens then
    refuse('tokens', w.who, window_wait_ms(w, 3, w.t, w.tokens))
  end
end
local after = '(' .. int(now)
for _, w in ipairs({ wk, wt }) do
  w.leases = redis.call('ZCOUNT', w.leases_by, after, '+inf')
  if w.leases >= w.parallel then
    -- When a running call ends nobody knows; at the latest when the first lease does.
    local first = redis.call('ZRANGEBYSCORE', w.leases_by, after, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    refuse('parallel', w.who, math.min(1000, first[2] and tonumber(first[2]) - now or 1000))
  end
end
if reason ~= '' then
  return answer(reason, scope, retry_ms, 0, 0)
end

local held = math.min(n[8], bt.remaining)
if bk then
  held = math.min(held, bk.remaining)
end
local first = not wt.l and redis.call('EXISTS', KEYS[1]) == 0
attempt_write(KEYS[1], id, {
  state = 'o', key_id = key_id, sec = wt.sec, tokens = estimate, nano = held,
  tenant_window = ARGV[4], key_window = ARGV[5],
}, ARGV[7])
local lease_end = int(now + n[15])
redis.call('ZADD', KEYS[2], lease_end, id)
redis.call('ZADD', KEYS[3], lease_end, id)
-- A life is prolonged once a minute; what may be new gets one in any case.
if wk.leases == 0 or window_in_new_minute(wk) then
  redis.call('PEXPIRE', KEYS[3], RETAIN)
end
budget_move(base, bt, held, n[12], now)
if bk then
  budget_move(base, bk, held, n[14], now)
end
window_charge(wk, 1, estimate)
window_charge(wt, 1, estimate)
return answer('', '', 0, held, first and 1 or 0)
