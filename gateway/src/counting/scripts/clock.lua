-- The store's own clock, in microseconds. It stands still while a script runs.
local function server_clock()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end
