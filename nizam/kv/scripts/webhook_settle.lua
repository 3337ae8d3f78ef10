-- Take items out of a worker's processing list: for good, until later, or for ever.
-- KEYS: processing of the worker, delayed, dead
-- ARGV: how many dead items are remembered, now (seconds), then pairs of item and fate: 'ack',
--       'dead', or the moment (seconds) at which it is due again
-- All copies are taken out: an item that was handed in twice may have been claimed twice.
for i = 3, #ARGV, 2 do
    local item, fate = ARGV[i], ARGV[i + 1]
    redis.call('LREM', KEYS[1], 0, item)
    if fate == 'dead' then
        redis.call('ZADD', KEYS[3], ARGV[2], item)
    elseif fate ~= 'ack' then
        redis.call('ZADD', KEYS[2], fate, item)
    end
end
redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -tonumber(ARGV[1]) - 1)
return 0
