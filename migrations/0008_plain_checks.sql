-- SQLite builds a table in memory for each list of more than two words that it tests a value
-- against, each time. The conditions below are tested several times for each update of a device.

DROP INDEX device_update_open;
DROP INDEX device_update_transit;
ALTER TABLE device_update ADD COLUMN state_now TEXT NOT NULL DEFAULT 'planned'
    CHECK (state_now = 'planned' OR state_now = 'deferred' OR state_now = 'offered'
        OR state_now = 'sending' OR state_now = 'verifying' OR state_now = 'rebooting'
        OR state_now = 'succeeded' OR state_now = 'failed' OR state_now = 'cancelled'
        OR state_now = 'superseded');
ALTER TABLE device_update ADD COLUMN cause_now TEXT NOT NULL DEFAULT 'rules'
    CHECK (cause_now = 'rules' OR cause_now = 'immediate' OR cause_now = 'flash');
UPDATE device_update SET state_now = state, cause_now = cause;
ALTER TABLE device_update DROP COLUMN state;
ALTER TABLE device_update DROP COLUMN cause;
ALTER TABLE device_update RENAME COLUMN state_now TO state;
ALTER TABLE device_update RENAME COLUMN cause_now TO cause;
-- The one open update of a device: finished_ms is 0 in the open states alone.
CREATE UNIQUE INDEX device_update_open ON device_update (device_num) WHERE finished_ms = 0;

ALTER TABLE device ADD COLUMN pending_now INTEGER NOT NULL DEFAULT -1
    CHECK (pending_now BETWEEN -1 AND 1); -- -1 = not yet told
UPDATE device SET pending_now = pending_told;
ALTER TABLE device DROP COLUMN pending_told;
ALTER TABLE device RENAME COLUMN pending_now TO pending_told;

CREATE TABLE described (
    device_num INTEGER NOT NULL REFERENCES device (num) ON DELETE CASCADE,
    kind INTEGER NOT NULL CHECK (kind = 1 OR kind = 2 OR kind = 4),
    content_format INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (device_num, kind)
) STRICT;
INSERT INTO described SELECT device_num, kind, content_format, bytes, at_ms FROM describe;
DROP TABLE describe;
ALTER TABLE described RENAME TO describe;
