-- Raises what a running call holds, before one more attempt is made for it: what its failed attempts were billed is spent.
--
-- KEYS  1 attempts  2 budget of the tenant  3 budget of the key (not read without a key budget)
-- ARGV  1 base  2 attempt id  3 key window id ('' for none)
--       4 JSON array of integers: 1 wanted  2 least  3 allowance while unseeded
--         4 tenant limit  5 end of its window in ms  6 key limit  7 end of its window in ms
--       5 time override ('' in production)
-- Returns what is held more now, or -1 when less than the least remains, or the call is not open any more
--- @include integer
--- @include clock
--- @include budget
--- @include attempt
local base, id = ARGV[1], ARGV[2]
local n = cjson.decode(ARGV[4])
local now = clock_ms(ARGV[5])
local a = attempt_read(KEYS[1], id)
if not a or a.state ~= 'o' then
  return -1
end
local bt = budget_load(KEYS[2], n[4], n[3], now)
local bk = ARGV[3] ~= '' and budget_load(KEYS[3], n[6], n[3], now) or nil
local more = math.min(n[1], bt.remaining)
if bk then
  more = math.min(more, bk.remaining)
end
more = math.max(0, more)
if more < n[2] then
  return -1
end
a.nano = a.nano + more
attempt_write(KEYS[1], id, a, attempt_payload(a))
budget_move(base, bt, more, n[5], now)
if bk then
  budget_move(base, bk, more, n[7], now)
end
return more
