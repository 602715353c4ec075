-- Keys that are not needed are NULL.
SELECT key, version, expires, owner, body
FROM {{prefix}}records
WHERE expires > ?1 AND key IN ({{keys}})
