-- What a listing and a search need of each algorithm, in one row. The full-text
-- index beside it is made by the code, since each database has its own (see
-- Dialect.FullText); so are the faces of versions that are older than this.

-- +goose Up
ALTER TABLE versions ADD COLUMN framework TEXT NOT NULL DEFAULT ''; -- of the import; '' unknown

-- The face of an algorithm is its newest public version, else its newest.
CREATE TABLE faces (
    doc       INTEGER NOT NULL PRIMARY KEY, -- of the full-text index
    algorithm TEXT    NOT NULL UNIQUE REFERENCES algorithms (id) ON DELETE CASCADE,
    version   TEXT    NOT NULL,
    owner_key TEXT    NOT NULL,
    name_key  TEXT    NOT NULL,
    public    BOOLEAN NOT NULL,
    kind      TEXT    NOT NULL,
    framework TEXT    NOT NULL,
    created   BIGINT  NOT NULL -- when version was published
);
CREATE INDEX faces_created ON faces (created, doc);
CREATE INDEX faces_owner ON faces (owner_key);
CREATE INDEX faces_groups ON faces (kind, framework, public, owner_key);

-- The text of a version's README, from which the index can be made again.
CREATE TABLE readmes (
    version TEXT NOT NULL PRIMARY KEY REFERENCES versions (id) ON DELETE CASCADE,
    body    TEXT NOT NULL
);

-- +goose Down
DROP TABLE readmes;
DROP TABLE faces;
ALTER TABLE versions DROP COLUMN framework;
