-- What the functions share.

-- run is the identity of this run of the server, which changes with every restart
-- and failover. It is asked for once: what a library remembers lives as long as
-- the server's process does.
local known
local function run()
  known = known or string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
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

-- How many answers are kept before the older half goes, and how long.
local generation, day = 256, 86400

-- keep remembers the answer to a request.
local function keep(requests, before, request, record)
  if redis.call('HLEN', requests) >= generation then redis.call('RENAME', requests, before) end
  redis.call('HSET', requests, request, record)
  redis.call('EXPIRE', requests, day)
end
