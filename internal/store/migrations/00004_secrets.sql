-- Secrets of algorithms, encrypted by the room that owns them.

-- +goose Up
CREATE TABLE secrets (
    algorithm TEXT   NOT NULL REFERENCES algorithms (id) ON DELETE CASCADE,
    name      TEXT   NOT NULL,
    box       TEXT   NOT NULL, -- base64
    set_by    TEXT   NOT NULL,
    set_at    BIGINT NOT NULL,
    PRIMARY KEY (algorithm, name)
);

-- +goose Down
DROP TABLE secrets;
