-- Asset bundles: applications that came as a .zip with the files that they need in the device's
-- asset store. The image is the application; each asset is an image too, of the same kind, whose
-- module_hash is that of the asset itself.

CREATE TABLE bundle (
    image_id INTEGER PRIMARY KEY REFERENCES image (id) ON DELETE CASCADE,
    size INTEGER NOT NULL CHECK (size > 0),
    bytes BLOB NOT NULL CHECK (length(bytes) > 0) -- the .zip as it was uploaded
) STRICT;

CREATE TABLE bundle_asset (
    image_id INTEGER NOT NULL REFERENCES image (id) ON DELETE CASCADE, -- the application
    place INTEGER NOT NULL, -- in which they are sent
    asset_id INTEGER NOT NULL REFERENCES image (id),
    PRIMARY KEY (image_id, place)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX bundle_asset_image ON bundle_asset (asset_id);

-- Assets go with their application.
CREATE TRIGGER bundle_asset_gone AFTER DELETE ON bundle_asset BEGIN
    DELETE FROM image WHERE id = OLD.asset_id;
END;
