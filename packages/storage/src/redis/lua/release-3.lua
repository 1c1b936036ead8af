-- After the commit: the attempts are gone, their share of `open` is given back and the spend is Postgres's total now, in
-- one step, so that spent + open is never too low. An attempt that is gone already changes nothing.
--
-- KEYS  1 attempts  2 open attempts of the tenant  3 ended attempts   (the keys' parts are found from the attempts)
-- ARGV  1 base  2 time override ('' in production)  3 number of attempts  4.. attempt ids
--       then per total: 'tenant' or 'key', key id ('' for the tenant), window id, its end in ms, spent, version,
--       fresh until (see includes/seed)
-- Returns the number of attempts that were there
--- @include integer
--- @include clock
--- @include budget
--- @include attempt
--- @include seed
local base, now, count = ARGV[1], clock_ms(ARGV[2]), tonumber(ARGV[3])
local released = 0
for i = 4, 3 + count do
  local id = ARGV[i]
  local a = attempt_read(KEYS[1], id)
  if a then
    attempt_move_budgets(base, a, -a.nano, now)
    redis.call('HDEL', KEYS[1], id)
    if a.state == 'o' then
      redis.call('ZREM', base .. 'open:' .. a.key_id, id)
    end
    released = released + 1
  end
  redis.call('ZREM', KEYS[2], id)
  redis.call('ZREM', KEYS[3], id)
end
seed_totals(base, 4 + count, now)
return released
