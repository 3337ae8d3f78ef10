-- Counts a wrong password; after too many the account is locked for a while.
-- KEYS: the counter, the lock. ARGV: failures that lock, seconds that they are counted for,
-- seconds that the lock holds, when it ends. Returns how many failures there are now.
local failures = redis.call('INCR', KEYS[1])
if failures == 1 then
  redis.call('EXPIRE', KEYS[1], ARGV[2])
end
if failures >= tonumber(ARGV[1]) then
  redis.call('SET', KEYS[2], ARGV[4], 'EX', ARGV[3])
  redis.call('DEL', KEYS[1])
end
return failures
