-- commit changes one character, all or nothing.
--
-- KEYS  1 ac hash   2 marks   3 index of dirty characters
--       then, where ARGV 1 says so: index of idle characters; requests and
--       requests:old; index of those in a context; since when this run keeps what
--       it is told; then the keys that the writes name by their number
-- ARGV  1 five letters. The mode: "c" commit; "b" blind (the copy need not be
--         verified); "j" join (copies are brought together: verifies, and no
--         version has to rise); "r" refuse (nothing changes, only the answer is
--         kept). Then "+" or "-" for: the player was seen; there is an idempotency
--         key; contexts change; the beginning of what is kept must be a given one
--       2 new version   3 char_id
--       then, where they are: the idempotency key and the record to keep for it;
--       the beginning
--       … n, then n pairs: field of the ac hash, value it must have ("" absent)
--       … n, then n fields of the ac hash that get the new version
--       … n, then n rows to mark dirty as pairs: row, version
--       … n, then n writes: command, number of the key, count of arguments,
--         the arguments
--
-- Returns 1; {"replay", record} where the idempotency key is known;
-- {"unverified"} where this copy was not verified under this run of Redis;
-- {"conflict", version} where an expectation failed or the version does not
-- rise; {"ahead", version} for a version too far ahead of the Redis clock.
local mode, seen, keyed, switched, fenced = string.byte(ARGV[1], 1, 5)
local version, char = ARGV[2], ARGV[3]
local yes, join = 43, 106 -- "+", "j"
local at, key = 4, 4

local idle
if seen == yes then
  idle = KEYS[key]
  key = key + 1
end

local requests, before, request
if keyed == yes then
  requests, before, request = KEYS[key], KEYS[key + 1], ARGV[at]
  key, at = key + 2, at + 2
  local record = redis.call('HGET', requests, request) or redis.call('HGET', before, request)
  if record then return {'replay', record} end
end

-- How many answers are kept before the older half goes, and how long.
local generation, day = 256, 86400

local function keep(record)
  if redis.call('HLEN', requests) >= generation then redis.call('RENAME', requests, before) end
  redis.call('HSET', requests, request, record)
  redis.call('EXPIRE', requests, day)
end
if mode == 114 then -- "r"
  keep(ARGV[at - 1])
  return 1
end
local record = ARGV[at - 1]

local open
if switched == yes then
  open = KEYS[key]
  key = key + 1
end
local beginning
if fenced == yes then
  beginning = ARGV[at]
  at = at + 1
end

local n = tonumber(ARGV[at])
local fields = {'version', 'run', 'last_seen'}
for i = 1, n do fields[3 + i] = ARGV[at + 2 * i - 1] end
local have = redis.call('HMGET', KEYS[1], unpack(fields))
local current = have[1] or '0'
if mode == 99 and have[2] ~= run() then return {'unverified'} end

if beginning and redis.call('GET', KEYS[key]) ~= beginning then return {'conflict', current} end

for i = 1, n do
  local value = have[3 + i] or ''
  if value == '0' then value = '' end -- joined when nobody knew the character yet
  if value ~= ARGV[at + 2 * i] then return {'conflict', current} end
end
at = at + 2 * n + 1

local now = tonumber(version)
if mode ~= join then
  if now <= tonumber(current) then return {'conflict', current} end
  if isAhead(now) then return {'ahead', current} end
end

local own, last = {'version', version}, 2
n = tonumber(ARGV[at])
for i = at + 1, at + n do
  own[last + 1], own[last + 2] = ARGV[i], version
  last = last + 2
end
at = at + n + 1

-- Who has marks is in the index, so only new marks can be a reason to enter it.
n = tonumber(ARGV[at])
local new = 0
for first = at + 1, at + 2 * n, 2000 do -- Lua cannot unpack more than some thousand values
  new = new + redis.call('HSET', KEYS[2], unpack(ARGV, first, math.min(first + 1999, at + 2 * n)))
end
if new > 0 then redis.call('ZADD', KEYS[3], 'NX', version, char) end
at = at + 2 * n + 1

n = tonumber(ARGV[at])
at = at + 1
for _ = 1, n do
  local command, key, count = ARGV[at], KEYS[tonumber(ARGV[at + 1])], tonumber(ARGV[at + 2])
  redis.call(command, key, unpack(ARGV, at + 3, at + 2 + count))
  at = at + 3 + count
end

if mode == join then
  own[last + 1], own[last + 2] = 'run', run()
  last = last + 2
end
if idle then
  own[last + 1], own[last + 2] = 'last_seen', version
  -- The index may be ten seconds behind: who evicts looks at last_seen, too.
  if mode == join or not have[3] or math.floor(have[3] / 1e7) ~= math.floor(now / 1e7) then
    redis.call('ZADD', idle, version, char)
  end
end
redis.call('HSET', KEYS[1], unpack(own))
if open then
  local active = redis.call('HMGET', KEYS[1], 'combat_session_id', 'inventory_session_id', 'scenario_session_id')
  if active[1] or active[2] or active[3] then
    redis.call('ZADD', open, version, char)
  else
    redis.call('ZREM', open, char)
  end
end
if keyed == yes then keep(record) end
return 1
