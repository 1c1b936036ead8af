-- An attempt is one field of the tenant's hash `attempts`:
--   state|key id|second of admission|estimated tokens|held or owed nano-USD|tenant window|key window|payload
-- state `o` is open (payload: what a reaper needs), `e` ended (payload: the usage event). All attempts of a tenant share
-- one hash, so they expire together with the rest of the tenant or not at all.
local ATTEMPT = '^(%a)|([^|]*)|(%d+)|(%d+)|(%d+)|([^|]*)|([^|]*)|(.*)$'

local function attempt_read(key, id)
  local text = redis.call('HGET', key, id)
  if not text then
    return nil
  end
  local state, key_id, sec, tokens, nano, tenant_window, key_window, payload = string.match(text, ATTEMPT)
  return {
    state = state,
    key_id = key_id,
    sec = tonumber(sec),
    tokens = tonumber(tokens),
    nano = tonumber(nano),
    tenant_window = tenant_window,
    key_window = key_window,
    payload = payload,
  }
end

local function attempt_write(key, id, a)
  redis.call('HSET', key, id, table.concat({
    a.state, a.key_id, int(a.sec), int(a.tokens), int(a.nano), a.tenant_window, a.key_window, a.payload,
  }, '|'))
end

-- Gives the attempt's share of `open` back to the windows of its admission.
local function attempt_free_budgets(base, a, delta, now_ms)
  if a.tenant_window ~= '' then
    budget_add_open(base, budget_key(base, 'tenant', '', a.tenant_window), delta, now_ms, now_ms)
  end
  if a.key_window ~= '' then
    budget_add_open(base, budget_key(base, 'key', a.key_id, a.key_window), delta, now_ms, now_ms)
  end
end
