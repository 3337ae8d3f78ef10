-- Return all that a worker was processing to the heads of the ready lists, and forget the worker.
-- KEYS: ring, processing of the worker, workers
-- ARGV: worker, the moment (seconds) since which a sign of life spares it, what precedes a
--       webhook's id in the key of its ready list
-- Returns: how many items were returned
local seen = redis.call('ZSCORE', KEYS[3], ARGV[1])
if seen and tonumber(seen) >= tonumber(ARGV[2]) then
    return 0
end
local count = 0
while true do
    local item = redis.call('RPOP', KEYS[2])
    if not item then break end
    local webhook = string.sub(item, 38)
    if redis.call('LPUSH', ARGV[3] .. webhook, item) == 1 then
        redis.call('RPUSH', KEYS[1], webhook)
    end
    count = count + 1
end
redis.call('ZREM', KEYS[3], ARGV[1])
return count
