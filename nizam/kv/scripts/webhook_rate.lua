-- Reserve moments at which a webhook may be sent to, evenly spaced over all workers.
-- KEYS: the moment (seconds on Redis's clock) from which on nothing is reserved
-- ARGV: seconds from one to the next, how many
-- Returns: seconds until the first
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local first = math.max(now, tonumber(redis.call('GET', KEYS[1]) or '0'))
local free = first + tonumber(ARGV[1]) * tonumber(ARGV[2])
redis.call('SET', KEYS[1], string.format('%.6f', free), 'PX', math.ceil((free - now) * 1000) + 1000)
return string.format('%.6f', first - now)
