-- {{prefix}}load returns the record under a key, or NULLs if there is none or it is expired
-- at now. As it is STABLE, it sees the snapshot of the statement that calls it, and so one
-- statement may call it for several keys.
--
-- Its setting keeps to plans by index: a plan that was made for a small table must not stay
-- when it has grown.
CREATE FUNCTION {{prefix}}load(wanted bytea, now int8, OUT version bytea, OUT expires int8, OUT owner bytea, OUT body bytea)
LANGUAGE plpgsql STABLE
SET enable_seqscan = off
AS $$
BEGIN
    IF pg_is_in_recovery() THEN
        RAISE 'passwordless: this is a replica, where a commit may be missing' USING ERRCODE = 'read_only_sql_transaction';
    END IF;
    SELECT r.version, r.expires, r.owner, r.body INTO version, expires, owner, body
    FROM {{prefix}}records AS r WHERE r.key = wanted AND r.expires > now;
END
$$;
