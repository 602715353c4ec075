-- The first statement of a Commit: it changes nothing, but takes the lock of the writer
-- before anything is read, also when the transaction began without it.
UPDATE {{prefix}}schema SET version = version WHERE version < 0
