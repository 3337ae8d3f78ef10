-- Writes fields of a session or token, with its time to live, in one step.
-- KEYS[1]: its hash. ARGV: 'begin', or 'change' for one that must still be there (a revoked one
-- does not come back); seconds to live; field, value, field, value ...
-- Returns 1, or 0 when there is none to change.
if ARGV[1] == 'change' and redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
