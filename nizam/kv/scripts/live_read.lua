-- What has changed of a hash since a version; everything, if that is not known any more.
-- KEYS: documents (hash), changes (sorted set), version, floor
-- ARGV: the version that was read last
-- Answers: version, 1 if it is everything, 0 if it is changes or 2 if nothing was ever written (or
-- all is forgotten), then pairs of field and value; the value of a field that is gone is false.
local version = redis.call('GET', KEYS[3])
if not version then
    return {'0', 2}
end
if version == ARGV[1] then
    return {version, 0}
end
local floor = redis.call('GET', KEYS[4])
if not floor or tonumber(ARGV[1]) < tonumber(floor) then
    local found = redis.call('HGETALL', KEYS[1])
    table.insert(found, 1, 1)
    table.insert(found, 1, version)
    return found
end
local found = {version, 0}
for _, field in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. ARGV[1], '+inf')) do
    found[#found + 1] = field
    found[#found + 1] = redis.call('HGET', KEYS[1], field)
end
return found
