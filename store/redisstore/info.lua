#!lua flags=no-writes,allow-oom,allow-stale
-- Returns what INFO says of the server. With the flags a replica and a server that is out
-- of memory run it too, and so can be named as what they are.

return {redis.call('INFO', 'server', 'memory', 'persistence', 'replication', 'cluster')}
