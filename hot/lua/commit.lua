-- commit changes one character, all or nothing.
--
-- KEYS  1 ac hash   2 marks   3 index of dirty characters   then what ARGV numbers
-- ARGV  1 the mode: "c" commit; "b" blind (the copy need not be verified); "j" join
--         (copies are brought together: verifies, and no version has to rise); "r"
--         refuse (nothing changes, only the answer is kept, of a copy that is
--         verified). New version. char_id. Numbers of keys, 0 for none: index of idle
--         characters (the player was seen), requests and behind it requests:old (there
--         is an idempotency key), since when this run keeps what it is told (it must be
--         a given beginning). The idempotency key, the record to keep for it, the
--         beginning
--       2 the fields of the ac hash that must have a value   3 these values, "" absent
--       4 pairs of the fields of the ac hash that get a value, and it
--       … to the end, commands: its name, the number of its key, its arguments
--
-- Each of ARGV is a list, packed as MessagePack: an argument of a function costs Redis
-- more than a text within one.
--
-- Returns 1; {"replay", record} where the idempotency key is known;
-- {"unverified"} where this copy was not verified under this run of Redis;
-- {"conflict", version} where an expectation failed or the version does not
-- rise; {"ahead", version} for a version too far ahead of the Redis clock.
--
-- It is the busiest of all: numbers are made of as few texts as possible.
local call, texts = redis.call, cmsgpack.unpack
local mode, version, char, idle, requests, notes, request, record, beginning = texts(ARGV[1])
local now = clock()

local before, began = KEYS[requests + 1]
idle, requests, notes = KEYS[idle], KEYS[requests], KEYS[notes]
if requests then
  local newest = call('HMGET', requests, request, 'began')
  local known = newest[1] or call('HGET', before, request)
  if known then return {'replay', known} end
  began = newest[2]
end
if mode == 'r' then
  -- Redis may have lost the answer that others know.
  if call('HGET', KEYS[1], 'run') ~= run(now) then return {'unverified'} end
  keep(requests, before, began, now, request, record)
  return 1
end

local have = call('HMGET', KEYS[1], 'version', 'run', texts(ARGV[2]))
local current = have[1] or '0'
local last = tonumber(current)
if mode == 'c' and have[2] ~= run(now) then return {'unverified'} end

if notes and call('GET', notes) ~= beginning then return {'conflict', current} end

if ARGV[3] ~= '' then
  for i, value in ipairs({texts(ARGV[3])}) do
    local found = have[2 + i] or ''
    if found == '0' then found = '' end -- joined when nobody knew the character yet
    if found ~= value then return {'conflict', current} end
  end
end

local time = tonumber(version)
if mode ~= 'j' then
  if time <= last then return {'conflict', current} end
  if time > now + 300000000 then return {'ahead', current} end
end

-- Who has marks is in the index, so only new marks can be a reason to enter it.
local new = 0
for i = 5, #ARGV do
  local answer, key = apply(KEYS, texts(ARGV[i]))
  if key == 2 then new = new + answer end
end
if new > 0 then call('ZADD', KEYS[3], 'NX', version, char) end

if mode == 'j' then call('HSET', KEYS[1], 'run', run(now)) end
if idle then
  -- The index may be a minute behind: who evicts looks at the version, too.
  if mode == 'j' or last < time - time % 6e7 then
    call('ZADD', idle, version, char)
  end
  -- Who is joined is seen now: while Redis was away it could see nobody. So is who acts
  -- through a gateway whose clock is behind.
  local last_seen = version
  if mode == 'j' or time < now - 6e7 then last_seen = math.max(time, now) end
  call('HSET', KEYS[1], 'version', version, 'last_seen', last_seen, texts(ARGV[4]))
else
  call('HSET', KEYS[1], 'version', version, texts(ARGV[4]))
end
if requests then keep(requests, before, began, now, request, record) end
return 1
