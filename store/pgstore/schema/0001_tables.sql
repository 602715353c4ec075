-- Records. The columns that an update leaves alone come first: PostgreSQL does not log again
-- what has not changed at the beginning of a row.
CREATE TABLE {{prefix}}records (
    due     int8  NOT NULL,    -- when Sweep looks at the row: at expires, or earlier
    expires int8  NOT NULL,    -- Unix nanoseconds
    key     bytea PRIMARY KEY, -- kind, '/', name
    owner   bytea NOT NULL,    -- empty for none
    version bytea NOT NULL,
    body    bytea NOT NULL
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);

CREATE INDEX {{prefix}}records_due ON {{prefix}}records (due);
CREATE INDEX {{prefix}}records_owner ON {{prefix}}records (owner, key) WHERE owner <> '';

-- Buckets. A charge changes no indexed column, and the page keeps room: so the new version of
-- the row goes beside the old one, and no index is touched. That is why due is not kept at
-- the instant when the bucket is full, which each charge moves; Sweep finds out.
CREATE TABLE {{prefix}}buckets (
    due     int8   NOT NULL, -- when Sweep looks at the row, Unix microseconds
    key     bytea  PRIMARY KEY,
    full_at int8[] NOT NULL  -- for each window, Unix microseconds
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

CREATE INDEX {{prefix}}buckets_due ON {{prefix}}buckets (due);

-- The buckets that may start afresh after a crash.
CREATE UNLOGGED TABLE {{prefix}}windows (
    due     int8   NOT NULL,
    key     bytea  PRIMARY KEY,
    full_at int8[] NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

CREATE INDEX {{prefix}}windows_due ON {{prefix}}windows (due);
