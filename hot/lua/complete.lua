-- complete keeps the note about how far savers have come in this run of Redis.
-- The note has a name of its own: another one after a restart, a failover or a
-- FLUSHALL, so that what was asked before does not count after it.
--
-- KEYS  1 the note
-- ARGV  1 what: "begin", with 2 a name for a new note, returns the note's name
--         and whether the run is complete; "settled", with 2 the name, 3 the
--         newest sequence of the stream, asked after "begin", 4 up to which all is
--         settled, returns 1 where all is settled that the stream had stored at
--         some moment since "begin"; "complete", with 2 the name; "ask" returns 1
--         where the run is complete
local note = redis.call('HMGET', KEYS[1], 'run', 'name', 'pending', 'complete')
local what, name, this = ARGV[1], ARGV[2], run(clock())
if what == 'begin' then
  if note[1] == this then return {note[2], note[4] or '0'} end
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'run', this, 'name', name)
  return {name, '0'}
end
if what == 'ask' then return note[1] == this and note[4] == '1' and 1 or 0 end
if note[1] ~= this or note[2] ~= name then return 0 end
if what == 'complete' then
  redis.call('HSET', KEYS[1], 'complete', '1')
  return 1
end
local pending = tonumber(note[3] or '-1')
if pending < 0 or pending > tonumber(ARGV[3]) then
  pending = tonumber(ARGV[3])
  redis.call('HSET', KEYS[1], 'pending', ARGV[3])
end
return tonumber(ARGV[4]) >= pending and 1 or 0
