-- Wrong passwords are counted by where they come from, so that a stranger who guesses does not lock
-- out the user. And apart from the user, whose every change makes readers forget what they know.
CREATE TABLE login_failure (
    user_id INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    place TEXT NOT NULL CHECK (length(place) BETWEEN 1 AND 64),
    failures INTEGER NOT NULL CHECK (failures > 0),
    last_ms INTEGER NOT NULL,
    PRIMARY KEY (user_id, place)
) STRICT, WITHOUT ROWID;
ALTER TABLE user DROP COLUMN failures;
ALTER TABLE user DROP COLUMN locked_until_ms;
