DELETE FROM {{table}}
WHERE expires <= ?1 AND key IN (SELECT key FROM {{table}} WHERE due <= ?1 ORDER BY due LIMIT ?2)
