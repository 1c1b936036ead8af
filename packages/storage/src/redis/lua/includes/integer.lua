-- Lua makes text of a number with 14 digits; amounts have up to 16. Whatever is joined into text goes through here, and so do
-- the arguments of redis.call: Redis would print them as floating point, which costs several times as much.
-- Returned numbers (64-bit integers) are exact below 2^53 as they are.
local function int(value)
  return string.format('%d', value)
end
