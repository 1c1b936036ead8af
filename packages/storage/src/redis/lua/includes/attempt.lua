-- An attempt is one field of the tenant's hash `attempts`:
--   state|key id|second of admission|estimated tokens|held or owed nano-USD|tenant window|key window|payload
-- state `o` is open (payload: what a reaper needs), `e` ended (payload: the usage event), `c` cancelled before its admission
-- came (no payload). None of them expires: each is released or, by the reaper, booked or dropped. The sorted set `times` has open ones by the end of their lease and ended ones by the negative of the time of their end.
local ATTEMPT = '^(%a)|([^|]*)|(%d+)|(%d+)|(%d+)|([^|]*)|([^|]*)|()'

local function attempt_parse(text)
  local state, key_id, sec, tokens, nano, tenant_window, key_window, payload_at = string.match(text, ATTEMPT)
  return {
    state = state,
    key_id = key_id,
    sec = tonumber(sec),
    tokens = tonumber(tokens),
    nano = tonumber(nano),
    tenant_window = tenant_window,
    key_window = key_window,
    text = text,
    payload_at = payload_at,
  }
end

local function attempt_read(key, id)
  local text = redis.call('HGET', key, id)
  return text and attempt_parse(text) or nil
end

local function attempt_payload(a)
  return string.sub(a.text, a.payload_at)
end

local function attempt_write(key, id, a, payload)
  redis.call('HSET', key, id, table.concat({
    a.state, a.key_id, a.sec, int(a.tokens), int(a.nano), a.tenant_window, a.key_window, payload,
  }, '|'))
end

-- Changes the attempt's share of `open` in the windows of its admission.
local function attempt_move_budgets(base, a, delta, now_ms)
  if a.tenant_window ~= '' then
    local b = budget_load(budget_key(base, 'tenant', '', a.tenant_window), 0, 0, now_ms)
    budget_move(base, b, delta, now_ms, now_ms)
  end
  if a.key_window ~= '' then
    local b = budget_load(budget_key(base, 'key', a.key_id, a.key_window), 0, 0, now_ms)
    budget_move(base, b, delta, now_ms, now_ms)
  end
end
