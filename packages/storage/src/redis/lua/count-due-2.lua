-- How many attempts `list-attempts` would tell of or drop: what nobody has to do anything about costs one look.
--
-- KEYS  1 attempts' times  2 cancelled attempts
-- ARGV  1 older than in ms  2 time override ('' in production)
--- @include integer
--- @include clock
local now = clock_ms(ARGV[2])
local before = int(now - tonumber(ARGV[1]))
return redis.call('ZCOUNT', KEYS[1], '(-' .. before, '(0')
  + redis.call('ZCOUNT', KEYS[1], '0', '(' .. before)
  + redis.call('ZCOUNT', KEYS[2], '-inf', '(' .. int(now))
