-- Decides one call: looks at every charge of every group, and takes those that have room, all in one step.
--
-- KEYS: the pause of the server, then one for each charge. ARGV: how many groups; for each: 1 to take it or 0 to look, and
-- how many charges; for each: its cost in two limbs and how many windows; for each: its length and its maximum in two limbs.
--
-- Answers: the server's instant, for how long it is paused, and for each group {0, numbers of admissions...} or
-- {1, charge, window, wait, what remains in two limbs}. Times are in microseconds.

local server = server_clock()
local position, key = 0, 1
local function argument()
  position = position + 1
  return tonumber(ARGV[position])
end

local function read_charge()
  key = key + 1
  local charge = {high = argument(), low = argument(), bounds = {}}
  for index = 1, argument() do
    charge.bounds[index] = {length = argument(), high = argument(), low = argument()}
  end
  local log = open(KEYS[key], server)
  extend(log, charge)
  return log, charge
end

local function serve(admitted)
  local take = argument() == 1 and admitted
  local count = argument()
  local logs, charges, worst = {}, {}, nil
  for index = 1, count do
    logs[index], charges[index] = read_charge()
    local full = look(logs[index], charges[index])
    if full and (worst == nil or full.wait > worst.wait) then
      worst, full.charge = full, index - 1
    end
  end
  local answer = {0}
  for index = 1, count do
    if take and not worst then
      answer[index + 1] = admit(logs[index], charges[index])
    elseif logs[index].changed then
      save(logs[index])
    end
  end
  if worst then return {1, worst.charge, worst.bound, worst.wait, worst.high, worst.low} end
  return answer
end

local paused = math.max(redis.call('PTTL', KEYS[1]), 0) * 1000
local answers = {server, paused}
-- While the server is paused nothing is taken, whatever has room.
local admitted = paused == 0
for index = 1, argument() do
  local answer = serve(admitted)
  -- The first group binds: without room in it nothing of the others is taken.
  if index == 1 and answer[1] == 1 then admitted = false end
  answers[index + 2] = answer
end
return answers
