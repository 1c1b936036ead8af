-- A budget of one scope in one window: a hash with
--   o  open: what running calls hold and what settled calls cost that are not in Postgres yet
--   s  spent: Postgres's total, never added to here; absent until it was seeded
--   v  version of that total; an older one is ignored
--   f  rolling windows: until when the total is fresh
--   k  until when the hash is kept
-- Every hash is listed in the tenant's index with its end of life, so that they can be found without a scan.
local DAY_MS = 24 * 3600 * 1000
local RETAIN_MS = 14 * DAY_MS
local RETAIN = int(RETAIN_MS)

local function budget_key(base, scope, key_id, window_id)
  if scope == 'tenant' then
    return base .. 'budget:tenant:' .. window_id
  end
  return base .. 'budget:key:' .. key_id .. ':' .. window_id
end

local function budget_load(key, limit, allowance, now_ms)
  local h = redis.call('HMGET', key, 'o', 's', 'f', 'k')
  local b = { key = key, limit = limit, exists = h[1] ~= false or h[2] ~= false }
  b.open = tonumber(h[1] or 0)
  b.spent = h[2] and tonumber(h[2]) or nil
  b.kept_until = tonumber(h[4] or 0)
  b.needs_seed = b.spent == nil or (h[3] and now_ms > tonumber(h[3])) or false
  -- Without Postgres's total only a small allowance may be open.
  local ceiling = b.spent and limit - b.spent or math.min(limit, allowance)
  b.remaining = ceiling - b.open
  return b
end

-- Of the tenant's budget and, where there is one, of the key's: spent ('' unseeded), open, needs seed.
local function budgets_reply(bt, bk)
  local text = string.format('%s,%d,%d', bt.spent and int(bt.spent) or '', bt.open, bt.needs_seed and 1 or 0)
  return bk and text .. ',' .. budgets_reply(bk) or text
end

-- Lists a budget in the tenant's index. Entries whose hash has expired are taken off a few at a time.
local function budget_list(base, key, expires_ms, now_ms)
  local index = base .. 'budgets'
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', index, '-inf', int(now_ms), 'LIMIT', 0, 16)) do
    local ttl = redis.call('PTTL', old)
    if ttl > 0 then
      redis.call('ZADD', index, int(now_ms + ttl), old)
    else
      redis.call('ZREM', index, old)
    end
  end
  redis.call('ZADD', index, int(expires_ms), key)
  local ttl = int(expires_ms - now_ms)
  redis.call('PEXPIRE', index, ttl, 'NX')
  redis.call('PEXPIRE', index, ttl, 'GT')
end

-- Keeps the hash for two weeks after its window's end, attempts may still have to be booked; up to a day less, so that the
-- moving end of a rolling window is written once a day.
local function budget_keep(base, key, kept_until_ms, window_end_ms, now_ms)
  local keep_until_ms = math.max(window_end_ms, now_ms) + RETAIN_MS
  if kept_until_ms >= keep_until_ms - DAY_MS then
    return
  end
  redis.call('HSET', key, 'k', int(keep_until_ms))
  redis.call('PEXPIRE', key, int(keep_until_ms - now_ms))
  budget_list(base, key, keep_until_ms, now_ms)
end

-- Changes what is open. A hash that is gone (flushed, expired) has nothing to give back.
local function budget_move(base, b, delta, window_end_ms, now_ms)
  if delta == 0 or (delta < 0 and not b.exists) then
    return
  end
  b.open = math.max(0, b.open + delta)
  redis.call('HSET', b.key, 'o', int(b.open))
  b.exists = true
  budget_keep(base, b.key, b.kept_until, window_end_ms, now_ms)
end
