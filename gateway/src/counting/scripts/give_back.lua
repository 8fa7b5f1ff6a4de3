-- Gives back what one call was charged. KEYS: the counters. ARGV, for each: the admission's number and its cost in two limbs.

local server = server_clock()
for index, key in ipairs(KEYS) do
  local id, high, low = ARGV[index * 3 - 2], ARGV[index * 3 - 1], ARGV[index * 3]
  local log = open(key, server)
  if log.count > 0 then give_back(log, tonumber(id), tonumber(high), tonumber(low)) end
end
