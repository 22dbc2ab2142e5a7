-- A group that is deleted leaves the sets that it was in, whatever the number of their devices. Two
-- sets may then have the same groups: `members` of the second one ends with '#' and its id, so that
-- it is not the one that is found by its groups. A set changes in this way alone.
CREATE TRIGGER group_set_shrunk AFTER DELETE ON group_set_member BEGIN
    UPDATE generation SET number = number + 1;
END;
