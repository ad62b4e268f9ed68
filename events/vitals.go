package events

import (
	"github.com/go-faster/jx"

	"github.com/savepoint-games/savepoint/internal/strictjson"
)

// Vitals is a character's physical state: a snapshot, so a newer one replaces
// it whole. It is the data of ScopeVitals.
type Vitals struct {
	HP       int32    `json:"hp"`     // at least 0
	Energy   int32    `json:"energy"` // at least 0
	Location Location `json:"location"`
}

// Location is a place in the world. X and Y are finite; their unit is the game's.
type Location struct {
	Zone string  `json:"zone"`
	X    float64 `json:"x"`
	Y    float64 `json:"y"`
}

// RowVitals is the key of the one row of vitals a character has.
const RowVitals RowKey = "vitals"

// Validate implements Data.
func (v Vitals) Validate(*StateChanged) error {
	switch {
	case v.HP < 0:
		return wrong("hp", ErrQuantity)
	case v.Energy < 0:
		return wrong("energy", ErrQuantity)
	case CheckText(v.Location.Zone) != nil:
		return wrong("location.zone", ErrText)
	case !isFinite(v.Location.X):
		return wrong("location.x", ErrCoordinate)
	case !isFinite(v.Location.Y):
		return wrong("location.y", ErrCoordinate)
	}
	return nil
}

func (Vitals) scope() Scope { return ScopeVitals }

// Rows implements Data.
func (v Vitals) Rows(e *StateChanged) []Row { return []Row{{RowVitals, e.Version}} }

func (v Vitals) write(w *writer) {
	w.ObjStart()
	w.int("hp", int64(v.HP))
	w.int("energy", int64(v.Energy))
	w.FieldStart("location")
	w.ObjStart()
	w.str("zone", v.Location.Zone)
	w.float("x", v.Location.X)
	w.float("y", v.Location.Y)
	w.ObjEnd()
	w.ObjEnd()
}

var (
	vitalsFields   = strictjson.NewFields("hp", "energy", "location")
	locationFields = strictjson.NewFields("zone", "x", "y")
)

func readVitals(d *jx.Decoder) (Data, error) {
	var v Vitals
	err := v.decode(d)
	return v, err
}

// DecodeVitals reads vitals from their JSON form, as in an event or a request.
// It does not validate.
func DecodeVitals(raw []byte) (v Vitals, err error) {
	err = strictjson.Document(raw, v.decode)
	return v, err
}

func (v *Vitals) decode(d *jx.Decoder) error {
	return vitalsFields.Read(d, func(i int) (err error) {
		switch i {
		case 0:
			v.HP, err = strictjson.Int32(d)
		case 1:
			v.Energy, err = strictjson.Int32(d)
		case 2:
			err = v.Location.decode(d)
		}
		return err
	})
}

func (l *Location) decode(d *jx.Decoder) error {
	return locationFields.Read(d, func(i int) (err error) {
		switch i {
		case 0:
			l.Zone, err = strictjson.String(d)
		case 1:
			l.X, err = strictjson.Float64(d)
		case 2:
			l.Y, err = strictjson.Float64(d)
		}
		return err
	})
}
