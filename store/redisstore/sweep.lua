#!lua flags=allow-oom
-- Removes records that are expired, and buckets that are full, at now.
--
-- ARGV: now; the SCAN cursor; the pattern of the keys of records and buckets; about how
--       many keys to look at; the most to remove.
--
-- Returns how many it removed and the next cursor.

local call = redis.call
local now, cursor, pattern, count, limit = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])

local function owner(record) return record:sub(37, 36 + record:byte(36)) end

-- full returns when the bucket is full, in the form of an expiry.
local function full(bucket)
  local last = 0
  for i = 1, #bucket, 8 do
    last = math.max(last, (struct.unpack('<d', bucket, i)))
  end
  return string.format('%016.0f000', last)
end

local removed = 0
local page = call('SCAN', cursor, 'MATCH', pattern, 'COUNT', count)
for _, key in ipairs(page[2]) do
  local prefix, family, kind = key:match('^([^:]*:)(.):([^:]*:)')
  local head = call('GETRANGE', key, 0, 99) -- a record without its body, or a bucket
  local ends = family == 'b' and full(head) or head:sub(17, 35)
  if head ~= '' and ends <= now then
    if removed == limit then
      return {removed, cursor}
    end
    call('DEL', key)
    if family == 'r' and owner(head) ~= '' then
      call('ZREM', prefix .. 'o:' .. kind .. owner(head), key)
    end
    removed = removed + 1
  end
end
return {removed, page[1]}
