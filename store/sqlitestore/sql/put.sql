INSERT INTO {{prefix}}records (key, version, expires, due, owner, body) VALUES (?1, ?2, ?3, ?3, ?4, ?5)
ON CONFLICT (key) DO UPDATE SET version = excluded.version, expires = excluded.expires, due = min(due, excluded.due), owner = excluded.owner, body = excluded.body
