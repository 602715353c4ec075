#!lua flags=allow-oom
-- Returns key, record, key, record... of an owner, in the order of the keys, without
-- those that are expired at now.
--
-- KEYS: the owner's set. ARGV: now; the owner; how many records are wanted; the key
-- after which they begin.

local set, now, owner, wanted = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local from = '(' .. ARGV[4]

local function expires(record) return record:sub(17, 35) end
local function belongs(record) return record:sub(37, 36 + record:byte(36)) == owner end

local found = {}
repeat
  local keys = redis.call('ZRANGEBYLEX', set, from, '+', 'LIMIT', 0, wanted)
  for _, key in ipairs(keys) do
    local record = redis.call('GET', key)
    if not record or not belongs(record) then
      redis.call('ZREM', set, key) -- Redis removed the record before Sweep did
    elseif now < expires(record) and #found < 2 * wanted then
      found[#found + 1] = key
      found[#found + 1] = record
    end
    from = '(' .. key
  end
until #keys < wanted or #found == 2 * wanted
return found
