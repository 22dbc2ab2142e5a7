-- Which events a device asked for: those whose names begin so. It asks anew after each Hello.
CREATE TABLE subscription (
    device_num INTEGER NOT NULL REFERENCES device (num) ON DELETE CASCADE,
    prefix TEXT NOT NULL,
    PRIMARY KEY (device_num, prefix)
) STRICT, WITHOUT ROWID;
CREATE INDEX subscription_prefix ON subscription (prefix, device_num);
