-- Redis's own time in milliseconds: no process's clock decides about a window, a lease or a budget.
-- `override` is '' in production; the tests pass a time, so that minutes can go by without waiting.
local function clock_ms(override)
  if override ~= '' then
    return tonumber(override)
  end
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end
