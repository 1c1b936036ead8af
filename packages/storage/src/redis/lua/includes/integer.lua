-- Lua makes text of a number with 14 digits; amounts have up to 16. Whatever is joined into text goes through here.
-- Arguments of redis.call (17 digits) and returned numbers (64-bit integers) are exact below 2^53 as they are.
local function int(value)
  return string.format('%.0f', value)
end
