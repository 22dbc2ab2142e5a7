-- Requests that were given a key by their client, and how they ended: asking again gives the same
-- answer and does nothing twice.
CREATE TABLE idempotency (
    user_id INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    key TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32), -- of method, path and body
    status INTEGER NOT NULL DEFAULT 0, -- 0: not answered yet
    body BLOB, -- NULL: the answer held a secret, which is not kept
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (user_id, key)
) STRICT;
CREATE INDEX idempotency_age ON idempotency (created_ms);
