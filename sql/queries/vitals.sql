-- SaveVitals keeps, for each character, the vitals with the highest version.
-- The input names a character at most once, in ascending order.
-- name: SaveVitals :execrows
INSERT INTO character_vitals (char_id, version, hp, energy, zone, x, y)
SELECT unnest(@char_ids::bigint[]), unnest(@versions::bigint[]), unnest(@hps::integer[]),
       unnest(@energies::integer[]), unnest(@zones::text[]),
       unnest(@xs::double precision[]), unnest(@ys::double precision[])
ON CONFLICT (char_id) DO UPDATE
SET version = EXCLUDED.version, hp = EXCLUDED.hp, energy = EXCLUDED.energy,
    zone = EXCLUDED.zone, x = EXCLUDED.x, y = EXCLUDED.y
WHERE character_vitals.version < EXCLUDED.version;

-- VitalsOf reads the vitals of some characters.
-- name: VitalsOf :many
SELECT * FROM character_vitals WHERE char_id = ANY(@char_ids::bigint[]) ORDER BY char_id;

-- SavedVitals tells at which versions the vitals of some characters are saved.
-- name: SavedVitals :many
SELECT char_id, version FROM character_vitals WHERE char_id = ANY(@char_ids::bigint[]);
