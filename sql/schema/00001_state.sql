-- The cold state. Every row carries the version that it was last written at;
-- a write with a lower version never lands (see sql/queries). Rows that are
-- updated often leave free space in their page (fillfactor) and have no index
-- on what changes, so that an update stays on its page (HOT).

-- +goose Up
CREATE TABLE character_vitals (
    char_id bigint           PRIMARY KEY CHECK (char_id > 0),
    version bigint           NOT NULL CHECK (version > 0),
    hp      integer          NOT NULL CHECK (hp >= 0),
    energy  integer          NOT NULL CHECK (energy >= 0),
    zone    text             NOT NULL,
    x       double precision NOT NULL,
    y       double precision NOT NULL
) WITH (fillfactor = 70);

CREATE TABLE character_progress (
    char_id bigint PRIMARY KEY CHECK (char_id > 0),
    version bigint NOT NULL CHECK (version > 0),
    xp      bigint NOT NULL CHECK (xp >= 0)
) WITH (fillfactor = 70);

-- A quantity of 0 is a tombstone: it keeps the version of the removal, so that
-- a late event of the time before cannot bring the item back.
CREATE TABLE items (
    char_id  bigint NOT NULL CHECK (char_id > 0),
    item_id  text   NOT NULL,
    version  bigint NOT NULL CHECK (version > 0),
    quantity bigint NOT NULL CHECK (quantity >= 0),
    PRIMARY KEY (char_id, item_id)
) WITH (fillfactor = 70);

-- One row for each finished fight, written once and never changed.
CREATE TABLE combat_history (
    session_id  uuid        PRIMARY KEY,
    char_id     bigint      NOT NULL CHECK (char_id > 0),
    version     bigint      NOT NULL CHECK (version > 0),
    outcome     text        NOT NULL,
    started_at  timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    rounds      integer     NOT NULL CHECK (rounds >= 0),
    xp_gained   bigint      NOT NULL CHECK (xp_gained >= 0),
    loot        jsonb       NOT NULL
);
CREATE INDEX combat_history_newest ON combat_history (char_id, version DESC);

-- data is json and not jsonb: it comes back byte for byte as the game wrote
-- it, so hot and cold can be compared without knowing what is in it.
CREATE TABLE scenario_progress (
    char_id     bigint  NOT NULL CHECK (char_id > 0),
    scenario_id text    NOT NULL,
    version     bigint  NOT NULL CHECK (version > 0),
    session_id  uuid    NOT NULL,
    step        integer NOT NULL CHECK (step >= 0),
    status      text    NOT NULL,
    data        json    NOT NULL,
    PRIMARY KEY (char_id, scenario_id)
) WITH (fillfactor = 70);

-- +goose Down
DROP TABLE scenario_progress, combat_history, items, character_progress, character_vitals;
