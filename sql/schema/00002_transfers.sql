-- +goose Up
-- One row for each trade. It is in escrow while to_version is 0: the sender's
-- items are gone and the receiver does not have them yet. A completed trade
-- never goes back.
CREATE TABLE transfers (
    transfer_id uuid   PRIMARY KEY,
    from_char   bigint NOT NULL CHECK (from_char > 0),
    to_char     bigint NOT NULL CHECK (to_char > 0 AND to_char <> from_char),
    version     bigint NOT NULL CHECK (version > 0),
    to_version  bigint NOT NULL CHECK (to_version >= 0),
    items       jsonb  NOT NULL
);
CREATE INDEX transfers_in_escrow ON transfers (from_char) WHERE to_version = 0;

-- +goose Down
DROP TABLE transfers;
