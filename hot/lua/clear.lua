-- clear removes the marks that have been overtaken: those whose version is at
-- most the saved one. A mark that was set again since stays.
--
-- KEYS  1 marks   2 index of dirty characters   3 trades that are not saved
--       4… sessions of saved fights
-- ARGV  1 char_id   2 saved version of the sessions   then pairs: row, version
--
-- Returns the number of marks that are left.
for i = 3, #ARGV, 2 do
  local mark = redis.call('HGET', KEYS[1], ARGV[i])
  if mark and tonumber(mark) <= tonumber(ARGV[i + 1]) then
    redis.call('HDEL', KEYS[1], ARGV[i])
    local trade = string.match(ARGV[i], '^transfer:(.*)')
    if trade then redis.call('HDEL', KEYS[3], trade) end
  end
end
for i = 4, #KEYS do
  local session = redis.call('HMGET', KEYS[i], 'result', 'version')
  if session[1] and tonumber(session[2]) <= tonumber(ARGV[2]) then redis.call('DEL', KEYS[i]) end
end
local left = redis.call('HLEN', KEYS[1])
if left == 0 then redis.call('ZREM', KEYS[2], ARGV[1]) end
return left
