package gateway

import (
	"github.com/go-faster/jx"
	"github.com/google/uuid"
)

// write writes the answer as encoding/json would. A trade has an answer of its
// own.
func (a *Answer) write(e *jx.Encoder) {
	e.ObjStart()
	e.FieldStart("char_id")
	e.Int64(int64(a.CharID))
	e.FieldStart("version")
	e.Int64(int64(a.Version))
	if a.SessionID != uuid.Nil {
		e.FieldStart("session_id")
		e.Str(a.SessionID.String())
	}
	if a.Preempted != nil {
		e.FieldStart("preempted")
		e.ArrStart()
		for _, p := range a.Preempted {
			e.ObjStart()
			e.FieldStart("context")
			e.Str(string(p.Context))
			e.FieldStart("session_id")
			e.Str(p.SessionID.String())
			e.ObjEnd()
		}
		e.ArrEnd()
	}
	if a.XP != nil {
		e.FieldStart("xp")
		e.Int64(*a.XP)
	}
	if a.Items != nil {
		e.FieldStart("items")
		e.ArrStart()
		for _, q := range a.Items {
			e.ObjStart()
			e.FieldStart("item_id")
			e.Str(q.ItemID)
			e.FieldStart("quantity")
			e.Int64(q.Quantity)
			e.ObjEnd()
		}
		e.ArrEnd()
	}
	e.FieldStart("durability")
	e.Str(string(a.Durability))
	e.ObjEnd()
}
