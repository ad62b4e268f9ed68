-- complete notes how far savers have come, and from when on this run of Redis
-- is complete: a character that it does not have has nothing left to save.
-- That is so once everything is settled that the stream had stored at some
-- moment of the run; what came later is of characters that Redis has.
--
-- KEYS  1 the note
-- ARGV  1 the run that the caller saw before it asked the stream
--       2 newest sequence of the stream then   3 up to which all is settled
--
-- Returns 1 where the run is complete.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if run ~= ARGV[1] then return 0 end
local note = redis.call('HMGET', KEYS[1], 'run', 'pending_run', 'pending')
if note[1] == run then return 1 end
local pending = tonumber(note[3] or '0')
if note[2] ~= run or pending > tonumber(ARGV[2]) then
  pending = tonumber(ARGV[2])
  redis.call('HSET', KEYS[1], 'pending_run', run, 'pending', ARGV[2])
end
if tonumber(ARGV[3]) < pending then return 0 end
redis.call('HSET', KEYS[1], 'run', run)
return 1
