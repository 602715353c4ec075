#!lua
-- Applies a batch, all or nothing. Nothing undoes what a script wrote before it
-- failed: every check comes before the first write.
--
-- KEYS: the buckets of the charges and of the give-backs, the records of the puts
--       and of the deletes.
-- ARGV: now; how many charges, give-backs and puts there are; then
--       for each charge: 1 if it only looks, else 0, and for each window what the
--         charge takes, what it may use, and how far ahead a number is believed or 0;
--       for each give-back: for each window what it returns;
--       for each put: the record, the version that it demands, the time to live.
--
-- Returns {'ok', state of each charged bucket...}, {'limited', which charge,
-- which window, wait} or {'conflict', which put...}, counted from 0. Times are microseconds, a time to
-- live is milliseconds. Lists of numbers come and go as little-endian binary64.

local call = redis.call
local now = ARGV[1]
local at = tonumber(now:sub(1, 16))
local charges, gives, puts = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local before_puts = charges + gives -- in KEYS
local before_deletes = before_puts + puts
local put_args = 5 + before_puts -- where they begin in ARGV

-- A record is: version (16 bytes), expiry (19 digits), length of the owner (1 byte),
-- owner, body.
local ABSENT = ('\0'):rep(16)
local function version(record) return record:sub(1, 16) end
local function expires(record) return record:sub(17, 35) end
local function owner(record) return record:sub(37, 36 + record:byte(36)) end

local NUMBERS = '<ddddddddddddddddddddddddd' -- for the most that there are, 25

local function unpacked(s)
  local list = {struct.unpack(NUMBERS:sub(1, 1 + #s / 8), s)}
  list[#list] = nil -- the position where unpacking ended
  return list
end

local function packed(list)
  return struct.pack(NUMBERS:sub(1, 1 + #list), unpack(list))
end

-- take is Charge.Take: it changes the state and returns the wait, 0 if granted, and the
-- window that refused, counted from 0.
local function take(charge, state)
  local wait, refusing = 0, 0
  for w = 1, (#charge - 1) / 3 do
    local cost, span, horizon, full = charge[3 * w - 1], charge[3 * w], charge[3 * w + 1], state[w] or 0
    if cost > 0 then
      local taken = at + cost
      if full > at and (horizon == 0 or full - at <= horizon) then
        taken = full + cost
      end
      if taken - at - span > wait then
        wait, refusing = taken - at - span, w - 1
      end
      if charge[1] == 0 then
        full = taken
      end
    end
    state[w] = full
  end
  return wait, refusing
end

-- life is after how many milliseconds Redis may remove a bucket: when it is full again,
-- and two days for clocks that differ.
local function life(state)
  local full = at
  for _, number in ipairs(state) do
    full = math.max(full, number)
  end
  return ('%.0f'):format(math.ceil((full - at) / 1000) + 172800000)
end

-- owned returns the key of the set of an owner's records of the kind that key has.
local function owned(key, owner)
  local prefix, kind = key:match('^([^:]*:)r:([^:]*:)')
  return prefix .. 'o:' .. kind .. owner
end

-- own enters a record into its owner's set, which then lives as long or longer.
local function own(key, owner, ttl)
  local set = owned(key, owner)
  if ttl == '' then
    ttl = '99999999999999' -- sets always have one, lest a shorter one is given later
  end
  call('ZADD', set, '0', key)
  if call('PEXPIRE', set, ttl, 'NX') == 0 then
    call('PEXPIRE', set, ttl, 'GT')
  end
end

local stored = {}
for i, key in ipairs(KEYS) do
  stored[i] = call('GET', key)
end

-- A put that finds its own version was applied before.
local reply = {'ok'}
for i = 1, puts do
  local old = stored[before_puts + i]
  if old and version(old) == version(ARGV[put_args + 3 * i - 3]) then
    for c = 1, charges do
      reply[1 + c] = stored[c] or ''
    end
    return reply
  end
end

local looks, lives = {}, {}
for i = 1, charges do
  local charge, state = unpacked(ARGV[4 + i]), unpacked(stored[i] or '')
  local wait, refusing = take(charge, state)
  if wait > 0 then
    return {'limited', i - 1, refusing, wait}
  end
  reply[1 + i], lives[i] = packed(state), life(state)
  looks[i] = charge[1] == 1
end

local conflict = {'conflict'}
for i = 1, puts do
  local old, demanded = stored[before_puts + i], ARGV[put_args + 3 * i - 2]
  local found = old and now < expires(old) and version(old) or ABSENT
  if demanded ~= '' and demanded ~= found then
    conflict[#conflict + 1] = i - 1
  end
end
if conflict[2] then
  return conflict
end

-- All is granted: from here on it is written.
local charged = {} -- the next states, by key
for i = 1, charges do
  if not looks[i] then
    call('SET', KEYS[i], reply[1 + i], 'PX', lives[i])
    charged[KEYS[i]] = reply[1 + i]
  end
end
for i = charges + 1, before_puts do
  local before = charged[KEYS[i]] or stored[i]
  if before then
    local state = unpacked(before)
    for w, amount in ipairs(unpacked(ARGV[4 + i])) do
      state[w] = math.max(0, (state[w] or 0) - amount) -- as Charge.Give does
    end
    call('SET', KEYS[i], packed(state), 'PX', life(state))
  end
end
for i = 1, puts do
  local key, old = KEYS[before_puts + i], stored[before_puts + i]
  local record, ttl = ARGV[put_args + 3 * i - 3], ARGV[put_args + 3 * i - 1]
  if ttl == '' then
    call('SET', key, record)
  else
    call('SET', key, record, 'PX', ttl)
  end
  local from, to = old and owner(old) or '', owner(record)
  if from ~= '' and from ~= to then
    call('ZREM', owned(key, from), key)
  end
  if to ~= '' and (from ~= to or expires(old) < expires(record)) then
    own(key, to, ttl)
  end
end
for i = before_deletes + 1, #KEYS do
  local key, old = KEYS[i], stored[i]
  if old then
    call('DEL', key)
    if owner(old) ~= '' then
      call('ZREM', owned(key, owner(old)), key)
    end
  end
end
return reply
