-- Hand in items: ready at once, or due at a moment.
-- KEYS: ring, delayed, dead, epoch, then the ready lists of the webhooks of the items
-- ARGV: the epoch to set or '', what precedes a webhook's id in the key of its ready list, 1 if a
--       webhook may be missing in the ring although its list is not empty, then pairs of item
--       (delivery:webhook) and moment (seconds; '' is at once)
local looked = {}
for i = 4, #ARGV, 2 do
    local item, due = ARGV[i], ARGV[i + 1]
    local webhook = string.sub(item, 38)
    if due ~= '' then
        redis.call('ZADD', KEYS[2], due, item)
    elseif redis.call('RPUSH', ARGV[2] .. webhook, item) == 1 then
        redis.call('RPUSH', KEYS[1], webhook)
    elseif ARGV[3] == '1' and not looked[webhook] then
        looked[webhook] = true
        if not redis.call('LPOS', KEYS[1], webhook) then
            redis.call('RPUSH', KEYS[1], webhook)
        end
    end
    redis.call('ZREM', KEYS[3], item)
end
if ARGV[1] ~= '' then
    redis.call('SET', KEYS[4], ARGV[1])
end
return 0
