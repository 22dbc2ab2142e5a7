-- What a webhook keeps to itself (the key of its signatures, its headers, credentials, templates) is
-- sealed under the key file beside the database. What was stored before waits in "plain" for the
-- program, which alone can seal it, and does so at its start.
ALTER TABLE hook ADD COLUMN sealed BLOB;
ALTER TABLE hook ADD COLUMN plain TEXT; -- a JSON object of spec and secret
UPDATE hook SET plain = json_object('spec', spec, 'secret', secret);
ALTER TABLE hook DROP COLUMN spec;
ALTER TABLE hook DROP COLUMN secret;

-- The newest deliveries of each webhook and the newest failures, for whoever looks for a mistake.
CREATE TABLE hook_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hook_id INTEGER NOT NULL REFERENCES hook (id) ON DELETE CASCADE,
    at_ms INTEGER NOT NULL,
    failed INTEGER NOT NULL CHECK (failed IN (0, 1)),
    status INTEGER NOT NULL DEFAULT 0, -- of the answer; 0: there was none
    delivery_id INTEGER NOT NULL,
    event TEXT NOT NULL,
    device_id BLOB CHECK (length(device_id) = 12),
    text TEXT NOT NULL DEFAULT '' -- what went wrong, or how the answer begins
) STRICT;
CREATE INDEX hook_log_hook ON hook_log (hook_id, failed, id);
