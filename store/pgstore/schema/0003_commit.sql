-- {{prefix}}commit applies one batch and tells in one line of text how that went:
--
--     done {state} {state} ...       of the bucket of each charge
--     limited <charge> <window> <wait>
--                                    the first charge that is refused, and of its windows the first with
--                                    the longest wait, counted from 1; microseconds
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
--
-- With synchronous_commit off the server answers before the commit is on the disk, and a crash
-- undoes it. So the function turns that setting on, for its transaction alone; a SET of the
-- function itself would end before the transaction does. All other values wait at
-- least for the server's own disk, and stay: local, remote_write, on, remote_apply.
--
-- enable_seqscan is off for the reason given at {{prefix}}load.
--
-- The arguments are few, because each array costs time before the function begins.
CREATE OR REPLACE FUNCTION {{prefix}}commit(
    now            int8,    -- Unix nanoseconds
    locks          int8[],  -- ascending and even; one more for a shared lock
    charge_keys    bytea[],
    charge_numbers int8[],  -- for each: durable (0 or 1), look (0 or 1), how many windows; and of
                            -- each window Burst*Every, Cost*Every and Horizon, microseconds
    give_keys      bytea[],
    give_numbers   int8[],  -- for each: durable, how many windows; and of each window Cost*Every
    puts           bytea[], -- a row for each: key, version, version before or NULL for any, owner, body
    put_expires    int8[],
    delete_keys    bytea[]
) RETURNS text
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    at        CONSTANT int8 := now / 1000;
    applied   bool := false;
    conflicts text := '';
    states    text[]; -- of the charged buckets, after their charges
    put_rows  bool[]; -- whether each put, and each charge, has a row to update
    take_rows bool[];
    was       bytea;
    until     int8;
    state     int8[];
    taken     int8;
    wait      int8;
    refusing  int4; -- the window that makes the caller wait
    locked    bool;
    n         int4 := 0; -- how many numbers come before those of the current charge or give-back
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        -- The caller knows this code, and begins a transaction of that level.
        RAISE 'passwordless: the isolation level must be READ COMMITTED' USING ERRCODE = 'PWL01';
    END IF;
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    FOR i IN 1..cardinality(locks) LOOP
        -- An assignment, because PERFORM costs a statement. (The result is void.)
        locked := CASE locks[i] & 1
            WHEN 1 THEN pg_advisory_xact_lock_shared(locks[i] - 1) IS NULL
            ELSE pg_advisory_xact_lock(locks[i]) IS NULL END;
    END LOOP;

    FOR i IN 1..cardinality(put_expires) LOOP
        SELECT version, expires INTO was, until FROM {{prefix}}records WHERE key = puts[i][1];
        put_rows[i] := FOUND;
        IF was = puts[i][2] THEN
            applied := true;
        ELSIF (CASE WHEN until > now THEN was ELSE '' END) <> puts[i][3] THEN
            conflicts := conflicts || ' ' || i;
        END IF;
    END LOOP;

    -- Charge.Take of the Go package. If the batch was applied before, it tells the states only.
    FOR i IN 1..cardinality(charge_keys) LOOP
        IF charge_numbers[n + 1] = 1 THEN
            SELECT full_at INTO state FROM {{prefix}}buckets WHERE key = charge_keys[i];
        ELSE
            SELECT full_at INTO state FROM {{prefix}}windows WHERE key = charge_keys[i];
        END IF;
        take_rows[i] := FOUND;
        wait := 0;
        FOR j IN 1..charge_numbers[n + 3] LOOP
            IF charge_numbers[n + 2 + 3*j] > 0 AND NOT applied THEN
                taken := at + charge_numbers[n + 2 + 3*j];
                IF state[j] > at AND (charge_numbers[n + 3 + 3*j] = 0 OR state[j] - at <= charge_numbers[n + 3 + 3*j]) THEN
                    taken := state[j] + charge_numbers[n + 2 + 3*j];
                END IF;
                IF taken - at - charge_numbers[n + 1 + 3*j] > wait THEN
                    wait := taken - at - charge_numbers[n + 1 + 3*j];
                    refusing := j;
                END IF;
                state[j] := CASE charge_numbers[n + 2] WHEN 1 THEN coalesce(state[j], 0) ELSE taken END;
            ELSIF state[j] IS NULL THEN
                state[j] := 0;
            END IF;
        END LOOP;
        IF wait > 0 THEN
            RETURN 'limited ' || i || ' ' || refusing || ' ' || wait;
        END IF;
        states[i] := state;
        n := n + 3 + 3*charge_numbers[n + 3];
    END LOOP;

    IF applied THEN
        RETURN 'done ' || coalesce(array_to_string(states, ' '), '');
    ELSIF conflicts <> '' THEN
        RETURN 'conflict' || conflicts;
    END IF;

    n := 0;
    FOR i IN 1..cardinality(charge_keys) LOOP
        IF charge_numbers[n + 2] = 0 THEN
            state := states[i];
            IF take_rows[i] THEN
                IF charge_numbers[n + 1] = 1 THEN
                    UPDATE {{prefix}}buckets SET full_at = state WHERE key = charge_keys[i];
                ELSE
                    UPDATE {{prefix}}windows SET full_at = state WHERE key = charge_keys[i];
                END IF;
                take_rows[i] := FOUND;
            END IF;
            IF NOT take_rows[i] THEN
                until := greatest(state[1], state[2], state[3], state[4], state[5], state[6], state[7], state[8]);
                IF charge_numbers[n + 1] = 1 THEN
                    INSERT INTO {{prefix}}buckets (due, key, full_at) VALUES (until, charge_keys[i], state);
                ELSE
                    INSERT INTO {{prefix}}windows (due, key, full_at) VALUES (until, charge_keys[i], state);
                END IF;
            END IF;
        END IF;
        n := n + 3 + 3*charge_numbers[n + 3];
    END LOOP;

    -- Charge.Give of the Go package. A bucket that is not there is full.
    n := 0;
    FOR i IN 1..cardinality(give_keys) LOOP
        IF give_numbers[n + 1] = 1 THEN
            SELECT full_at INTO state FROM {{prefix}}buckets WHERE key = give_keys[i];
        ELSE
            SELECT full_at INTO state FROM {{prefix}}windows WHERE key = give_keys[i];
        END IF;
        IF FOUND THEN
            FOR j IN 1..least(give_numbers[n + 2], cardinality(state)) LOOP
                IF give_numbers[n + 2 + j] > 0 THEN
                    state[j] := greatest(0, state[j] - give_numbers[n + 2 + j]);
                END IF;
            END LOOP;
            until := greatest(state[1], state[2], state[3], state[4], state[5], state[6], state[7], state[8]);
            IF give_numbers[n + 1] = 1 THEN
                UPDATE {{prefix}}buckets SET due = least(due, until), full_at = state WHERE key = give_keys[i];
            ELSE
                UPDATE {{prefix}}windows SET due = least(due, until), full_at = state WHERE key = give_keys[i];
            END IF;
        END IF;
        n := n + 2 + give_numbers[n + 2];
    END LOOP;

    FOR i IN 1..cardinality(put_expires) LOOP
        IF put_rows[i] THEN
            UPDATE {{prefix}}records
            SET due = least(due, put_expires[i]), expires = put_expires[i],
                owner = puts[i][4], version = puts[i][2], body = puts[i][5]
            WHERE key = puts[i][1];
            put_rows[i] := FOUND;
        END IF;
        IF NOT put_rows[i] THEN
            INSERT INTO {{prefix}}records (due, expires, key, owner, version, body)
            VALUES (put_expires[i], put_expires[i], puts[i][1], puts[i][4], puts[i][2], puts[i][5]);
        END IF;
    END LOOP;
    IF cardinality(delete_keys) > 0 THEN
        DELETE FROM {{prefix}}records WHERE key = ANY (delete_keys);
    END IF;
    RETURN 'done ' || coalesce(array_to_string(states, ' '), '');
END
$$;
