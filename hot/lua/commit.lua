-- commit changes one character, all or nothing.
--
-- KEYS  1 ac hash   2 marks   3 requests   4 requests:old
--       5 index of dirty characters   6 of idle ones   7 of those in a context
--       8 since when this run keeps what it is told   9… the keys that the writes name by their number
-- ARGV  1 mode: "commit"; "blind" (the copy need not be verified); "join" (copies
--         are brought together: verifies, and no version has to rise); "refuse"
--         (nothing changes, only the answer is kept)
--       2 new version   3 char_id   4 last seen, "" to leave it
--       5 how many idempotency keys a generation holds
--       6 idempotency key, "" for none   7 the record to keep for it
--       8 how many contexts change
--       9 for a join, what key 8 must have; "" for anything
--       10 n, then n pairs: field of the ac hash, value it must have ("" absent)
--       … n, then n fields of the ac hash that get the new version
--       … n, then n rows to mark dirty as pairs: row, version
--       … n, then n writes: command, number of the key, count of arguments,
--         the arguments
--
-- Returns {"ok"}; {"replay", record} where the idempotency key is known;
-- {"unverified"} where this copy was not verified under this run of Redis;
-- {"conflict", version} where an expectation failed or the version does not
-- rise; {"ahead", version} for a version too far ahead of the Redis clock.
local mode, version, char, seen, generation, request = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

if request ~= '' then
  local record = redis.call('HGET', KEYS[3], request) or redis.call('HGET', KEYS[4], request)
  if record then return {'replay', record} end
end

local function keep()
  if request == '' then return end
  if redis.call('HLEN', KEYS[3]) >= tonumber(generation) then redis.call('RENAME', KEYS[3], KEYS[4]) end
  redis.call('HSET', KEYS[3], request, ARGV[7])
  redis.call('EXPIRE', KEYS[3], 86400)
end
if mode == 'refuse' then
  keep()
  return {'ok'}
end

local at = 10
local n = tonumber(ARGV[at])
local fields = {'version', 'run', 'last_seen'}
for i = 1, n do fields[3 + i] = ARGV[at + 2 * i - 1] end
local have = redis.call('HMGET', KEYS[1], unpack(fields))
local current = have[1] or '0'
if mode == 'commit' and have[2] ~= run() then return {'unverified'} end

if ARGV[9] ~= '' and redis.call('GET', KEYS[8]) ~= ARGV[9] then return {'conflict', current} end

for i = 1, n do
  local value = have[3 + i] or ''
  if value == '0' then value = '' end -- joined when nobody knew the character yet
  if value ~= ARGV[at + 2 * i] then return {'conflict', current} end
end
at = at + 2 * n + 1

if mode ~= 'join' then
  if tonumber(version) <= tonumber(current) then return {'conflict', current} end
  local time = redis.call('TIME')
  if tonumber(version) > (tonumber(time[1]) + 300) * 1000000 + tonumber(time[2]) then return {'ahead', current} end
end

local own = {'version', version}
n = tonumber(ARGV[at])
for i = at + 1, at + n do
  own[#own + 1] = ARGV[i]
  own[#own + 1] = version
end
at = at + n + 1

-- Who has marks is in the index, so only new marks can be a reason to enter it.
n = tonumber(ARGV[at])
local new = 0
for first = at + 1, at + 2 * n, 2000 do -- Lua cannot unpack more than some thousand values
  new = new + redis.call('HSET', KEYS[2], unpack(ARGV, first, math.min(first + 1999, at + 2 * n)))
end
if new > 0 then redis.call('ZADD', KEYS[5], 'NX', version, char) end
at = at + 2 * n + 1

n = tonumber(ARGV[at])
at = at + 1
for _ = 1, n do
  local command, key, count = ARGV[at], KEYS[tonumber(ARGV[at + 1])], tonumber(ARGV[at + 2])
  redis.call(command, key, unpack(ARGV, at + 3, at + 2 + count))
  at = at + 3 + count
end

if mode == 'join' then
  own[#own + 1] = 'run'
  own[#own + 1] = run()
end
if seen ~= '' then
  own[#own + 1] = 'last_seen'
  own[#own + 1] = seen
  -- The index may be ten seconds behind: who evicts looks at last_seen, too.
  if mode == 'join' or not have[3] or math.floor(tonumber(have[3]) / 1e7) ~= math.floor(tonumber(seen) / 1e7) then
    redis.call('ZADD', KEYS[6], seen, char)
  end
end
redis.call('HSET', KEYS[1], unpack(own))
if ARGV[8] ~= '0' then
  local open = redis.call('HMGET', KEYS[1], 'combat_session_id', 'inventory_session_id', 'scenario_session_id')
  if open[1] or open[2] or open[3] then
    redis.call('ZADD', KEYS[7], version, char)
  else
    redis.call('ZREM', KEYS[7], char)
  end
end
keep()
return {'ok'}
