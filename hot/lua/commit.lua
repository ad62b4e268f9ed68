-- commit changes one character, all or nothing.
--
-- KEYS  1 ac hash   2 marks   3 index of dirty characters
--       then, where ARGV 1 says so: index of idle characters; requests and
--       requests:old; index of those in a context; since when this run keeps what
--       it is told
--       then what the commands are about; the last are the hashes that get values,
--       in their order
-- ARGV  1 seven letters. The mode: "c" commit; "b" blind (the copy need not be
--         verified); "j" join (copies are brought together: verifies, and no
--         version has to rise); "r" refuse (nothing changes, only the answer is
--         kept, of a copy that is verified). Then "+" or "-" for: the player was
--         seen; there is an idempotency key; contexts change; the beginning of what is
--         kept must be a given one. Then two counts, from "0" on: of the fields of the
--         ac hash that must have some value, and of those that get one
--       2 new version   3 char_id
--       then, where they are: the idempotency key and the record to keep for it;
--       the beginning
--       … the fields that must have a value, then the values ("" absent)
--       … pairs of the fields of the ac hash that get a value, and it
--       … n, then n rows to mark dirty as pairs: row, version
--       … n, then n hashes that get values: how many arguments, and these
--       … to the end, commands: its name, number of the key, count of arguments,
--         the arguments
--
-- Returns 1; {"replay", record} where the idempotency key is known;
-- {"unverified"} where this copy was not verified under this run of Redis;
-- {"conflict", version} where an expectation failed or the version does not
-- rise; {"ahead", version} for a version too far ahead of the Redis clock.
--
-- It is the busiest of all: arguments go to Redis as they came, by the range, and
-- numbers are made of as few texts as possible.
local mode, seen, keyed, switched, fenced, expected, fields = string.byte(ARGV[1], 1, 7)
local zero, yes, join = 48, 43, 106 -- "0", "+", "j"
expected, fields = expected - zero, 2 * (fields - zero)
local version, char = ARGV[2], ARGV[3]
local now = clock()
local at, key = 4, 4

local idle
if seen == yes then
  idle = KEYS[key]
  key = key + 1
end

local requests, before, request, record, began
if keyed == yes then
  requests, before = KEYS[key], KEYS[key + 1]
  request, record = ARGV[at], ARGV[at + 1]
  key, at = key + 2, at + 2
  local newest = redis.call('HMGET', requests, request, 'began')
  local known = newest[1] or redis.call('HGET', before, request)
  if known then return {'replay', known} end
  began = newest[2]
end
if mode == 114 then -- "r"
  -- Redis may have lost the answer that others know.
  if redis.call('HGET', KEYS[1], 'run') ~= run(now) then return {'unverified'} end
  keep(requests, before, began, now, request, record)
  return 1
end

local open
if switched == yes then
  open = KEYS[key]
  key = key + 1
end
local notes, beginning
if fenced == yes then
  notes, beginning = KEYS[key], ARGV[at]
  key, at = key + 1, at + 1
end

local have = redis.call('HMGET', KEYS[1], 'version', 'run', unpack(ARGV, at, at + expected - 1))
local current = have[1] or '0'
if mode == 99 and have[2] ~= run(now) then return {'unverified'} end

if notes and redis.call('GET', notes) ~= beginning then return {'conflict', current} end

at = at + expected
for i = 0, expected - 1 do
  local value = have[3 + i] or ''
  if value == '0' then value = '' end -- joined when nobody knew the character yet
  if value ~= ARGV[at + i] then return {'conflict', current} end
end
at = at + expected

local time = tonumber(version)
if mode ~= join then
  if time <= tonumber(current) then return {'conflict', current} end
  if time > now + 300000000 then return {'ahead', current} end
end

local first, last = at, at + fields - 1
at = last + 1

-- Who has marks is in the index, so only new marks can be a reason to enter it.
local n = 2 * tonumber(ARGV[at])
local new = 0
for i = at + 1, at + n, 2000 do -- Lua cannot unpack more than some thousand values
  new = new + redis.call('HSET', KEYS[2], unpack(ARGV, i, math.min(i + 1999, at + n)))
end
if new > 0 then redis.call('ZADD', KEYS[3], 'NX', version, char) end
at = at + n + 1

n = tonumber(ARGV[at])
at = at + 1
for i = #KEYS - n + 1, #KEYS do
  local count = tonumber(ARGV[at])
  redis.call('HSET', KEYS[i], unpack(ARGV, at + 1, at + count))
  at = at + count + 1
end
while ARGV[at] do
  local count = tonumber(ARGV[at + 2])
  redis.call(ARGV[at], KEYS[tonumber(ARGV[at + 1])], unpack(ARGV, at + 3, at + 2 + count))
  at = at + 3 + count
end

if mode == join then redis.call('HSET', KEYS[1], 'run', run(now)) end
if idle then
  -- The index may be a minute behind: who evicts looks at the version, too.
  if mode == join or math.floor(current / 6e7) ~= math.floor(time / 6e7) then
    redis.call('ZADD', idle, version, char)
  end
  -- Who is joined is seen now: while Redis was away it could see nobody. So is who acts
  -- through a gateway whose clock is behind.
  local last_seen = version
  if mode == join or time < now - 6e7 then last_seen = math.max(time, now) end
  redis.call('HSET', KEYS[1], 'version', version, 'last_seen', last_seen, unpack(ARGV, first, last))
else
  redis.call('HSET', KEYS[1], 'version', version, unpack(ARGV, first, last))
end
if open then
  local active = redis.call('HMGET', KEYS[1], 'combat_session_id', 'inventory_session_id', 'scenario_session_id')
  if active[1] or active[2] or active[3] then
    redis.call('ZADD', open, version, char)
  else
    redis.call('ZREM', open, char)
  end
end
if keyed == yes then keep(requests, before, began, now, request, record) end
return 1
