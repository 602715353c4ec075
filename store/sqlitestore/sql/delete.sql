DELETE FROM {{prefix}}records WHERE key = ?1
