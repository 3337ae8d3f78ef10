-- Hand in items: ready at once, or due at a moment.
-- KEYS: ready, delayed, dead, epoch
-- ARGV: the epoch to set or '', then pairs of item and moment (seconds; '' is at once)
for i = 2, #ARGV, 2 do
    local item, due = ARGV[i], ARGV[i + 1]
    if due == '' then
        redis.call('RPUSH', KEYS[1], item)
    else
        redis.call('ZADD', KEYS[2], due, item)
    end
    redis.call('LREM', KEYS[3], 1, item)
end
if ARGV[1] ~= '' then
    redis.call('SET', KEYS[4], ARGV[1])
end
return 0
