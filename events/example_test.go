package events_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
)

func ExampleNew() {
	now := time.Date(2026, 11, 22, 10, 0, 0, 123456000, time.UTC)
	version := events.NextVersion(0, now)
	e := events.New(42, version, events.CauseAction, uuid.Nil, events.ScopeVitals, events.Vitals{
		HP: 80, Energy: 55, Location: events.Location{Zone: "harbor", X: 1.5, Y: -2},
	})
	body, err := events.Encode(&e)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(events.Subject(e.Scope, e.CharID))
	fmt.Println(string(body))
	// Output:
	// sync.vitals.42
	// {"schema":1,"id":"9757ba1a-0a8a-5efe-a2bc-527d6d5f59a6","scope":"vitals","char_id":42,"version":1795341600123456,"cause":"action","occurred_at":"2026-11-22T10:00:00.123456Z","data":{"hp":80,"energy":55,"location":{"zone":"harbor","x":1.5,"y":-2}}}
}

func ExampleDecode() {
	body := []byte(`{"schema":1,"id":"f0f66a2f-bbf7-51a7-8200-3a042c303dc7","scope":"inventory","char_id":42,"version":1790000000123458,
		"cause":"action","occurred_at":"2026-09-21T14:13:20.123458Z","data":{"items":[{"item_id":"potion","delta":-9,"quantity":-4}]}}`)
	_, err := events.Decode(body)

	var field *events.FieldError
	if errors.As(err, &field) {
		fmt.Println(field.Field)
	}
	fmt.Println(err)
	fmt.Println(errors.Is(err, events.ErrQuantity))
	// Output:
	// data.items[0].quantity
	// data.items[0].quantity: must not be below zero
	// true
}
