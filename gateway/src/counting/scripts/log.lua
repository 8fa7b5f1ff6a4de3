-- One counter's log in one string: exact sliding windows, by the same rules as in a gateway's memory.
--
-- A header, then a record for each admission, oldest first; what a call weighed is the difference of two totals. So every
-- question is a binary search, a call adds 32 bytes, and what no window can see any more is skipped by a number in the header.
--
-- Numbers are integers below 2^53, which doubles keep exactly. Amounts are larger: two limbs of 15 decimal digits, modulo
-- 10^30. Only differences of totals are ever looked at, and none of them comes near the modulus.

local HEADER, RECORD, ENTRIES_MAX = 64, 32, 65536
-- After so many later admissions one is not given back any more: every later total would change, while everybody waits.
local GIVEN_BACK_MAX = 1024
-- Up to so many entries are read at once rather than one by one.
local WHOLE = 128
local LIMB = 1000000000000000

local function add(left_high, left_low, right_high, right_low)
  local high, low = left_high + right_high, left_low + right_low
  if low >= LIMB then high, low = high + 1, low - LIMB end
  if high >= LIMB then high = high - LIMB end
  return high, low
end

local function subtract(left_high, left_low, right_high, right_low)
  local high, low = left_high - right_high, left_low - right_low
  if low < 0 then high, low = high - 1, low + LIMB end
  if high < 0 then high = high + LIMB end
  return high, low
end

local function less(left_high, left_low, right_high, right_low)
  return left_high < right_high or (left_high == right_high and left_low < right_low)
end

local function open(key, server)
  local log = {key = key, head = 0, count = 0, last_id = 0, horizon = 0, last = 0, offset = 0, base_high = 0, base_low = 0}
  local text = redis.call('GETRANGE', key, 0, HEADER - 1)
  if #text > 0 then
    log.head, log.count, log.last_id, log.horizon, log.last, log.offset, log.base_high, log.base_low =
      struct.unpack('>dddddddd', text)
  end
  log.now = server + log.offset
  if log.now < log.last then
    -- The server's clock went back. The log's own goes on from where it was, so nobody waits for the clock to come again.
    log.offset, log.now, log.changed = log.last - server, log.last, true
  end
  if log.count > 0 and log.count <= WHOLE then
    local from = HEADER + log.head * RECORD
    log.whole = redis.call('GETRANGE', key, from, from + log.count * RECORD - 1)
  end
  return log
end

local function save(log)
  log.changed = false
  redis.call('SETRANGE', log.key, 0, struct.pack('>dddddddd', log.head, log.count, log.last_id, log.horizon, log.last,
    log.offset, log.base_high, log.base_low))
  -- A second more, for the server expires keys by a clock of its own.
  redis.call('PEXPIRE', log.key, math.ceil(log.horizon / 1000) + 1000)
end

-- Remembers for as long as the longest window of the charge, from now on: also for a call that is refused, or an edit that
-- makes a window longer would hand out quota while the call waits.
local function extend(log, charge)
  for _, bound in ipairs(charge.bounds) do
    if bound.length > log.horizon then
      log.horizon, log.changed = bound.length, log.changed or log.count > 0
    end
  end
end

-- Of an entry by its place: when it was admitted, its number, and the total of it and all before it.
local function entry(log, index)
  if log.whole then return struct.unpack('>dddd', log.whole, index * RECORD + 1) end
  local from = HEADER + (log.head + index) * RECORD
  return struct.unpack('>dddd', redis.call('GETRANGE', log.key, from, from + RECORD - 1))
end

local function total(log, index)
  if index < 0 then return log.base_high, log.base_low end
  local _, _, high, low = entry(log, index)
  return high, low
end

-- The first entry from a place on for which something holds that holds for all after it, too. As a rule it is one of the next,
-- so steps are short at first, and twice as long each time.
local function first(log, from, holds)
  local low, step = from, 1
  while low + step <= log.count and not holds(entry(log, low + step - 1)) do
    low, step = low + step, step * 2
  end
  local high = math.min(low + step - 1, log.count)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if holds(entry(log, middle)) then high = middle else low = middle + 1 end
  end
  return low
end

-- What a window sees of a log: its first entry, the total before that, and what it and all after it weigh. Nil: nothing.
local function held(log, bound)
  local start = first(log, 0, function(at) return log.now - at < bound.length end)
  if start == log.count then return nil end
  local before_high, before_low = total(log, start - 1)
  local newest_high, newest_low = total(log, log.count - 1)
  return start, before_high, before_low, subtract(newest_high, newest_low, before_high, before_low)
end

-- The full window with the longest wait, the last of equal ones; nil if all have room.
local function look(log, charge)
  local worst
  for index, bound in ipairs(charge.bounds) do
    local start, before_high, before_low, weight_high, weight_low = held(log, bound)
    if start then
      local high, low = add(weight_high, weight_low, charge.high, charge.low)
      if less(bound.high, bound.low, high, low) then
        local excess_high, excess_low = subtract(high, low, bound.high, bound.low)
        -- As soon as this entry has left the window, enough has.
        local leaves = first(log, start, function(_, _, total_high, total_low)
          local until_high, until_low = subtract(total_high, total_low, before_high, before_low)
          return not less(until_high, until_low, excess_high, excess_low)
        end)
        local at = entry(log, leaves)
        local wait = at + bound.length - log.now
        if worst == nil or wait >= worst.wait then
          local left_high, left_low = 0, 0
          if not less(bound.high, bound.low, weight_high, weight_low) then
            left_high, left_low = subtract(bound.high, bound.low, weight_high, weight_low)
          end
          worst = {bound = index - 1, wait = wait, high = left_high, low = left_low}
        end
      end
    end
  end
  return worst
end

-- Drops what no window can see any more, and makes room for one entry more.
local function forget(log)
  local gone = first(log, 0, function(at) return log.now - at < log.horizon end)
  if gone > 0 then log.base_high, log.base_low = total(log, gone - 1) end
  -- Beyond the most entries the two oldest become one at the later of their instants: the base stays.
  if log.count - gone == ENTRIES_MAX then gone = gone + 1 end
  if log.whole then log.whole = string.sub(log.whole, gone * RECORD + 1) end
  log.head, log.count = log.head + gone, log.count - gone
  if log.head > log.count and log.head > WHOLE then
    local from = HEADER + log.head * RECORD
    local live = log.count > 0 and redis.call('GETRANGE', log.key, from, from + log.count * RECORD - 1) or ''
    redis.call('SET', log.key, string.rep('\0', HEADER) .. live)
    log.head = 0
  end
end

-- Writes an admission down and tells its number, which no other of this counter ever had. There is room for it.
local function admit(log, charge)
  forget(log)
  local high, low = total(log, log.count - 1)
  high, low = add(high, low, charge.high, charge.low)
  log.last_id, log.last = math.max(log.last_id + 1, log.now), log.now
  redis.call('SETRANGE', log.key, HEADER + (log.head + log.count) * RECORD,
    struct.pack('>dddd', log.now, log.last_id, high, low))
  log.count, log.whole = log.count + 1, nil
  save(log)
  return log.last_id
end

-- Strikes out one admission, if the log still holds it by itself and not too many came after it. Else it stays charged.
local function give_back(log, id, cost_high, cost_low)
  local index = first(log, 0, function(_, known) return known >= id end)
  local later = log.count - index - 1
  if later < 0 or later > GIVEN_BACK_MAX then return end
  local _, known, high, low = entry(log, index)
  if known ~= id then return end
  local before_high, before_low = total(log, index - 1)
  local own_high, own_low = subtract(high, low, before_high, before_low)
  local whole = not less(cost_high, cost_low, own_high, own_low)
  if whole then cost_high, cost_low = own_high, own_low end
  local from = HEADER + (log.head + index) * RECORD
  local tail = redis.call('GETRANGE', log.key, from, from + (later + 1) * RECORD - 1)
  local pieces = {}
  for place = whole and 1 or 0, later do
    local at
    at, known, high, low = struct.unpack('>dddd', tail, place * RECORD + 1)
    high, low = subtract(high, low, cost_high, cost_low)
    pieces[#pieces + 1] = struct.pack('>dddd', at, known, high, low)
  end
  if #pieces > 0 then redis.call('SETRANGE', log.key, from, table.concat(pieces)) end
  if whole then log.count = log.count - 1 end
  save(log)
end
