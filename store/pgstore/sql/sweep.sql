-- Looks at up to $2 rows that are due at $1: removes those that are expired, and makes
-- the others due when they will be. Rows that a commit is changing are left alone.
WITH due AS (
    SELECT key, {{expires}} AS expires FROM {{table}} WHERE due <= $1 ORDER BY due LIMIT $2 FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM {{table}} t USING due WHERE t.key = due.key AND due.expires <= $1 RETURNING 1
), later AS (
    UPDATE {{table}} t SET due = due.expires FROM due WHERE t.key = due.key AND due.expires > $1
)
SELECT (SELECT count(*) FROM due), (SELECT count(*) FROM gone)
