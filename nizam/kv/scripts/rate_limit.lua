-- GCRA (the leaky bucket as a meter): one timestamp for each key says when it would be empty.
-- KEYS[1]: the meter. ARGV: microseconds between requests at the allowed rate; microseconds of
-- requests that may come at once. Returns {allowed, remaining, retry after, full again after},
-- times in microseconds. The time is the server's own, so that all instances agree.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local interval = tonumber(ARGV[1])
local burst = tonumber(ARGV[2])
local present = tonumber(redis.call('GET', KEYS[1]) or now)
if present < now then
  present = now
end
local next_present = present + interval
if next_present - now > burst then
  return {0, 0, next_present - burst - now, present - now}
end
local life = math.ceil((next_present - now) / 1000) + 1
redis.call('SET', KEYS[1], string.format('%.0f', next_present), 'PX', life)
return {1, math.floor((burst - (next_present - now)) / interval), 0, next_present - now}
