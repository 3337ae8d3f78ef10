-- Notes how far PostgreSQL's log reached when somebody had changed something; an earlier place
-- never takes the place of a later one.
-- KEYS: the position of one owner. ARGV: the position, for how many milliseconds it counts.
-- Returns 1 if it was noted.
local present = redis.call('GET', KEYS[1])
if present and tonumber(present) >= tonumber(ARGV[1]) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
