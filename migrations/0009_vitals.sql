-- What devices said about their own health, as they said it. Rows go by age, and by number, for each
-- device and for all.
CREATE TABLE vitals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    device_num INTEGER NOT NULL REFERENCES device (num) ON DELETE CASCADE,
    at_ms INTEGER NOT NULL,
    session_s INTEGER NOT NULL, -- age of the session then
    bytes BLOB NOT NULL
) STRICT;
CREATE INDEX vitals_device ON vitals (device_num, id);
DELETE FROM describe WHERE kind = 4; -- the vitals' place until now
