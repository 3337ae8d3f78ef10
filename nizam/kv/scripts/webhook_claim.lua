-- Promote what is due, say that the worker lives, and move items to its processing list: some of
-- each webhook in turn.
-- KEYS: ring, processing of the worker, delayed, workers, epoch
-- ARGV: now (seconds), how many at most, worker, what precedes a webhook's id in the key of its
--       ready list, how many of a webhook at one turn, how many of a webhook in all, then pairs of
--       webhook and how many of that one in all
-- Returns: epoch or '', the items, whether more could be had, webhooks (at most 200) with more
local ready = ARGV[4]
redis.call('ZADD', KEYS[4], ARGV[1], ARGV[3])
local due = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', ARGV[1], 'LIMIT', 0, 1000)
for _, item in ipairs(due) do
    local webhook = string.sub(item, 38)
    if redis.call('RPUSH', ready .. webhook, item) == 1 then
        redis.call('RPUSH', KEYS[1], webhook)
    end
    redis.call('ZREM', KEYS[3], item)
end
local allowed = {}
for i = 7, #ARGV, 2 do
    allowed[ARGV[i]] = tonumber(ARGV[i + 1])
end
local room, turn, usual = tonumber(ARGV[2]), tonumber(ARGV[5]), tonumber(ARGV[6])
local items, idle = {}, 0
local turns = redis.call('LLEN', KEYS[1])
while room > 0 and idle < turns do
    local webhook = redis.call('LINDEX', KEYS[1], 0)
    local may = allowed[webhook] or usual
    -- Before anything is changed: in a cluster this list may be on its way to another server.
    local there = redis.call('LLEN', ready .. webhook)
    local taken = math.min(may, turn, room, there)
    for _ = 1, taken do
        items[#items + 1] = redis.call('LMOVE', ready .. webhook, KEYS[2], 'LEFT', 'RIGHT')
    end
    redis.call('LPOP', KEYS[1])
    allowed[webhook], room = may - taken, room - taken
    if there > taken then
        redis.call('RPUSH', KEYS[1], webhook)
    else
        turns = turns - 1
    end
    idle = taken > 0 and 0 or idle + 1
end
local left = redis.call('LRANGE', KEYS[1], 0, 199)
local more = 0
for _, webhook in ipairs(left) do
    if (allowed[webhook] or usual) > 0 then
        more = 1
        break
    end
end
return {redis.call('GET', KEYS[5]) or '', items, more, left}
