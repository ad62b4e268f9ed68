-- What the functions share.

-- run is the identity of this run of the server, which changes with every restart
-- and failover. It is asked for once: what a library remembers lives as long as
-- the server's process does.
local known
local function run()
  known = known or string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  return known
end
