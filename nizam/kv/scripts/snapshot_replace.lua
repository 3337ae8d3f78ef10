-- Write one owner's copy whole, at revision ARGV[1], unless it is beyond that already.
-- KEYS[1]: its hash. ARGV[2...]: fields and values in turn. Returns 1 when done, else 0.
local held = tonumber(redis.call('HGET', KEYS[1], 'revision') or '-1')
if held > tonumber(ARGV[1]) then return 0 end
redis.call('DEL', KEYS[1])
for i = 2, #ARGV, 2 do
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
redis.call('HSET', KEYS[1], 'revision', ARGV[1])
return 1
