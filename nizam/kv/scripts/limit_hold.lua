-- Brings the counters in line with the calls that the switches really have.
-- ARGV: milliseconds that a place is kept, what precedes a call in the key of its record, and JSON:
--   {"hold": [[counter, member]], "refresh": [[counter, member]], "release": [[counter, member]],
--    "calls": [[call, seconds, seconds outside, 1 while a leg is outside, 1 when it is over,
--               1 if somebody outside has answered]]}
-- `hold` takes a place, `refresh` only keeps one that was taken. A record holds for each counter:
--   r and a number: so many places are given back when the call is over
--   o: a place for as long as a leg is outside; o1 once one was
--   m, i and a number: the seconds that were counted, of the call or of its legs outside
--   s and milliseconds and a window: the call counts there if it was shorter outside
--   n: it was counted
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local kept, work = tonumber(ARGV[1]), cjson.decode(ARGV[3])
local function keep(key)
  if redis.call('PTTL', key) < kept then
    redis.call('PEXPIRE', key, kept)
  end
end
for _, it in ipairs(work.hold) do
  redis.call('ZADD', it[1], now + kept, it[2])
  keep(it[1])
end
for _, it in ipairs(work.refresh) do
  redis.call('ZADD', it[1], 'XX', now + kept, it[2])
  keep(it[1])
end
for _, it in ipairs(work.release) do
  redis.call('ZREM', it[1], it[2])
end
local function spend(record, key, kind, counted, seconds)
  local more = seconds - tonumber(counted)
  if more > 0 then
    redis.call('INCRBY', key, more)
    redis.call('EXPIRE', key, 172800)
    redis.call('HSET', record, key, kind .. seconds)
  end
end
for _, it in ipairs(work.calls) do
  local call, seconds, outside_seconds = it[1], it[2], it[3]
  local outside, over, answered = it[4] == 1, it[5] == 1, it[6] == 1
  local record = ARGV[2] .. call
  local fields = redis.call('HGETALL', record)
  for i = 1, #fields, 2 do
    local key, kind, rest = fields[i], fields[i + 1]:sub(1, 1), fields[i + 1]:sub(2)
    if kind == 'm' then
      spend(record, key, kind, rest, seconds)
    elseif kind == 'i' then
      spend(record, key, kind, rest, outside_seconds)
    elseif kind == 'o' then
      if outside and not over then
        redis.call('ZADD', key, now + kept, call)
        keep(key)
        redis.call('HSET', record, key, 'o1')
      elseif over or rest == '1' then
        redis.call('ZREM', key, call)
      end
    elseif kind == 'r' and over then
      redis.call('ZREM', key, call)
      for place = 2, tonumber(rest) do
        redis.call('ZREM', key, call .. '#' .. place)
      end
    elseif kind == 's' and over and answered then
      local most, window = rest:match('^(%d+) (%d+)$')
      if outside_seconds * 1000 < tonumber(most) then
        redis.call('ZADD', key, now, call)
        redis.call('PEXPIRE', key, window)
      end
    end
  end
  if #fields > 0 then
    if over then
      redis.call('DEL', record)
    else
      redis.call('PEXPIRE', record, kept)
    end
  end
end
return #work.calls
