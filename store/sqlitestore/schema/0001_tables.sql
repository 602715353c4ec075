CREATE TABLE {{prefix}}records (
    key     BLOB    NOT NULL PRIMARY KEY, -- kind, '/', name
    version BLOB    NOT NULL,
    expires INTEGER NOT NULL,             -- Unix nanoseconds
    due     INTEGER NOT NULL,             -- when Sweep looks at the row: at expires, or earlier
    owner   BLOB    NOT NULL,             -- empty for none
    body    BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX {{prefix}}records_due ON {{prefix}}records (due);
CREATE INDEX {{prefix}}records_owner ON {{prefix}}records (owner, key) WHERE owner <> x'';

CREATE TABLE {{prefix}}buckets (
    key     BLOB    NOT NULL PRIMARY KEY,
    full_at BLOB    NOT NULL, -- for each window, Unix microseconds in eight bytes, big end first
    expires INTEGER NOT NULL, -- the greatest of full_at
    due     INTEGER NOT NULL  -- as above: a charge, which moves expires, writes no page of an index
) STRICT, WITHOUT ROWID;

CREATE INDEX {{prefix}}buckets_due ON {{prefix}}buckets (due);
