-- Tells how full counters are, and changes nothing.
--
-- KEYS: one for each counter. ARGV: for each how many windows; for each of those: its length and its maximum in two limbs.
--
-- Answers: for each counter, one after the other for its windows: what it holds in two limbs, and in how many microseconds it
-- has room for a call that weighs one.

-- What a call weighs as a rule, in millionths.
local ONE = 1000000

local server = server_clock()
local position = 0
local function argument()
  position = position + 1
  return tonumber(ARGV[position])
end

local answers = {}
for index, key in ipairs(KEYS) do
  local log, answer = open(key, server), {}
  for window = 1, argument() do
    local bound = {length = argument(), high = argument(), low = argument()}
    local _, _, _, high, low = held(log, bound)
    -- What never fits has no wait.
    local fits = not less(bound.high, bound.low, 0, ONE)
    local full = fits and look(log, {high = 0, low = ONE, bounds = {bound}})
    for _, number in ipairs({high or 0, low or 0, full and full.wait or 0}) do
      answer[#answer + 1] = number
    end
  end
  answers[index] = answer
end
return answers
