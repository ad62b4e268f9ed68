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

-- SavedItems tells at which versions some items are saved, tombstones among them.
-- name: SavedItems :many
SELECT items.char_id, items.item_id, items.version
FROM (SELECT unnest(@char_ids::bigint[]) AS char_id, unnest(@item_ids::text[]) AS item_id) AS wanted
JOIN items ON items.char_id = wanted.char_id AND items.item_id = wanted.item_id;
