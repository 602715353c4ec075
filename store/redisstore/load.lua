#!lua flags=allow-oom
-- Returns the records under KEYS, all at one instant, nil where there is none.
-- Without the flag no-writes a replica, which may be behind, refuses to run it.

local records = {}
for i, key in ipairs(KEYS) do
  records[i] = redis.call('GET', key)
end
return records
