-- clear removes the marks that have been overtaken: those whose version is at
-- most the saved one. A mark that was set again since stays.
--
-- KEYS  1 marks   2 index of dirty characters   3 trades that are not saved
--       4… sessions of saved fights
-- ARGV  1 char_id   2 saved version of the sessions   then pairs: row, version
--
-- Returns the number of marks that are left.

-- completed is the version at which a trade is saved that the character holds in escrow, when
-- it is completed. What is saved at another one is a trade of others under the same id.
local function completed(trade)
  local held = redis.call('HGET', KEYS[3], trade)
  if held and string.find(held, '"from":' .. ARGV[1] .. ',', 1, true) and not string.find(held, '"to_version":', 1, true) then
    return string.match(held, '"version":(%d+)') + 1
  end
end

for i = 3, #ARGV, 2 do
  local mark, saved = redis.call('HGET', KEYS[1], ARGV[i]), tonumber(ARGV[i + 1])
  mark = mark and tonumber(mark)
  local trade = mark and string.match(ARGV[i], '^transfer:(.*)')
  local own = trade and completed(trade)
  if mark and (own and saved == own or not own and mark <= saved) then
    redis.call('HDEL', KEYS[1], ARGV[i])
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
