-- complete notes how far savers have come in this run of Redis.
--
-- KEYS  1 the note
-- ARGV  1 the run that the caller saw before it asked the stream
--       2 newest sequence of the stream then   3 up to which all is settled
--
-- Returns 1 where all is settled that the stream had stored at some moment of
-- this run.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if run ~= ARGV[1] then return 0 end
local note = redis.call('HMGET', KEYS[1], 'pending_run', 'pending')
local pending = tonumber(note[2] or '0')
if note[1] ~= run or pending > tonumber(ARGV[2]) then
  pending = tonumber(ARGV[2])
  redis.call('HSET', KEYS[1], 'pending_run', run, 'pending', ARGV[2])
end
return tonumber(ARGV[3]) >= pending and 1 or 0
