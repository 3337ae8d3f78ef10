-- How high counters stand. KEYS: the counters. ARGV for each: c, w or m as in limit_take, the
-- milliseconds of its window. Returns for each its count, and the milliseconds that it is blocked
-- for still, 0 when it is not.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local found = {}
for number, key in ipairs(KEYS) do
  local kind, window = ARGV[2 * number - 1], tonumber(ARGV[2 * number])
  if kind == 'm' then
    found[#found + 1] = math.floor(tonumber(redis.call('GET', key) or '0') / 60)
  else
    found[#found + 1] = redis.call('ZCOUNT', key, '(' .. (kind == 'c' and now or now - window), '+inf')
  end
  found[#found + 1] = math.max(0, redis.call('PTTL', key .. ':blocked'))
end
return found
