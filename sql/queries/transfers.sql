-- SaveTransfers keeps each trade in its newest form, whole: one that a Redis lost
-- before anybody was told of it, and that was made again, has other versions on
-- both sides, and the events of the first may come after all. A trade between
-- others under the same id leaves the row alone. The input names a trade at most
-- once, in ascending order.
-- name: SaveTransfers :execrows
INSERT INTO transfers (transfer_id, from_char, to_char, version, to_version, items)
SELECT unnest(@transfer_ids::uuid[]), unnest(@from_chars::bigint[]), unnest(@to_chars::bigint[]),
       unnest(@versions::bigint[]), unnest(@to_versions::bigint[]), unnest(@items::jsonb[])
ON CONFLICT (transfer_id) DO UPDATE
SET version = EXCLUDED.version, to_version = EXCLUDED.to_version, items = EXCLUDED.items
WHERE (transfers.to_version, transfers.version) < (EXCLUDED.to_version, EXCLUDED.version)
  AND transfers.from_char = EXCLUDED.from_char AND transfers.to_char = EXCLUDED.to_char;

-- Escrow reads the trades of some senders that are not completed.
-- name: Escrow :many
SELECT * FROM transfers WHERE from_char = ANY(@char_ids::bigint[]) AND to_version = 0;

-- TransfersOf reads trades by their ids.
-- name: TransfersOf :many
SELECT * FROM transfers WHERE transfer_id = ANY(@transfer_ids::uuid[]);

-- EscrowBefore lists senders whose trades were begun before a version and are
-- not completed.
-- name: EscrowBefore :many
SELECT DISTINCT from_char FROM transfers WHERE to_version = 0 AND version < @version LIMIT @max_rows;
