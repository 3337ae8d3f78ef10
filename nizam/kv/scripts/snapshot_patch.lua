-- Bring one owner's copy from revision ARGV[1] to ARGV[2].
-- KEYS[1]: its hash. ARGV[3]: how many fields are set, then those fields and values in turn, then
-- the fields to remove. Returns 1 when done, 0 when the copy is at that revision or beyond
-- already, -1 when it lacks what came before and must be written whole.
local held = tonumber(redis.call('HGET', KEYS[1], 'revision') or '-1')
if held >= tonumber(ARGV[2]) then return 0 end
if held < tonumber(ARGV[1]) then return -1 end
local sets = tonumber(ARGV[3])
for i = 0, sets - 1 do
    redis.call('HSET', KEYS[1], ARGV[4 + 2 * i], ARGV[5 + 2 * i])
end
for i = 4 + 2 * sets, #ARGV do
    redis.call('HDEL', KEYS[1], ARGV[i])
end
redis.call('HSET', KEYS[1], 'revision', ARGV[2])
return 1
