-- Counts a call under all of its limits, or under none when one of them is reached.
-- KEYS: the record of the call, then a counter for each limit; beside a counter, its name with
-- :blocked is there while it is blocked. ARGV: the call, milliseconds that a place is kept for a
-- call nobody has heard of, milliseconds that its record is kept, then for each limit
--   c (calls at once), w (in a window) or m (minutes); the most; how many it takes; milliseconds
--   of the window; the member; 1 to take, 0 only to look; what the record notes, or ''; milliseconds
--   that it is blocked for once it is reached.
-- A member that is there already takes nothing; what is noted as n or m holds for the whole call.
-- Returns pairs of a reached limit's position and its count. The time is the server's own.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local kept, record_life = tonumber(ARGV[2]), tonumber(ARGV[3])
local known = {}
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  known[fields[i]] = fields[i + 1]
end
local full, places, blocks = {}, {}, {}
for number = 2, #KEYS do
  local key, at = KEYS[number], 3 + (number - 2) * 8
  local kind, most, amount = ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local window, member = tonumber(ARGV[at + 4]), ARGV[at + 5]
  local takes, note, block = ARGV[at + 6] == '1', ARGV[at + 7], tonumber(ARGV[at + 8])
  if block > 0 and redis.call('EXISTS', key .. ':blocked') == 1 then
    full[#full + 1] = number - 1
    full[#full + 1] = most
  elseif kind == 'm' then
    local seconds = tonumber(redis.call('GET', key) or '0')
    if seconds >= most * 60 and not (known[key] and note:sub(1, 1) == 'm') then
      full[#full + 1] = number - 1
      full[#full + 1] = math.floor(seconds / 60)
    end
  elseif not (note == 'n' and known[key]) then
    redis.call('ZREMRANGEBYSCORE', key, '-inf', kind == 'c' and now or now - window)
    local count, new = redis.call('ZCARD', key), {}
    for place = 1, amount do
      local name = place == 1 and member or member .. '#' .. place
      if not redis.call('ZSCORE', key, name) then
        new[#new + 1] = name
      end
    end
    local needed = takes and #new or math.min(#new, 1)
    if needed > 0 and count + needed > most then
      full[#full + 1] = number - 1
      full[#full + 1] = count
      if block > 0 then
        blocks[#blocks + 1] = {key .. ':blocked', block}
      end
    elseif takes then
      for _, name in ipairs(new) do
        places[#places + 1] = {key, kind == 'c' and now + kept or now, name}
      end
    end
  end
end
for _, it in ipairs(blocks) do
  redis.call('SET', it[1], 1, 'PX', it[2], 'NX')
end
if #full > 0 then
  return full
end
for _, it in ipairs(places) do
  redis.call('ZADD', it[1], it[2], it[3])
end
for number = 2, #KEYS do
  local at = 3 + (number - 2) * 8
  if ARGV[at + 1] ~= 'm' then
    local life = ARGV[at + 1] == 'c' and record_life or tonumber(ARGV[at + 4])
    if redis.call('PTTL', KEYS[number]) < life then
      redis.call('PEXPIRE', KEYS[number], life)
    end
  end
  if ARGV[at + 7] ~= '' then
    redis.call('HSETNX', KEYS[1], KEYS[number], ARGV[at + 7])
  end
end
redis.call('PEXPIRE', KEYS[1], record_life)
return full
