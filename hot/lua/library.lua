-- What the functions share.

-- run is the identity of this run of the server: of its process, which another
-- restart ends, and of the history of its data, which another server ends that takes
-- over. A process may well lead, follow and lead again, with another's data in between;
-- its library then stays loaded, unless all data was copied anew. So the history is asked
-- for again (2.5 us) after a millisecond (0.6 us to tell): nobody becomes a replica, is
-- told by its master how to go on, and takes over again within that. Of both ids 16
-- digits: Redis keeps a hash in one small piece (a listpack) only while no value in it is
-- longer than 64 bytes, and every character's ac hash has its run.
local process, known
local asked = 0
local function run()
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  if now - asked >= 1000 or now < asked then
    process = process or string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
    local history = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)') or ''
    known = string.sub(process, 1, 16) .. ':' .. string.sub(history, 1, 16)
    asked = now
  end
  return known
end

-- isAhead tells whether a version is more than five minutes ahead of the server's
-- clock, which is asked for where the answer is not known from the last time.
local horizon = 0
local function isAhead(version)
  if version <= horizon then return false end
  local time = redis.call('TIME')
  horizon = (time[1] + 300) * 1000000 + time[2]
  return version > horizon
end

-- A generation of answers goes, but for the newest one, when it is full and old: so
-- many answers, so many seconds. Nothing is remembered for longer than a day.
local full, old, day = 256, 120, 86400

-- isOld tells whether a generation began long enough ago. When it began is in its
-- field without a name; one that a join made has none yet.
local function isOld(requests)
  local now, began = redis.call('TIME')[1], redis.call('HGET', requests, '')
  if began then return now - began >= old end
  redis.call('HSET', requests, '', now)
  return false
end

-- keep remembers the answer to a request.
local function keep(requests, before, request, record)
  local n = redis.call('HLEN', requests)
  if n > full and isOld(requests) then
    redis.call('RENAME', requests, before)
    n = 0
  end
  if n == 0 then redis.call('HSET', requests, '', redis.call('TIME')[1]) end
  redis.call('HSET', requests, request, record)
  redis.call('EXPIRE', requests, day)
end
