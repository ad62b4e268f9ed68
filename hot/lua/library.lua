-- What the functions share.

-- clock is the server's time, in microseconds. It stands still during a call.
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

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
local function run(now)
  if now - asked >= 1000 or now < asked then
    process = process or string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
    local history = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)') or ''
    known = string.sub(process, 1, 16) .. ':' .. string.sub(history, 1, 16)
    asked = now
  end
  return known
end

-- Answers are kept in generations: the newest, and the one before it. A generation ends
-- when it is full and old (so many answers, so many seconds), or a day old; it is
-- forgotten two days after it began. So an answer is kept for a day at least, where not
-- so many newer ones drive it out.
local full, old, day = 256, 120, 86400

-- isOver tells whether a generation of answers ends now.
local function isOver(requests, age)
  return age >= day or age >= old and redis.call('HLEN', requests) > full
end

-- keep remembers the answer to a request. When the generation began is in a field of its
-- own, which is no idempotency key; one that a join made has none yet.
local function keep(requests, before, began, now, request, record)
  now = math.floor(now / 1000000)
  if began and isOver(requests, now - began) then
    redis.call('RENAME', requests, before)
    began = nil
  end
  if began then
    redis.call('HSET', requests, request, record)
    return
  end
  redis.call('HSET', requests, request, record, 'began', now)
  redis.call('EXPIRE', requests, 2 * day)
end

-- apply runs a command on the key that it numbers. Returns its answer, and that number.
local function apply(keys, name, number, ...)
  return redis.call(name, keys[number], ...), number
end
