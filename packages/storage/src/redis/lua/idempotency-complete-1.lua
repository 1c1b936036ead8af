-- Stores the answer of the request that holds the lock, or gives the lock back when there is none to store.
--
-- KEYS  1 the entry
-- ARGV  1 lock token  2 life of the answer in ms  3 status ('' to give the lock back)  4 content type  5 body
-- Returns 1, or 0 when the lock was lost meanwhile: the entry belongs to another request then
if redis.call('HGET', KEYS[1], 'l') ~= ARGV[1] then
  return 0
end
if ARGV[3] == '' then
  redis.call('DEL', KEYS[1])
  return 1
end
redis.call('HDEL', KEYS[1], 'l')
redis.call('HSET', KEYS[1], 's', ARGV[3], 'c', ARGV[4], 'b', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
