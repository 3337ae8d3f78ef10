-- Count a partition's items, and name its workers that gave no sign of life.
-- KEYS: ready, delayed, dead, workers
-- ARGV: what precedes a worker's name in the key of its processing list, a moment (seconds)
-- Returns: ready, processing, delayed, dead, the workers not seen since that moment
local processing = 0
for _, worker in ipairs(redis.call('ZRANGE', KEYS[4], 0, -1)) do
    processing = processing + redis.call('LLEN', ARGV[1] .. worker)
end
return {
    redis.call('LLEN', KEYS[1]),
    processing,
    redis.call('ZCARD', KEYS[2]),
    redis.call('LLEN', KEYS[3]),
    redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', '(' .. ARGV[2]),
}
