-- GCRA (the leaky bucket as a meter): one timestamp for each key says when it would be empty.
-- A request is counted by every meter or, when it is over the limit of one, by none.
-- KEYS: the meters. ARGV, three for each of them: microseconds between requests at the allowed
-- rate; microseconds of requests that may come at once; how many requests this one counts for.
-- Returns for each meter {allowed, remaining, retry after, full again after}, times in
-- microseconds. The time is the server's own, so that all instances agree.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local following, found, allowed = {}, {}, true
for number, name in ipairs(KEYS) do
  local interval = tonumber(ARGV[3 * number - 2])
  local burst = tonumber(ARGV[3 * number - 1])
  local cost = tonumber(ARGV[3 * number])
  local present = tonumber(redis.call('GET', name) or now)
  if present < now then
    present = now
  end
  local wanted = present + cost * interval
  if wanted - now > burst then
    allowed = false
    local left = math.max(0, math.floor((burst - (present - now)) / interval))
    found[number] = {0, left, wanted - burst - now, present - now}
  else
    following[number] = wanted
    found[number] = {1, math.floor((burst - (wanted - now)) / interval), 0, wanted - now}
  end
end
if allowed then
  for number, name in ipairs(KEYS) do
    local life = math.ceil((following[number] - now) / 1000) + 1
    redis.call('SET', name, string.format('%.0f', following[number]), 'PX', life)
  end
end
return found
