SELECT version, expires FROM {{prefix}}records WHERE key = ?1
