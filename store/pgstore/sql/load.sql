SELECT k.place, '', r.version, r.expires, r.owner, r.body
FROM unnest($1::bytea[]) WITH ORDINALITY AS k (key, place)
CROSS JOIN LATERAL {{prefix}}load(k.key, $2) AS r
WHERE r.version IS NOT NULL
