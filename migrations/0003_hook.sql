-- Who is told of events by HTTP, and what still has to be sent to them. The queue is filled in the
-- transaction that appends the event, so that neither exists without the other.
CREATE TABLE hook (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uid TEXT NOT NULL UNIQUE CHECK (length(uid) = 24),
    product_id INTEGER NOT NULL DEFAULT 0, -- 0: events of every product
    device_id BLOB CHECK (length(device_id) = 12), -- NULL: of every device
    name TEXT NOT NULL DEFAULT '',
    event TEXT NOT NULL CHECK (length(event) > 0), -- what the names of events begin with
    url TEXT NOT NULL CHECK (length(url) > 0),
    method TEXT NOT NULL CHECK (method IN ('GET', 'POST', 'PUT', 'DELETE')),
    spec TEXT NOT NULL, -- JSON: headers, query, templates, credentials
    secret TEXT NOT NULL CHECK (length(secret) > 0),
    disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    queued INTEGER NOT NULL DEFAULT 0 CHECK (queued >= 0), -- kept by triggers
    dropped INTEGER NOT NULL DEFAULT 0, -- events that found the queue full
    sent INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0, -- attempts
    failures INTEGER NOT NULL DEFAULT 0, -- of them since the last success
    failing_ms INTEGER NOT NULL DEFAULT 0, -- the first of those
    next_ms INTEGER NOT NULL DEFAULT 0, -- no attempt before
    last_error TEXT NOT NULL DEFAULT '',
    last_error_ms INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX hook_product ON hook (product_id, id);
CREATE INDEX hook_ready ON hook (next_ms) WHERE queued > 0 AND disabled = 0;

CREATE TABLE hook_delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hook_id INTEGER NOT NULL REFERENCES hook (id) ON DELETE CASCADE,
    event_id INTEGER NOT NULL REFERENCES event (id) ON DELETE CASCADE,
    attempts INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX hook_delivery_hook ON hook_delivery (hook_id, id);
CREATE INDEX hook_delivery_event ON hook_delivery (event_id);

CREATE TRIGGER hook_delivery_added AFTER INSERT ON hook_delivery BEGIN
    UPDATE hook SET queued = queued + 1 WHERE id = NEW.hook_id;
END;
CREATE TRIGGER hook_delivery_gone AFTER DELETE ON hook_delivery BEGIN
    UPDATE hook SET queued = queued - 1 WHERE id = OLD.hook_id;
END;
