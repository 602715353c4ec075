#!lua
-- Runs every command that the other scripts run, since one that is refused halfway would
-- leave a batch half written.
--
-- KEYS: a free key.

local call, key = redis.call, KEYS[1]
call('SET', key, 'string', 'PX', '1000')
call('GET', key)
call('GETRANGE', key, 0, 99)
call('DEL', key)
call('ZADD', key, '0', 'member')
call('PEXPIRE', key, '1000', 'NX')
call('PEXPIRE', key, '1000', 'GT')
call('ZRANGEBYLEX', key, '-', '+', 'LIMIT', 0, 1)
call('ZREM', key, 'member')
call('SCAN', '0', 'MATCH', key, 'COUNT', '1')
return {}
