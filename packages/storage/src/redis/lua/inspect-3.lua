-- What Redis holds of a tenant.
--
-- KEYS  1 index of budgets  2 attempts  3 attempts' times
-- ARGV  1 base
-- Returns 1 open attempts  2 ended attempts  3 attempts  then per budget: name without the base, spent, open, version
local base = ARGV[1]
local out = { redis.call('ZCOUNT', KEYS[3], 0, '+inf'), redis.call('ZCOUNT', KEYS[3], '-inf', '(0'), redis.call('HLEN', KEYS[2]) }
for _, key in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local h = redis.call('HMGET', key, 's', 'o', 'v')
  if h[1] or h[2] then
    local n = #out
    out[n + 1], out[n + 2], out[n + 3], out[n + 4] = string.sub(key, #base + 1), h[1] or '', h[2] or '0', h[3] or ''
  end
end
return out
