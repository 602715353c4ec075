SELECT place, '', version, expires, owner, body FROM {{prefix}}load($1, $2)
