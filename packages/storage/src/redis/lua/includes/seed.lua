-- Takes over Postgres's totals from ARGV[from] on, seven arguments each: scope, key id, window id, its end in ms, spent,
-- version, fresh until in ms (or '+ms' from now on; '' for calendar windows). A total with an older version than the one here is ignored.
local function seed_totals(base, from, now_ms)
  for i = from, #ARGV, 7 do
    local key = budget_key(base, ARGV[i], ARGV[i + 1], ARGV[i + 2])
    local h = redis.call('HMGET', key, 'v', 'k')
    if not h[1] or tonumber(ARGV[i + 5]) >= tonumber(h[1]) then
      local fresh = ARGV[i + 6]
      if string.sub(fresh, 1, 1) == '+' then
        fresh = int(now_ms + tonumber(fresh))
      end
      if fresh == '' then
        redis.call('HSET', key, 's', ARGV[i + 4], 'v', ARGV[i + 5])
      else
        redis.call('HSET', key, 's', ARGV[i + 4], 'v', ARGV[i + 5], 'f', fresh)
      end
      budget_keep(base, key, tonumber(h[2] or 0), tonumber(ARGV[i + 3]), now_ms)
    end
  end
end
