-- Takes over totals that the recorder read from Postgres.
--
-- KEYS  1 index of the tenant's budgets (names the slot; the budgets' keys follow from the arguments)
-- ARGV  1 base  2 time override ('' in production)  then per total as in release-2
--- @include integer
--- @include clock
--- @include budget
--- @include seed
seed_totals(ARGV[1], 3, clock_ms(ARGV[2]))
return 1
