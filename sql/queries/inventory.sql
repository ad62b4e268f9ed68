-- SaveItems keeps, for each item of each character, the quantity with the
-- highest version. The input names an item of a character at most once, in
-- ascending order of both.
-- name: SaveItems :execrows
INSERT INTO items (char_id, item_id, version, quantity)
SELECT unnest(@char_ids::bigint[]), unnest(@item_ids::text[]),
       unnest(@versions::bigint[]), unnest(@quantities::bigint[])
ON CONFLICT (char_id, item_id) DO UPDATE
SET version = EXCLUDED.version, quantity = EXCLUDED.quantity
WHERE items.version < EXCLUDED.version;

-- ItemsOf reads the items of some characters, tombstones among them.
-- name: ItemsOf :many
SELECT * FROM items WHERE char_id = ANY(@char_ids::bigint[]) ORDER BY char_id, item_id;
