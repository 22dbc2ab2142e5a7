-- Which groups a device is in, and how many devices are alike.
--
-- Thousands of devices are in the same groups, so each distinct set of groups is kept once and a
-- device names its set. What the rules ask of a device has few values too: the census counts the
-- devices of each combination, and whatever concerns a whole fleet (counts, what a release would
-- change) is a sum over its rows. Triggers keep it in the transaction that changes a device.

CREATE TABLE group_set (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused: what it holds is fixed for ever
    members TEXT NOT NULL UNIQUE CHECK (length(members) > 0), -- ids of groups, ascending: "3,17"
    device_count INTEGER NOT NULL DEFAULT 0 CHECK (device_count >= 0) -- kept by triggers
) STRICT;

CREATE TABLE group_set_member (
    set_id INTEGER NOT NULL REFERENCES group_set (id) ON DELETE CASCADE,
    group_id INTEGER NOT NULL REFERENCES device_group (id),
    PRIMARY KEY (set_id, group_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX group_set_member_group ON group_set_member (group_id, set_id);

-- A version of 0: none, or not locked. A group_set of 0: in no group.
CREATE TABLE census (
    product_id INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    running_version INTEGER NOT NULL,
    group_set INTEGER NOT NULL,
    locked_version INTEGER NOT NULL,
    development INTEGER NOT NULL,
    denied INTEGER NOT NULL,
    device_count INTEGER NOT NULL CHECK (device_count >= 0),
    PRIMARY KEY (product_id, running_version, group_set, locked_version, development, denied)
) STRICT, WITHOUT ROWID;

ALTER TABLE device ADD COLUMN group_set INTEGER REFERENCES group_set (id); -- NULL: in no group

INSERT INTO group_set (members)
    SELECT DISTINCT members FROM (SELECT group_concat(group_id) AS members
        FROM (SELECT device_num, group_id FROM membership ORDER BY device_num, group_id)
        GROUP BY device_num);
INSERT INTO group_set_member (set_id, group_id)
    SELECT s.id, j.value FROM group_set s, json_each('[' || s.members || ']') j;
UPDATE device SET group_set = (SELECT s.id FROM group_set s WHERE s.members =
        (SELECT group_concat(group_id) FROM (SELECT m.group_id FROM membership m
            WHERE m.device_num = device.num ORDER BY m.group_id)))
    WHERE num IN (SELECT device_num FROM membership);
UPDATE group_set SET device_count = (SELECT count(*) FROM device d WHERE d.group_set = group_set.id);
INSERT INTO census
    SELECT product_id, running_version, coalesce(group_set, 0), coalesce(locked_version, 0),
        development, denied, count(*) FROM device GROUP BY 1, 2, 3, 4, 5, 6;

DROP TABLE membership;
DROP TRIGGER device_added;
DROP TRIGGER device_gone;
DROP TRIGGER device_changed;
DROP TABLE running;

CREATE TRIGGER device_added AFTER INSERT ON device BEGIN
    UPDATE product SET device_count = device_count + 1 WHERE id = NEW.product_id;
    INSERT INTO census VALUES (NEW.product_id, NEW.running_version, coalesce(NEW.group_set, 0),
            coalesce(NEW.locked_version, 0), NEW.development, NEW.denied, 1)
        ON CONFLICT DO UPDATE SET device_count = device_count + 1;
END;
CREATE TRIGGER device_gone AFTER DELETE ON device BEGIN
    UPDATE product SET device_count = device_count - 1 WHERE id = OLD.product_id;
    UPDATE census SET device_count = device_count - 1
        WHERE product_id = OLD.product_id AND running_version = OLD.running_version
        AND group_set = coalesce(OLD.group_set, 0)
        AND locked_version = coalesce(OLD.locked_version, 0)
        AND development = OLD.development AND denied = OLD.denied;
END;
CREATE TRIGGER device_changed AFTER UPDATE OF running_version, group_set, locked_version,
    development, denied ON device
    WHEN OLD.running_version <> NEW.running_version OR OLD.group_set IS NOT NEW.group_set
        OR OLD.locked_version IS NOT NEW.locked_version OR OLD.development <> NEW.development
        OR OLD.denied <> NEW.denied BEGIN
    UPDATE census SET device_count = device_count - 1
        WHERE product_id = OLD.product_id AND running_version = OLD.running_version
        AND group_set = coalesce(OLD.group_set, 0)
        AND locked_version = coalesce(OLD.locked_version, 0)
        AND development = OLD.development AND denied = OLD.denied;
    INSERT INTO census VALUES (NEW.product_id, NEW.running_version, coalesce(NEW.group_set, 0),
            coalesce(NEW.locked_version, 0), NEW.development, NEW.denied, 1)
        ON CONFLICT DO UPDATE SET device_count = device_count + 1;
END;
CREATE TRIGGER census_empty AFTER UPDATE OF device_count ON census WHEN NEW.device_count = 0 BEGIN
    DELETE FROM census WHERE product_id = NEW.product_id AND running_version = NEW.running_version
        AND group_set = NEW.group_set AND locked_version = NEW.locked_version
        AND development = NEW.development AND denied = NEW.denied;
END;

CREATE TRIGGER device_grouped AFTER INSERT ON device WHEN NEW.group_set IS NOT NULL BEGIN
    UPDATE group_set SET device_count = device_count + 1 WHERE id = NEW.group_set;
END;
CREATE TRIGGER device_regrouped AFTER UPDATE OF group_set ON device
    WHEN OLD.group_set IS NOT NEW.group_set BEGIN
    UPDATE group_set SET device_count = device_count + 1 WHERE id = NEW.group_set;
    UPDATE group_set SET device_count = device_count - 1 WHERE id = OLD.group_set;
END;
CREATE TRIGGER device_ungrouped AFTER DELETE ON device WHEN OLD.group_set IS NOT NULL BEGIN
    UPDATE group_set SET device_count = device_count - 1 WHERE id = OLD.group_set;
END;
CREATE TRIGGER group_set_counted AFTER UPDATE OF device_count ON group_set BEGIN
    UPDATE device_group SET device_count = device_count + NEW.device_count - OLD.device_count
        WHERE id IN (SELECT group_id FROM group_set_member WHERE set_id = NEW.id);
    DELETE FROM group_set WHERE id = NEW.id AND device_count = 0;
END;

-- Sorted pages test the group in the index: the rows of other groups are never read.
DROP INDEX device_by_id;
DROP INDEX device_by_name;
DROP INDEX device_by_handshake;
DROP INDEX device_by_version;
CREATE INDEX device_by_id ON device (product_id, id, group_set);
CREATE INDEX device_by_name ON device (product_id, name, num, group_set);
CREATE INDEX device_by_handshake ON device (product_id, handshake_ms, num, group_set);
CREATE INDEX device_by_version ON device (product_id, running_version, num, group_set);
CREATE INDEX device_by_set ON device (group_set) WHERE group_set IS NOT NULL;

-- One number that grows with every change to what readers keep in memory: who may ask, and what is
-- released to whom.
CREATE TABLE generation (id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL) STRICT;
INSERT INTO generation VALUES (1, 1);
CREATE TRIGGER token_gone AFTER DELETE ON token BEGIN
    UPDATE generation SET number = number + 1;
END;
CREATE TRIGGER token_changed AFTER UPDATE ON token BEGIN
    UPDATE generation SET number = number + 1;
END;
CREATE TRIGGER user_gone AFTER DELETE ON user BEGIN
    UPDATE generation SET number = number + 1;
END;
CREATE TRIGGER user_changed AFTER UPDATE ON user BEGIN
    UPDATE generation SET number = number + 1;
END;
CREATE TRIGGER product_gone AFTER DELETE ON product BEGIN
    UPDATE generation SET number = number + 1;
END;
CREATE TRIGGER product_changed AFTER UPDATE ON product BEGIN
    UPDATE generation SET number = number + 1;
END;
CREATE TRIGGER target_added AFTER INSERT ON target BEGIN
    UPDATE generation SET number = number + 1;
END;
CREATE TRIGGER target_gone AFTER DELETE ON target BEGIN
    UPDATE generation SET number = number + 1;
END;
CREATE TRIGGER target_changed AFTER UPDATE ON target BEGIN
    UPDATE generation SET number = number + 1;
END;
CREATE TRIGGER group_renamed AFTER UPDATE OF name ON device_group BEGIN
    UPDATE generation SET number = number + 1;
END;
