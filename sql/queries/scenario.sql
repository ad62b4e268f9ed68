-- SaveScenarios keeps, for each scenario of each character, the progress with
-- the highest version. The input names a scenario of a character at most once,
-- in ascending order of both.
-- name: SaveScenarios :execrows
INSERT INTO scenario_progress (char_id, scenario_id, version, session_id, step, status, data)
SELECT unnest(@char_ids::bigint[]), unnest(@scenario_ids::text[]), unnest(@versions::bigint[]),
       unnest(@session_ids::uuid[]), unnest(@steps::integer[]), unnest(@statuses::text[]),
       unnest(@datas::json[])
ON CONFLICT (char_id, scenario_id) DO UPDATE
SET version = EXCLUDED.version, session_id = EXCLUDED.session_id, step = EXCLUDED.step,
    status = EXCLUDED.status, data = EXCLUDED.data
WHERE scenario_progress.version < EXCLUDED.version;

-- ScenariosOf reads the scenarios of some characters.
-- name: ScenariosOf :many
SELECT * FROM scenario_progress WHERE char_id = ANY(@char_ids::bigint[]) ORDER BY char_id, scenario_id;

-- SavedScenarios tells at which versions some scenarios are saved.
-- name: SavedScenarios :many
SELECT scenario_progress.char_id, scenario_progress.scenario_id, scenario_progress.version
FROM (SELECT unnest(@char_ids::bigint[]) AS char_id, unnest(@scenario_ids::text[]) AS scenario_id) AS wanted
JOIN scenario_progress ON scenario_progress.char_id = wanted.char_id AND scenario_progress.scenario_id = wanted.scenario_id;
