-- Sessions of browsers and one-time sign-in links, each under the SHA-256 of its
-- token. api_key is the key with which one was made: when that is revoked, they
-- end with it. It is NULL where the server itself made the link.

-- +goose Up
CREATE TABLE sessions (
    hash     TEXT   NOT NULL PRIMARY KEY,
    user_key TEXT   NOT NULL REFERENCES users (name_key),
    api_key  TEXT   REFERENCES api_keys (id),
    created  BIGINT NOT NULL,
    expires  BIGINT NOT NULL
);
CREATE INDEX sessions_expires ON sessions (expires);

CREATE TABLE sign_in_links (
    hash     TEXT   NOT NULL PRIMARY KEY,
    user_key TEXT   NOT NULL REFERENCES users (name_key),
    api_key  TEXT   REFERENCES api_keys (id),
    created  BIGINT NOT NULL,
    expires  BIGINT NOT NULL,
    used     BIGINT NOT NULL -- 0 while the link works
);
CREATE INDEX sign_in_links_expires ON sign_in_links (expires);

-- +goose Down
DROP TABLE sign_in_links;
DROP TABLE sessions;
