-- What is left of limits and budgets, for answers that were never admitted. Changes nothing but what has expired.
--
-- KEYS  1 window of the tenant  2 window of the key  3 budget of the tenant  4 budget of the key (not read without a key budget)
-- ARGV  1 JSON array of integers: 1-2 key: requests, tokens per minute  3-4 tenant: the same  5 tenant limit  6 key limit
--       2 '1' with a key budget, else ''  3 time override ('' in production)
-- Returns what admit-7 returns; its first five values mean nothing
--- @include integer
--- @include clock
--- @include window
--- @include budget
--- @include state
local n = cjson.decode(ARGV[1])
local now = clock_ms(ARGV[3])
local wk, wt = window_load(KEYS[2], now), window_load(KEYS[1], now)
wk.requests, wk.tokens, wt.requests, wt.tokens = n[1], n[2], n[3], n[4]
local bk = ARGV[2] ~= '' and budget_load(KEYS[4], n[6], 0, now) or nil
return state_reply('', '', 0, 0, 0, wk, wt, budget_load(KEYS[3], n[5], 0, now), bk)
