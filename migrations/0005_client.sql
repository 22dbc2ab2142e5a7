-- Programs that ask for tokens in their own name. Each acts through a programmatic user of its own,
-- so that what it may do is decided where it is decided for everybody, and its end ends its tokens.
CREATE TABLE client (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uid TEXT NOT NULL UNIQUE CHECK (length(uid) BETWEEN 1 AND 64), -- the name of its user
    user_id INTEGER NOT NULL UNIQUE REFERENCES user (id) ON DELETE CASCADE,
    product_id INTEGER NOT NULL DEFAULT 0, -- 0: of the whole server
    name TEXT NOT NULL CHECK (length(name) > 0),
    type TEXT NOT NULL CHECK (type IN ('installed', 'web')),
    redirect_uri TEXT NOT NULL DEFAULT '',
    secret BLOB NOT NULL CHECK (length(secret) = 32), -- SHA-256: it is random, like tokens
    created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX client_product ON client (product_id, id);
