-- Takes the lock of an idempotency key, or tells what became of it.
--
-- KEYS  1 the entry: f fingerprint of the request, l lock token while in flight; then s status, c content type, b body
-- ARGV  1 fingerprint  2 lock token  3 lock lease in ms  4 longest body that is returned at once
-- Returns 'fresh' | 'reused' | 'in_use', ms left of the lock | 'replay', status, content type, bytes of the body, and the body
-- where it is no longer than that
local entry = redis.call('HMGET', KEYS[1], 'f', 'l', 's')
if not entry[1] or entry[2] == ARGV[2] then
  redis.call('HSET', KEYS[1], 'f', ARGV[1], 'l', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return { 'fresh' }
end
if entry[1] ~= ARGV[1] then
  return { 'reused' }
end
if not entry[3] then
  return { 'in_use', redis.call('PTTL', KEYS[1]) }
end
local bytes = redis.call('HSTRLEN', KEYS[1], 'b')
local answer = { 'replay', entry[3], redis.call('HGET', KEYS[1], 'c'), bytes }
if bytes <= tonumber(ARGV[4]) then
  answer[5] = redis.call('HGET', KEYS[1], 'b')
end
return answer
