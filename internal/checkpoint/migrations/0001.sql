-- Every row carries the checksum of its other columns: integrity_check sees structure, not content.
-- No token, header or body is ever stored.

CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL,
    sum   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE run (
    seq         INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE CHECK (length(id) = 8 AND id NOT GLOB '*[^0-9a-f]*'),
    kind        TEXT NOT NULL,
    args        TEXT NOT NULL,
    target      TEXT NOT NULL,
    options     TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('running', 'interrupted', 'failed', 'incomplete', 'complete', 'abandoned')),
    started     INTEGER NOT NULL,
    ended       INTEGER NOT NULL,
    exit        INTEGER NOT NULL CHECK (exit BETWEEN 0 AND 255),
    summary     TEXT,
    items       INTEGER NOT NULL CHECK (items >= 0),
    done        INTEGER NOT NULL CHECK (done >= 0),
    failed      INTEGER NOT NULL CHECK (failed >= 0),
    sum         INTEGER NOT NULL
) STRICT;

CREATE TABLE item (
    run   INTEGER NOT NULL REFERENCES run (seq),
    key   TEXT NOT NULL,
    state TEXT NOT NULL CHECK (length(state) <= 32 AND state NOT GLOB '*[^0-9a-z_-]*'),
    data  TEXT,
    error TEXT NOT NULL,
    sum   INTEGER NOT NULL,
    PRIMARY KEY (run, key)
) STRICT, WITHOUT ROWID;

-- What was sent for an item and what came of it: a row when it is sent, one more when it is answered, none ever changed.
CREATE TABLE attempt (
    run     INTEGER NOT NULL REFERENCES run (seq),
    key     TEXT NOT NULL,
    n       INTEGER NOT NULL CHECK (n > 0),
    verdict TEXT NOT NULL CHECK (verdict IN ('', 'not-sent', 'rejected', 'conflict', 'applied', 'unknown')),
    marker  TEXT NOT NULL,
    at      INTEGER NOT NULL,
    sum     INTEGER NOT NULL,
    PRIMARY KEY (run, key, n, verdict)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER attempt_is_append_only BEFORE UPDATE ON attempt BEGIN
    SELECT raise(ABORT, 'attempts are never changed');
END;
