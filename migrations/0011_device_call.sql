-- How often functions were called and variables read, by the hour. Old hours go, and so do the
-- oldest when there are too many rows.
CREATE TABLE device_call (
    product_id INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('function', 'variable')),
    hour_ms INTEGER NOT NULL,
    device_num INTEGER NOT NULL REFERENCES device (num) ON DELETE CASCADE,
    succeeded INTEGER NOT NULL CHECK (succeeded >= 0),
    failed INTEGER NOT NULL CHECK (failed >= 0),
    PRIMARY KEY (product_id, kind, hour_ms, device_num)
) STRICT, WITHOUT ROWID;
CREATE INDEX device_call_device ON device_call (device_num);
CREATE INDEX device_call_age ON device_call (hour_ms);
