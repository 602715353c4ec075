-- From $2 to $3 are the keys of the kind.
SELECT 0, key, version, expires, owner, body
FROM {{prefix}}records
WHERE owner = $1 AND owner <> '' AND key > $2 AND key < $3 AND expires > $4
ORDER BY key
LIMIT $5
