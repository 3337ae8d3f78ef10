-- Promote what is due, say that the worker lives, and move items to its processing list.
-- KEYS: ready, processing of the worker, delayed, workers, epoch
-- ARGV: now (seconds), how many at most, worker
-- Returns: epoch or '', items left in ready, the items
redis.call('ZADD', KEYS[4], ARGV[1], ARGV[3])
local due = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', ARGV[1], 'LIMIT', 0, 1000)
if #due > 0 then
    redis.call('RPUSH', KEYS[1], unpack(due))
    redis.call('ZREM', KEYS[3], unpack(due))
end
local items = {}
for _ = 1, tonumber(ARGV[2]) do
    local item = redis.call('LMOVE', KEYS[1], KEYS[2], 'LEFT', 'RIGHT')
    if not item then break end
    items[#items + 1] = item
end
return {redis.call('GET', KEYS[5]) or '', redis.call('LLEN', KEYS[1]), items}
