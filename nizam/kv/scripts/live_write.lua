-- Set and remove fields of a hash, and note for those who follow which ones changed.
-- KEYS: documents (hash), changes (sorted set of fields by version), version, floor
-- ARGV: seconds until all of it is forgotten, microseconds for which changes are kept,
--       how many fields are set, pairs of field and value, fields to remove
-- The floor is the version up to which changes are not kept: who has read less reads everything.
local time = redis.call('TIME')
local version = tonumber(time[1]) * 1000000 + tonumber(time[2])
local last = redis.call('GET', KEYS[3])
if last then
    version = math.max(version, tonumber(last) + 1)
end
local text = string.format('%.0f', version)
if not last then
    redis.call('SET', KEYS[4], text)
end
redis.call('SET', KEYS[3], text)
local at = 4
for _ = 1, tonumber(ARGV[3]) do
    redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1])
    redis.call('ZADD', KEYS[2], text, ARGV[at])
    at = at + 2
end
for i = at, #ARGV do
    redis.call('HDEL', KEYS[1], ARGV[i])
    redis.call('ZADD', KEYS[2], text, ARGV[i])
end
local old = string.format('%.0f', version - tonumber(ARGV[2]))
if redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', old) > 0 then
    redis.call('SET', KEYS[4], old)
end
for i = 1, 4 do
    redis.call('EXPIRE', KEYS[i], ARGV[1])
end
return text
