-- evict forgets a character that is idle, clean and in no context. The answers
-- to its requests stay until they expire by themselves. Idle is whom nothing has changed:
-- a gift is no sign of life, but a join that began before it, when Redis did not have the
-- character, must not find it gone again, and put back what was before.
--
-- KEYS  1 ac hash   2 marks   3 index of idle characters   4… what to delete
-- ARGV  1 char_id   2 idle since at least this time
--
-- Returns 1, or 0 where the character must stay.
local seen = redis.call('ZSCORE', KEYS[3], ARGV[1])
if not seen or tonumber(seen) > tonumber(ARGV[2]) then return 0 end
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
local ac = redis.call('HMGET', KEYS[1], 'combat_session_id', 'inventory_session_id', 'scenario_session_id', 'version')
if ac[1] or ac[2] or ac[3] then return 0 end
if ac[4] and tonumber(ac[4]) > tonumber(ARGV[2]) then
  redis.call('ZADD', KEYS[3], ac[4], ARGV[1])
  return 0
end
redis.call('DEL', KEYS[1], unpack(KEYS, 4))
redis.call('ZREM', KEYS[3], ARGV[1])
return 1
