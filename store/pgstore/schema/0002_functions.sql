-- {{prefix}}load returns the records under the keys that are not expired at now, each with
-- the place of its key, counted from 1. It is one SELECT, and so one snapshot.
--
-- The settings of this function and the next keep to one plan, by index: neither is there
-- time to plan each call, nor may a plan that was made for a small table stay when it has grown.
CREATE FUNCTION {{prefix}}load(keys bytea[], now int8)
RETURNS TABLE (place int8, version bytea, expires int8, owner bytea, body bytea)
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
#variable_conflict use_column
BEGIN
    IF pg_is_in_recovery() THEN
        RAISE 'passwordless: this is a replica, where a commit may be missing' USING ERRCODE = 'read_only_sql_transaction';
    END IF;
    RETURN QUERY
    SELECT k.place, uuid_send(r.version), r.expires, r.owner, r.body
    FROM unnest(keys) WITH ORDINALITY AS k (key, place)
    CROSS JOIN LATERAL (SELECT * FROM {{prefix}}records WHERE key = k.key AND expires > now OFFSET 0) AS r;
END
$$;

-- {{prefix}}commit applies one batch and tells in one line of text how that went:
--
--     done {state} {state} ...       of the bucket of each charge
--     limited <charge> <wait>        the first charge that is refused, counted from 1; microseconds
--     conflict <put> <put> ...       the puts whose condition failed, counted from 1
--
-- It is serializable under READ COMMITTED. First it locks all keys of the batch, in the
-- order of their numbers, so that no two calls wait for each other in a circle. Each
-- statement after that has a snapshot newer than the locks. It writes only after the last
-- check, so that a refused call leaves nothing. The locks go with the transaction.
--
-- As only this function inserts, and it holds the lock of the key, an UPDATE that found no row
-- may be followed by a plain INSERT, which costs less than ON CONFLICT. Sweep takes
-- no such locks: a row that it removes between check and write was expired, and the
-- outcome is that of a Sweep just before or after.
CREATE FUNCTION {{prefix}}commit(
    now            int8,    -- Unix nanoseconds
    lock_ids       int8[],  -- ascending
    lock_shared    bool[],
    charge_keys    bytea[],
    charge_durable bool[],
    charge_look    bool[],
    charge_windows int4[],  -- how many of the following two belong to each charge
    charge_spans   int8[],  -- Burst*Every, microseconds
    charge_costs   int8[],  -- Cost*Every, microseconds
    give_keys      bytea[],
    give_durable   bool[],
    give_windows   int4[],
    give_costs     int8[],
    put_keys       bytea[],
    put_versions   uuid[],
    put_was        uuid[],  -- NULL for any
    put_expires    int8[],
    put_owners     bytea[],
    put_bodies     bytea[],
    delete_keys    bytea[]
) RETURNS text
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    at        CONSTANT int8 := now / 1000;
    none      CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    applied   bool := false;
    conflicts text := '';
    states    text[] := '{}'; -- of the charged buckets, after their charges
    put_rows  bool[] := '{}'; -- whether each put, and each charge, has a row to update
    take_rows bool[] := '{}';
    was       uuid;
    until     int8;
    state     int8[];
    taken     int8;
    wait      int8;
    locked    bool;
    w         int4 := 0;      -- windows before those of the current bucket
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE 'passwordless: the isolation level must be READ COMMITTED' USING ERRCODE = 'feature_not_supported';
    END IF;
    FOR i IN 1..cardinality(lock_ids) LOOP
        -- An assignment, because PERFORM costs a statement. (The result is void.)
        locked := CASE WHEN lock_shared[i]
            THEN pg_advisory_xact_lock_shared(lock_ids[i]) IS NULL
            ELSE pg_advisory_xact_lock(lock_ids[i]) IS NULL END;
    END LOOP;

    FOR i IN 1..cardinality(put_keys) LOOP
        SELECT version, expires INTO was, until FROM {{prefix}}records WHERE key = put_keys[i];
        put_rows := put_rows || FOUND;
        IF was = put_versions[i] THEN
            applied := true;
        ELSIF (CASE WHEN until > now THEN was ELSE none END) <> put_was[i] THEN
            conflicts := conflicts || ' ' || i;
        END IF;
    END LOOP;

    -- Charge.Take of the Go package. If the batch was applied before, it tells the states only.
    FOR i IN 1..cardinality(charge_keys) LOOP
        IF charge_durable[i] THEN
            SELECT full_at INTO state FROM {{prefix}}buckets WHERE key = charge_keys[i];
        ELSE
            SELECT full_at INTO state FROM {{prefix}}windows WHERE key = charge_keys[i];
        END IF;
        take_rows := take_rows || FOUND;
        wait := 0;
        FOR j IN 1..charge_windows[i] LOOP
            IF charge_costs[w + j] > 0 AND NOT applied THEN
                taken := greatest(state[j], at) + charge_costs[w + j];
                wait := greatest(wait, taken - at - charge_spans[w + j]);
                state[j] := CASE WHEN charge_look[i] THEN coalesce(state[j], 0) ELSE taken END;
            ELSIF state[j] IS NULL THEN
                state[j] := 0;
            END IF;
        END LOOP;
        IF wait > 0 THEN
            RETURN 'limited ' || i || ' ' || wait;
        END IF;
        states := states || state::text;
        w := w + charge_windows[i];
    END LOOP;

    IF applied THEN
        RETURN 'done ' || array_to_string(states, ' ');
    ELSIF conflicts <> '' THEN
        RETURN 'conflict' || conflicts;
    END IF;

    FOR i IN 1..cardinality(charge_keys) LOOP
        CONTINUE WHEN charge_look[i];
        IF take_rows[i] THEN
            IF charge_durable[i] THEN
                UPDATE {{prefix}}buckets SET full_at = states[i]::int8[] WHERE key = charge_keys[i];
            ELSE
                UPDATE {{prefix}}windows SET full_at = states[i]::int8[] WHERE key = charge_keys[i];
            END IF;
            take_rows[i] := FOUND;
        END IF;
        IF NOT take_rows[i] THEN
            state := states[i];
            until := greatest(state[1], state[2], state[3], state[4], state[5], state[6], state[7], state[8]);
            IF charge_durable[i] THEN
                INSERT INTO {{prefix}}buckets (due, key, full_at) VALUES (until, charge_keys[i], state);
            ELSE
                INSERT INTO {{prefix}}windows (due, key, full_at) VALUES (until, charge_keys[i], state);
            END IF;
        END IF;
    END LOOP;

    -- Charge.Give of the Go package. A bucket that is not there is full.
    w := 0;
    FOR i IN 1..cardinality(give_keys) LOOP
        IF give_durable[i] THEN
            SELECT full_at INTO state FROM {{prefix}}buckets WHERE key = give_keys[i];
        ELSE
            SELECT full_at INTO state FROM {{prefix}}windows WHERE key = give_keys[i];
        END IF;
        FOR j IN 1..least(give_windows[i], cardinality(state)) LOOP
            IF give_costs[w + j] > 0 THEN
                state[j] := greatest(0, state[j] - give_costs[w + j]);
            END IF;
        END LOOP;
        IF give_durable[i] THEN
            UPDATE {{prefix}}buckets SET due = least(due, greatest(state[1], state[2], state[3], state[4], state[5], state[6], state[7], state[8])), full_at = state
            WHERE key = give_keys[i];
        ELSE
            UPDATE {{prefix}}windows SET due = least(due, greatest(state[1], state[2], state[3], state[4], state[5], state[6], state[7], state[8])), full_at = state
            WHERE key = give_keys[i];
        END IF;
        w := w + give_windows[i];
    END LOOP;

    FOR i IN 1..cardinality(put_keys) LOOP
        IF put_rows[i] THEN
            UPDATE {{prefix}}records
            SET due = least(due, put_expires[i]), expires = put_expires[i],
                owner = put_owners[i], version = put_versions[i], body = put_bodies[i]
            WHERE key = put_keys[i];
            put_rows[i] := FOUND;
        END IF;
        IF NOT put_rows[i] THEN
            INSERT INTO {{prefix}}records (due, expires, key, owner, version, body)
            VALUES (put_expires[i], put_expires[i], put_keys[i], put_owners[i], put_versions[i], put_bodies[i]);
        END IF;
    END LOOP;
    IF cardinality(delete_keys) > 0 THEN
        DELETE FROM {{prefix}}records WHERE key = ANY (delete_keys);
    END IF;
    RETURN 'done ' || array_to_string(states, ' ');
END
$$;
