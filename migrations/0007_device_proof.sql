-- What devices prove themselves with besides raw public keys: a pre-shared key (sealed under the
-- session key file, the device's id authenticated with it), or a certificate of a configured
-- authority, which was seen once. A device with one of these is not bound to the raw key of
-- whoever says Hello in its name first.
CREATE TABLE device_proof (
    device_id BLOB NOT NULL CHECK (length(device_id) = 12),
    kind TEXT NOT NULL CHECK (kind IN ('psk', 'certificate')),
    sealed BLOB CHECK (length(sealed) = 93), -- a PSK
    since_ms INTEGER NOT NULL,
    PRIMARY KEY (device_id, kind),
    CHECK ((kind = 'psk') = (sealed IS NOT NULL))
) STRICT, WITHOUT ROWID;
