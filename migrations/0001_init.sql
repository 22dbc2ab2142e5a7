-- The whole state of a Slipway server. Times are UTC milliseconds (*_ms), versions 1..65534,
-- states and kinds are text, hashes and device ids are blobs.

CREATE TABLE product (
    id INTEGER PRIMARY KEY CHECK (id BETWEEN 101 AND 65534),
    slug TEXT NOT NULL UNIQUE CHECK (length(slug) BETWEEN 1 AND 64),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 128),
    description TEXT NOT NULL DEFAULT '',
    platform_id INTEGER NOT NULL CHECK (platform_id BETWEEN 0 AND 65535),
    quarantine INTEGER NOT NULL DEFAULT 1 CHECK (quarantine IN (0, 1)),
    enforce_tested INTEGER NOT NULL DEFAULT 0 CHECK (enforce_tested IN (0, 1)),
    device_count INTEGER NOT NULL DEFAULT 0 CHECK (device_count >= 0), -- kept by triggers
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX product_platform ON product (platform_id);

-- What is known of a firmware file. Its bytes are apart, so that lists never read past them.
CREATE TABLE image (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('product', 'one_off', 'system')),
    platform_id INTEGER NOT NULL CHECK (platform_id BETWEEN 0 AND 65535),
    function INTEGER NOT NULL CHECK (function BETWEEN 0 AND 255),
    idx INTEGER NOT NULL CHECK (idx BETWEEN 0 AND 255),
    module_version INTEGER NOT NULL CHECK (module_version BETWEEN 0 AND 65535),
    product_version INTEGER NOT NULL CHECK (product_version BETWEEN 0 AND 65535),
    flags INTEGER NOT NULL CHECK (flags BETWEEN 0 AND 255),
    need1_function INTEGER NOT NULL DEFAULT 0,
    need1_idx INTEGER NOT NULL DEFAULT 0,
    need1_version INTEGER NOT NULL DEFAULT 0,
    need2_function INTEGER NOT NULL DEFAULT 0,
    need2_idx INTEGER NOT NULL DEFAULT 0,
    need2_version INTEGER NOT NULL DEFAULT 0,
    size INTEGER NOT NULL CHECK (size > 0),
    module_hash BLOB NOT NULL CHECK (length(module_hash) = 32),
    file_hash BLOB NOT NULL CHECK (length(file_hash) = 32),
    name TEXT NOT NULL DEFAULT '',
    created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX image_one_off ON image (created_ms) WHERE kind = 'one_off';
CREATE UNIQUE INDEX image_system ON image (platform_id, function, idx, module_version)
    WHERE kind = 'system';

CREATE TABLE image_data (
    image_id INTEGER PRIMARY KEY REFERENCES image (id) ON DELETE CASCADE,
    bytes BLOB NOT NULL CHECK (length(bytes) > 0)
) STRICT;

CREATE TABLE firmware (
    id INTEGER PRIMARY KEY,
    uid TEXT NOT NULL UNIQUE CHECK (length(uid) = 24),
    product_id INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    version INTEGER NOT NULL CHECK (version BETWEEN 1 AND 65534),
    image_id INTEGER NOT NULL REFERENCES image (id),
    title TEXT NOT NULL CHECK (length(title) > 0),
    description TEXT NOT NULL DEFAULT '',
    mandatory INTEGER NOT NULL DEFAULT 0 CHECK (mandatory IN (0, 1)),
    uploaded_by TEXT NOT NULL,
    uploaded_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    tested_ms INTEGER,   -- first seen running on a device
    released_ms INTEGER, -- first release ever
    UNIQUE (product_id, version)
) STRICT;
CREATE INDEX firmware_image ON firmware (image_id);

CREATE TABLE device_group (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    product_id INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    description TEXT NOT NULL DEFAULT '',
    color TEXT NOT NULL DEFAULT '',
    device_count INTEGER NOT NULL DEFAULT 0 CHECK (device_count >= 0), -- kept by triggers
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    UNIQUE (product_id, name)
) STRICT;

CREATE TABLE device (
    num INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 12),
    product_id INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    name TEXT NOT NULL DEFAULT '',
    notes TEXT NOT NULL DEFAULT '',
    development INTEGER NOT NULL DEFAULT 0 CHECK (development IN (0, 1)),
    denied INTEGER NOT NULL DEFAULT 0 CHECK (denied IN (0, 1)),
    locked_version INTEGER CHECK (locked_version BETWEEN 1 AND 65534),
    updates_forced INTEGER NOT NULL DEFAULT 0 CHECK (updates_forced IN (0, 1)),
    -- what the device told last
    online INTEGER NOT NULL DEFAULT 0 CHECK (online IN (0, 1)),
    updates_enabled INTEGER NOT NULL DEFAULT 1 CHECK (updates_enabled IN (0, 1)),
    forced_echo INTEGER NOT NULL DEFAULT 0 CHECK (forced_echo IN (0, 1)),
    pending_told INTEGER NOT NULL DEFAULT -1 CHECK (pending_told IN (-1, 0, 1)), -- -1 = not yet
    safe_mode INTEGER NOT NULL DEFAULT 0 CHECK (safe_mode IN (0, 1)),
    running_version INTEGER NOT NULL DEFAULT 0 CHECK (running_version BETWEEN 0 AND 65534),
    platform_id INTEGER NOT NULL DEFAULT 0,
    hello_product_id INTEGER NOT NULL DEFAULT 0,
    system_version INTEGER NOT NULL DEFAULT 0,
    hello_flags INTEGER NOT NULL DEFAULT 0,
    message_max INTEGER NOT NULL DEFAULT 0,
    binary_max INTEGER NOT NULL DEFAULT 0,
    chunk_bytes INTEGER NOT NULL DEFAULT 0,
    app_hash BLOB CHECK (length(app_hash) = 32),
    iccid TEXT NOT NULL DEFAULT '',
    imei TEXT NOT NULL DEFAULT '',
    modem_version TEXT NOT NULL DEFAULT '',
    serial_number TEXT NOT NULL DEFAULT '',
    last_reset TEXT NOT NULL DEFAULT '',
    address TEXT NOT NULL DEFAULT '',
    handshake_ms INTEGER NOT NULL DEFAULT 0,
    heard_ms INTEGER NOT NULL DEFAULT 0,
    hello_ms INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX device_by_id ON device (product_id, id);
CREATE INDEX device_by_name ON device (product_id, name);
CREATE INDEX device_by_handshake ON device (product_id, handshake_ms);
CREATE INDEX device_by_version ON device (product_id, running_version);
CREATE INDEX device_recent ON device (handshake_ms);
CREATE INDEX device_name ON device (name) WHERE name <> '';
CREATE INDEX device_online ON device (product_id) WHERE online = 1;
CREATE INDEX device_locked ON device (product_id, locked_version) WHERE locked_version IS NOT NULL;
CREATE INDEX device_serial ON device (serial_number) WHERE serial_number <> '';
CREATE INDEX device_imei ON device (imei) WHERE imei <> '';
CREATE INDEX device_iccid ON device (iccid) WHERE iccid <> '';

CREATE TABLE membership (
    device_num INTEGER NOT NULL REFERENCES device (num) ON DELETE CASCADE,
    group_id INTEGER NOT NULL REFERENCES device_group (id) ON DELETE CASCADE,
    PRIMARY KEY (device_num, group_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX membership_group ON membership (group_id, device_num);

-- How many devices of a product run which version (0 = none).
CREATE TABLE running (
    product_id INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    device_count INTEGER NOT NULL CHECK (device_count >= 0),
    PRIMARY KEY (product_id, version)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER device_added AFTER INSERT ON device BEGIN
    UPDATE product SET device_count = device_count + 1 WHERE id = NEW.product_id;
    INSERT INTO running (product_id, version, device_count)
        VALUES (NEW.product_id, NEW.running_version, 1)
        ON CONFLICT DO UPDATE SET device_count = device_count + 1;
END;
CREATE TRIGGER device_gone AFTER DELETE ON device BEGIN
    UPDATE product SET device_count = device_count - 1 WHERE id = OLD.product_id;
    UPDATE running SET device_count = device_count - 1
        WHERE product_id = OLD.product_id AND version = OLD.running_version;
END;
CREATE TRIGGER device_changed AFTER UPDATE OF running_version ON device
    WHEN OLD.running_version <> NEW.running_version BEGIN
    UPDATE running SET device_count = device_count - 1
        WHERE product_id = OLD.product_id AND version = OLD.running_version;
    INSERT INTO running (product_id, version, device_count)
        VALUES (NEW.product_id, NEW.running_version, 1)
        ON CONFLICT DO UPDATE SET device_count = device_count + 1;
END;
CREATE TRIGGER membership_added AFTER INSERT ON membership BEGIN
    UPDATE device_group SET device_count = device_count + 1 WHERE id = NEW.group_id;
END;
CREATE TRIGGER membership_gone AFTER DELETE ON membership BEGIN
    UPDATE device_group SET device_count = device_count - 1 WHERE id = OLD.group_id;
END;

-- Public keys by device id: they may be registered before the device is imported.
CREATE TABLE device_key (
    device_id BLOB PRIMARY KEY CHECK (length(device_id) = 12),
    point BLOB NOT NULL CHECK (length(point) = 65),
    source TEXT NOT NULL CHECK (source IN ('registered', 'first_use')),
    bound_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE quarantine (
    device_id BLOB PRIMARY KEY CHECK (length(device_id) = 12),
    product_id INTEGER REFERENCES product (id) ON DELETE CASCADE,
    platform_id INTEGER NOT NULL,
    version INTEGER NOT NULL,
    system_version INTEGER NOT NULL,
    wrong_key INTEGER NOT NULL CHECK (wrong_key IN (0, 1)),
    denied INTEGER NOT NULL DEFAULT 0 CHECK (denied IN (0, 1)),
    point BLOB NOT NULL CHECK (length(point) = 65),
    address TEXT NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX quarantine_product ON quarantine (product_id, last_ms);
CREATE INDEX quarantine_platform ON quarantine (platform_id, last_ms);
CREATE INDEX quarantine_age ON quarantine (denied, last_ms);

CREATE TABLE describe (
    device_num INTEGER NOT NULL REFERENCES device (num) ON DELETE CASCADE,
    kind INTEGER NOT NULL CHECK (kind IN (1, 2, 4)),
    content_format INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (device_num, kind)
) STRICT;

CREATE TABLE session (
    cid BLOB PRIMARY KEY CHECK (length(cid) = 8),
    device_id BLOB NOT NULL CHECK (length(device_id) = 12),
    sealed BLOB NOT NULL,
    saved_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_device ON session (device_id);
CREATE INDEX session_age ON session (saved_ms);

-- What versions are released to now; group_id NULL is the product default.
CREATE TABLE target (
    id INTEGER PRIMARY KEY,
    product_id INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    group_id INTEGER REFERENCES device_group (id) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    immediate INTEGER NOT NULL CHECK (immediate IN (0, 1)),
    released_ms INTEGER NOT NULL,
    FOREIGN KEY (product_id, version) REFERENCES firmware (product_id, version)
) STRICT;
CREATE UNIQUE INDEX target_group ON target (group_id) WHERE group_id IS NOT NULL;
CREATE UNIQUE INDEX target_default ON target (product_id) WHERE group_id IS NULL;
CREATE INDEX target_version ON target (product_id, version);

-- Who released what when; never changed.
CREATE TABLE release_history (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    product_id INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    default_change INTEGER NOT NULL CHECK (default_change IN (-1, 0, 1)),
    immediate INTEGER NOT NULL CHECK (immediate IN (0, 1)),
    untested INTEGER NOT NULL CHECK (untested IN (0, 1)),
    group_names TEXT NOT NULL,
    released_by TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX release_history_product ON release_history (product_id, id);

CREATE TABLE device_update (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    device_num INTEGER NOT NULL REFERENCES device (num) ON DELETE CASCADE,
    product_id INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    image_id INTEGER REFERENCES image (id) ON DELETE SET NULL,
    step_image_id INTEGER REFERENCES image (id) ON DELETE SET NULL,
    version INTEGER NOT NULL CHECK (version BETWEEN 0 AND 65534),
    from_version INTEGER NOT NULL CHECK (from_version BETWEEN 0 AND 65534),
    cause TEXT NOT NULL CHECK (cause IN ('rules', 'immediate', 'flash')),
    rule TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('planned', 'deferred', 'offered', 'sending', 'verifying',
        'rebooting', 'succeeded', 'failed', 'cancelled', 'superseded')),
    reason TEXT NOT NULL DEFAULT '',
    device_error INTEGER NOT NULL DEFAULT 0,
    attempt INTEGER NOT NULL DEFAULT 1,
    progress_bytes INTEGER NOT NULL DEFAULT 0,
    total_bytes INTEGER NOT NULL DEFAULT 0,
    discard INTEGER NOT NULL DEFAULT 0 CHECK (discard IN (0, 1)),
    requested_by TEXT NOT NULL DEFAULT '',
    deadline_ms INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    finished_ms INTEGER NOT NULL DEFAULT 0
) STRICT;
-- The one open update of a device. Whoever opens a second one is told that it lost the race.
CREATE UNIQUE INDEX device_update_open ON device_update (device_num)
    WHERE state IN ('planned', 'deferred', 'offered', 'sending', 'verifying', 'rebooting');
CREATE INDEX device_update_device ON device_update (device_num, id);
CREATE INDEX device_update_product ON device_update (product_id, id);
CREATE INDEX device_update_transit ON device_update (id)
    WHERE state IN ('offered', 'sending', 'verifying', 'rebooting');
CREATE INDEX device_update_deadline ON device_update (deadline_ms) WHERE deadline_ms > 0;
CREATE INDEX device_update_image ON device_update (image_id);
CREATE INDEX device_update_step_image ON device_update (step_image_id);

CREATE TABLE update_history (
    id INTEGER PRIMARY KEY,
    update_id INTEGER NOT NULL REFERENCES device_update (id) ON DELETE CASCADE,
    at_ms INTEGER NOT NULL,
    from_state TEXT, -- NULL: it was opened
    to_state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    device_error INTEGER NOT NULL DEFAULT 0,
    progress_bytes INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX update_history_update ON update_history (update_id, id);

-- How often a device failed with an image. Gone with a success, a new release or an operator's act.
CREATE TABLE attempt (
    device_num INTEGER NOT NULL REFERENCES device (num) ON DELETE CASCADE,
    image_id INTEGER NOT NULL REFERENCES image (id) ON DELETE CASCADE,
    failures INTEGER NOT NULL CHECK (failures > 0),
    reason TEXT NOT NULL,
    next_ms INTEGER NOT NULL,
    PRIMARY KEY (device_num, image_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempt_image ON attempt (image_id);

CREATE TABLE event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    product_id INTEGER NOT NULL DEFAULT 0,
    device_id BLOB CHECK (length(device_id) = 12),
    name TEXT NOT NULL,
    data BLOB,
    version INTEGER NOT NULL DEFAULT 0,
    ttl_s INTEGER NOT NULL DEFAULT 60,
    user TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX event_product ON event (product_id, id);
CREATE INDEX event_device ON event (device_id, id) WHERE device_id IS NOT NULL;
CREATE TRIGGER event_is_final BEFORE UPDATE ON event BEGIN
    SELECT raise(ABORT, 'events are never changed');
END;

CREATE TABLE user (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 128),
    friendly_name TEXT NOT NULL DEFAULT '',
    is_api INTEGER NOT NULL CHECK (is_api IN (0, 1)),
    is_admin INTEGER NOT NULL CHECK (is_admin IN (0, 1)),
    product_id INTEGER REFERENCES product (id) ON DELETE CASCADE,
    scopes TEXT NOT NULL DEFAULT '',
    salt BLOB CHECK (length(salt) = 16),
    hash BLOB CHECK (length(hash) = 32),
    failures INTEGER NOT NULL DEFAULT 0,
    locked_until_ms INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL,
    CHECK (is_api = 1 OR (salt IS NOT NULL AND hash IS NOT NULL))
) STRICT;
CREATE INDEX user_product ON user (product_id);

CREATE TABLE token (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    kind TEXT NOT NULL CHECK (kind IN ('access', 'refresh')),
    user_id INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    pair INTEGER NOT NULL DEFAULT 0, -- access and refresh token of one answer share it
    client TEXT NOT NULL DEFAULT '',
    expires_ms INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX token_user ON token (user_id);
CREATE INDEX token_pair ON token (pair) WHERE pair <> 0;
CREATE INDEX token_expiry ON token (expires_ms) WHERE expires_ms > 0;
