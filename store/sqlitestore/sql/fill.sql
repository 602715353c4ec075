INSERT INTO {{prefix}}buckets (key, full_at, expires, due) VALUES (?1, ?2, ?3, ?3)
ON CONFLICT (key) DO UPDATE SET full_at = excluded.full_at, expires = excluded.expires, due = min(due, excluded.due)
