-- What the session and the server have of what a Store needs, as text: "" for what is not
-- known there.
SELECT
    coalesce(current_setting('transaction_isolation', true), ''),
    coalesce(current_setting('transaction_read_only', true), ''),
    pg_is_in_recovery(),
    coalesce(current_setting('fsync', true), ''),
    -- As the function of Commit does.
    CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', true)
        ELSE current_setting('synchronous_commit') END
