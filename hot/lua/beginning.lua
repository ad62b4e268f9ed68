-- beginning reads since when this run of Redis has kept what it was told, and notes it
-- as now where it is another run, or was emptied.
--
-- KEYS  1 the note
--
-- Returns the note, and its age in microseconds.
local now = clock()
local this = run(now)
local have = redis.call('GET', KEYS[1])
local since = have and string.match(have, '^' .. this .. ':(%d+)$')
-- A clock that was set back tells no age: the beginning is made anew, and is a later one.
if since and tonumber(since) <= now then return {have, now - tonumber(since)} end
have = this .. ':' .. string.format('%.0f', now)
redis.call('SET', KEYS[1], have)
return {have, 0}
