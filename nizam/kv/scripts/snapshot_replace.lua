-- Put one owner's copy, written beside it, in its place at revision ARGV[1], unless it is beyond
-- that already. KEYS[1]: its hash. KEYS[2]: the new one, of ARGV[2] fields.
-- Returns 1 when done, 0 when it is beyond, -1 when the new one is not whole any more.
local held = tonumber(redis.call('HGET', KEYS[1], 'revision') or '-1')
if held > tonumber(ARGV[1]) then
    redis.call('DEL', KEYS[2])
    return 0
end
if redis.call('HLEN', KEYS[2]) ~= tonumber(ARGV[2]) then return -1 end
redis.call('DEL', KEYS[1])
if tonumber(ARGV[2]) > 0 then
    redis.call('RENAME', KEYS[2], KEYS[1])
    redis.call('PERSIST', KEYS[1])
end
redis.call('HSET', KEYS[1], 'revision', ARGV[1])
return 1
