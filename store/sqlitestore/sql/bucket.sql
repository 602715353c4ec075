SELECT full_at FROM {{prefix}}buckets WHERE key = ?1
