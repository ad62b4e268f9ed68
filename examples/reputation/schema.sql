-- In a product of your own this is the next numbered file of sql/schema.
CREATE TABLE reputation (
    char_id bigint NOT NULL CHECK (char_id > 0),
    faction text   NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    points  bigint NOT NULL,
    PRIMARY KEY (char_id, faction)
) WITH (fillfactor = 70);
