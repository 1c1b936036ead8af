-- After the commit: the attempts are gone, their share of `open` is given back and the spend is Postgres's total now, in
-- one step, so that spent + open is never too low. An attempt that is gone already changes nothing.
--
-- KEYS  1 attempts  2 attempts' times   (the keys' parts are found from the attempts)
-- ARGV  1 base  2 time override ('' in production)  3 number of attempts, at least 1  4.. attempt ids, each once
--       then per total: 'tenant' or 'key', key id ('' for the tenant), window id, its end in ms, spent, version,
--       fresh until (see includes/seed)
-- Returns the number of attempts that were there
--- @include integer
--- @include clock
--- @include budget
--- @include attempt
--- @include seed
local base, now, count = ARGV[1], clock_ms(ARGV[2]), tonumber(ARGV[3])
local ids = { unpack(ARGV, 4, 3 + count) }
local texts = redis.call('HMGET', KEYS[1], unpack(ids))
local released = 0
-- Most attempts of a batch share their budgets: each budget is written once.
local owed, order = {}, {}
local function give_back(key, nano)
  if not owed[key] then
    owed[key], order[#order + 1] = 0, key
  end
  owed[key] = owed[key] + nano
end
for i = 1, count do
  if texts[i] then
    local a = attempt_parse(texts[i])
    if a.tenant_window ~= '' then
      give_back(budget_key(base, 'tenant', '', a.tenant_window), a.nano)
    end
    if a.key_window ~= '' then
      give_back(budget_key(base, 'key', a.key_id, a.key_window), a.nano)
    end
    if a.state == 'o' then
      redis.call('ZREM', base .. 'open:' .. a.key_id, ids[i])
    end
    released = released + 1
  end
end
for _, key in ipairs(order) do
  budget_move(base, budget_load(key, 0, 0, now), -owed[key], now, now)
end
if released > 0 then
  redis.call('HDEL', KEYS[1], unpack(ids))
end
redis.call('ZREM', KEYS[2], unpack(ids))
seed_totals(base, 4 + count, now)
return released
