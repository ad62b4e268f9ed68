-- SaveFights adds the fights that the history does not have yet: a fight ends
-- once, so its first line stands.
-- name: SaveFights :execrows
INSERT INTO combat_history (session_id, char_id, version, outcome, started_at, finished_at, rounds, xp_gained, loot)
SELECT unnest(@session_ids::uuid[]), unnest(@char_ids::bigint[]), unnest(@versions::bigint[]),
       unnest(@outcomes::text[]), unnest(@started_ats::timestamptz[]), unnest(@finished_ats::timestamptz[]),
       unnest(@rounds::integer[]), unnest(@xp_gained::bigint[]), unnest(@loots::jsonb[])
ON CONFLICT (session_id) DO NOTHING;

-- SaveProgress keeps, for each character, the progress with the highest
-- version. The input names a character at most once, in ascending order.
-- name: SaveProgress :execrows
INSERT INTO character_progress (char_id, version, xp)
SELECT unnest(@char_ids::bigint[]), unnest(@versions::bigint[]), unnest(@xps::bigint[])
ON CONFLICT (char_id) DO UPDATE
SET version = EXCLUDED.version, xp = EXCLUDED.xp
WHERE character_progress.version < EXCLUDED.version;

-- ProgressOf reads the progress of some characters.
-- name: ProgressOf :many
SELECT * FROM character_progress WHERE char_id = ANY(@char_ids::bigint[]) ORDER BY char_id;

-- Fights reads a character's history, newest first, below a version.
-- name: Fights :many
SELECT * FROM combat_history
WHERE char_id = @char_id AND version < @before
ORDER BY version DESC LIMIT @max_rows;

-- SavedFights tells which of these fights are in the history.
-- name: SavedFights :many
SELECT session_id, version FROM combat_history WHERE session_id = ANY(@session_ids::uuid[]);

-- SavedProgress tells at which versions the progress of some characters is saved.
-- name: SavedProgress :many
SELECT char_id, version FROM character_progress WHERE char_id = ANY(@char_ids::bigint[]);
