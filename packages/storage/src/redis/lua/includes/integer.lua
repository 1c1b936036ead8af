-- Lua prints numbers with 14 digits; amounts have up to 16. Every integer that is stored or returned goes through here.
-- Exact below 2^53.
local function int(value)
  return string.format('%.0f', value)
end
