package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-faster/jx"
	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/internal/strictjson"
)

// The bodies of requests. Each decoder refuses unknown, repeated and missing
// fields and returns an *events.FieldError that names the field.

const maxDeltas = 200 // of one request

var (
	errZero     = errors.New("must not be 0")
	errPositive = errors.New("must be at least 1")
	errMany     = fmt.Errorf("must name at most %d items", maxDeltas)
	errNil      = errors.New("must not be the nil UUID")
	errHalf     = errors.New("must not contain U+FFFD or half of a surrogate pair")
)

var (
	changesFields = strictjson.NewFields("changes")
	deltaFields   = strictjson.NewFields("item_id", "delta")
	entryFields   = strictjson.NewFields("scenario_id")
	emptyFields   = strictjson.NewFields()
	stepFields    = strictjson.NewFields("session_id", "step", "data?")
	roundFields   = strictjson.NewFields("session_id", "round", "data?")
	sessionFields = strictjson.NewFields("session_id")
	resultFields  = strictjson.NewFields("session_id", "outcome", "xp?", "loot?")
	lootFields    = strictjson.NewFields("item_id", "quantity")
	tradeFields   = strictjson.NewFields("transfer_id", "from", "to", "items")
)

func decodeDeltas(body []byte) (deltas []game.ItemDelta, err error) {
	err = strictjson.Document(body, func(d *jx.Decoder) error {
		return changesFields.Read(d, func(int) (err error) {
			deltas, err = readDeltas(d, deltaFields, func(n int64) error {
				if n == 0 {
					return strictjson.In("delta", errZero)
				}
				return nil
			})
			if err == nil && len(deltas) == 0 {
				err = &events.FieldError{Err: events.ErrEmpty}
			}
			return err
		})
	})
	return deltas, err
}

// readDeltas reads a list of items with an amount each, no item twice.
func readDeltas(d *jx.Decoder, fields strictjson.Fields, check func(int64) error) (deltas []game.ItemDelta, err error) {
	err = strictjson.Array(d, func(i int) error {
		if i == maxDeltas {
			return errMany
		}
		delta, err := readDelta(d, fields)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(deltas, func(x game.ItemDelta) bool { return x.ItemID == delta.ItemID }) {
			return strictjson.In("item_id", fmt.Errorf("%w: %q", events.ErrRepeated, delta.ItemID))
		}
		deltas = append(deltas, delta)
		return check(delta.Delta)
	})
	return deltas, err
}

func readDelta(d *jx.Decoder, fields strictjson.Fields) (delta game.ItemDelta, err error) {
	err = fields.Read(d, func(i int) (err error) {
		if i == 1 {
			delta.Delta, err = strictjson.Int64(d)
			return err
		}
		delta.ItemID, err = readName(d)
		return err
	})
	return delta, err
}

// readName reads the name of a row. U+FFFD is refused: JSON decoders put it where half
// of a surrogate pair was, so two names of which each has such a half would be one.
func readName(d *jx.Decoder) (string, error) {
	name, err := strictjson.String(d)
	if err != nil {
		return "", err
	}
	if strings.ContainsRune(name, utf8.RuneError) {
		return "", errHalf
	}
	return name, events.CheckText(name)
}

func decodeEntry(context game.Context, body []byte) (game.Entry, error) {
	entry := game.Entry{Context: context}
	if !slices.Contains(game.AllContexts, context) {
		return entry, badContext(context)
	}
	fields := emptyFields
	if context == game.ContextScenario {
		fields = entryFields
	} else if len(bytes.TrimSpace(body)) == 0 {
		return entry, nil
	}
	err := strictjson.Document(body, func(d *jx.Decoder) error {
		return fields.Read(d, func(int) (err error) {
			entry.ScenarioID, err = readName(d)
			return err
		})
	})
	return entry, err
}

func decodeSession(body []byte) (session uuid.UUID, err error) {
	err = strictjson.Document(body, func(d *jx.Decoder) error {
		return sessionFields.Read(d, func(int) (err error) {
			session, err = strictjson.UUID(d)
			return err
		})
	})
	return session, err
}

func decodeStep(body []byte) (in game.Step, err error) {
	in.SessionID, in.Step, in.Data, err = decodeProgress(body, stepFields)
	return in, err
}

func decodeRound(body []byte) (in game.Round, err error) {
	in.SessionID, in.Round, in.Data, err = decodeProgress(body, roundFields)
	return in, err
}

// decodeProgress reads what a PATCH of a scenario and of a fight share: the
// session, a count, and the game's own data.
func decodeProgress(body []byte, fields strictjson.Fields) (session uuid.UUID, count int32, data json.RawMessage, err error) {
	err = strictjson.Document(body, func(d *jx.Decoder) error {
		return fields.Read(d, func(i int) (err error) {
			switch i {
			case 0:
				session, err = strictjson.UUID(d)
			case 1:
				if count, err = strictjson.Int32(d); err == nil && count < 0 {
					err = events.ErrQuantity
				}
			case 2:
				if data, err = events.DecodeFreeForm(d); err == nil {
					err = events.CheckData(data)
				}
			}
			return err
		})
	})
	return session, count, data, err
}

func atLeastOne(quantity int64) error {
	if quantity < 1 {
		return strictjson.In("quantity", errPositive)
	}
	return nil
}

func decodeTrade(body []byte) (in game.Trade, err error) {
	err = strictjson.Document(body, func(d *jx.Decoder) error {
		return tradeFields.Read(d, func(i int) (err error) {
			switch i {
			case 0:
				in.ID, err = strictjson.UUID(d)
			case 1:
				in.From, err = readChar(d)
			case 2:
				in.To, err = readChar(d)
			case 3:
				in.Items, err = readDeltas(d, lootFields, atLeastOne)
			}
			return err
		})
	})
	switch {
	case err != nil:
		return in, err
	case in.From == in.To:
		return in, &events.FieldError{Field: "to", Err: events.ErrOneself}
	case len(in.Items) == 0:
		return in, &events.FieldError{Field: "items", Err: events.ErrEmpty}
	case in.ID == uuid.Nil:
		return in, &events.FieldError{Field: "transfer_id", Err: errNil}
	}
	return in, nil
}

func readChar(d *jx.Decoder) (events.CharID, error) {
	n, err := strictjson.Int64(d)
	if err == nil && n < 1 {
		err = events.ErrCharID
	}
	return events.CharID(n), err
}

func decodeResult(body []byte) (session uuid.UUID, in game.Result, err error) {
	err = strictjson.Document(body, func(d *jx.Decoder) error {
		return resultFields.Read(d, func(i int) (err error) {
			switch i {
			case 0:
				session, err = strictjson.UUID(d)
			case 1:
				if in.Outcome, err = strictjson.String(d); err == nil && !events.IsWord(in.Outcome) {
					err = events.ErrWord
				}
			case 2:
				if in.XP, err = strictjson.Int64(d); err == nil && in.XP < 0 {
					err = events.ErrQuantity
				}
			case 3:
				in.Loot, err = readDeltas(d, lootFields, atLeastOne)
			}
			return err
		})
	})
	return session, in, err
}
