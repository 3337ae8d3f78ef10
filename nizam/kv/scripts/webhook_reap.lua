-- Return all that a worker was processing to the head of the ready list, and forget the worker.
-- KEYS: ready, processing of the worker, workers
-- ARGV: worker, the moment (seconds) since which a sign of life spares it
-- Returns: how many items were returned
local seen = redis.call('ZSCORE', KEYS[3], ARGV[1])
if seen and tonumber(seen) >= tonumber(ARGV[2]) then
    return 0
end
local count = 0
while redis.call('LMOVE', KEYS[2], KEYS[1], 'RIGHT', 'LEFT') do
    count = count + 1
end
redis.call('ZREM', KEYS[3], ARGV[1])
return count
