-- Count a partition's items, and name its workers that gave no sign of life.
-- KEYS: ring, delayed, dead, workers
-- ARGV: what precedes a worker's name in the key of its processing list, a moment (seconds), what
--       precedes a webhook's id in the key of its ready list
-- Returns: ready, processing, delayed, dead, the workers not seen since that moment
local ready, processing = 0, 0
for _, webhook in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
    ready = ready + redis.call('LLEN', ARGV[3] .. webhook)
end
for _, worker in ipairs(redis.call('ZRANGE', KEYS[4], 0, -1)) do
    processing = processing + redis.call('LLEN', ARGV[1] .. worker)
end
return {
    ready,
    processing,
    redis.call('ZCARD', KEYS[2]),
    redis.call('ZCARD', KEYS[3]),
    redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', '(' .. ARGV[2]),
}
