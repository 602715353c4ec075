-- Of up to ?2 rows that are due at ?1, makes those that are not expired due when they will be.
UPDATE {{table}} SET due = expires
WHERE expires > ?1 AND key IN (SELECT key FROM {{table}} WHERE due <= ?1 ORDER BY due LIMIT ?2)
