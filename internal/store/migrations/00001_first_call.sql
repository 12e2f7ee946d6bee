-- One text for SQLite and PostgreSQL. Times are microseconds since 1970, UTC.
-- Columns named …_key hold a name in lower case, under which it is matched.

-- +goose Up
CREATE TABLE users (
    name_key TEXT    NOT NULL PRIMARY KEY,
    name     TEXT    NOT NULL,
    admin    BOOLEAN NOT NULL,
    created  BIGINT  NOT NULL
);

CREATE TABLE api_keys (
    id       TEXT   NOT NULL PRIMARY KEY,
    user_key TEXT   NOT NULL REFERENCES users (name_key),
    label    TEXT   NOT NULL,
    prefix   TEXT   NOT NULL,
    hash     TEXT   NOT NULL UNIQUE,
    created  BIGINT NOT NULL,
    revoked  BIGINT NOT NULL -- 0 while the key works
);
CREATE INDEX api_keys_user ON api_keys (user_key);

CREATE TABLE algorithms (
    id        TEXT   NOT NULL PRIMARY KEY, -- UUID
    key       TEXT   NOT NULL UNIQUE,      -- owner/name in lower case
    owner_key TEXT   NOT NULL,
    owner     TEXT   NOT NULL,
    name      TEXT   NOT NULL,
    major     BIGINT NOT NULL, -- the highest number ever given
    minor     BIGINT NOT NULL,
    revision  BIGINT NOT NULL,
    created   BIGINT NOT NULL
);
CREATE INDEX algorithms_owner ON algorithms (owner_key);

CREATE TABLE versions (
    id        TEXT    NOT NULL PRIMARY KEY, -- UUID
    algorithm TEXT    NOT NULL REFERENCES algorithms (id) ON DELETE CASCADE,
    major     BIGINT  NOT NULL,
    minor     BIGINT  NOT NULL,
    revision  BIGINT  NOT NULL,
    public    BOOLEAN NOT NULL,
    kind      TEXT    NOT NULL,
    tagline   TEXT    NOT NULL,
    hash      TEXT    NOT NULL,
    manifest  TEXT    NOT NULL, -- JSON, as are files, built and report
    files     TEXT    NOT NULL,
    built     TEXT    NOT NULL,
    report    TEXT    NOT NULL,
    creator   TEXT    NOT NULL,
    created   BIGINT  NOT NULL,
    UNIQUE (algorithm, major, minor, revision)
);

-- Which blobs are in use, and by whom.
CREATE TABLE version_blobs (
    version TEXT NOT NULL REFERENCES versions (id) ON DELETE CASCADE,
    digest  TEXT NOT NULL,
    PRIMARY KEY (version, digest)
);
CREATE INDEX version_blobs_digest ON version_blobs (digest);

-- +goose Down
DROP TABLE version_blobs;
DROP TABLE versions;
DROP TABLE algorithms;
DROP TABLE api_keys;
DROP TABLE users;
