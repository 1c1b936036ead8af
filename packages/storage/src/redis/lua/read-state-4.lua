-- The state of a tenant's and a key's budget. Changes nothing.
--
-- KEYS  1 budget of the tenant  2 budget of the key
-- ARGV  1 tenant limit  2 key limit ('' for none)  3 time override ('' in production)
-- Returns 1-3 tenant budget: spent ('' unseeded), open, needs seed  4-6 key budget: the same
--- @include integer
--- @include clock
--- @include budget
local now = clock_ms(ARGV[3])
local out = {}
for i = 1, 2 do
  if ARGV[i] ~= '' then
    local b = budget_load(KEYS[i], tonumber(ARGV[i]), 0, now)
    local n = #out
    out[n + 1], out[n + 2], out[n + 3] = b.spent or '', b.open, b.needs_seed and 1 or 0
  end
end
return out
