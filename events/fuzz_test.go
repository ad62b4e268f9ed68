package events_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
)

// FuzzDecode: nothing makes Decode panic, what it takes is taken by the naive
// decoder too and means the same there, and can be said again.
//
//	go test -fuzz=FuzzDecode -fuzztime=60s ./events
func FuzzDecode(f *testing.F) {
	for _, pattern := range []string{"testdata/*.json", "testdata/bad/*.json"} {
		for _, body := range files(f, pattern) {
			f.Add(body)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := events.Decode(body)
		if err != nil {
			return
		}
		again := mustDecode(t, mustEncode(t, &e))
		if diff := cmp.Diff(e, again); diff != "" {
			t.Errorf("said again it reads otherwise:\n%s", diff)
		}
		if bytes.Contains(bytes.ToLower(body), []byte(`\ud`)) {
			return // the two replace halves of surrogate pairs differently
		}
		naive, err := decodeNaively(body)
		if err != nil {
			t.Fatalf("the naive decoder refuses %s: %v", body, err)
		}
		if diff := cmp.Diff(naive, e, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("(-naive +Decode)\n%s", diff)
		}
	})
}

// decodeNaively is Decode with encoding/json: simple, slow, and less strict.
func decodeNaively(body []byte) (e events.StateChanged, err error) {
	var in struct {
		Schema     int             `json:"schema"`
		ID         uuid.UUID       `json:"id"`
		Scope      events.Scope    `json:"scope"`
		CharID     events.CharID   `json:"char_id"`
		Version    events.Version  `json:"version"`
		Cause      events.Cause    `json:"cause"`
		SessionID  uuid.UUID       `json:"session_id"`
		OccurredAt time.Time       `json:"occurred_at"`
		Data       json.RawMessage `json:"data"`
	}
	if err := strictly(body, &in); err != nil {
		return e, err
	}
	data, err := naiveData(in.Scope, in.Data)
	return events.StateChanged{
		ID: in.ID, Scope: in.Scope, CharID: in.CharID, Version: in.Version, Cause: in.Cause,
		SessionID: in.SessionID, OccurredAt: in.OccurredAt.UTC(), Data: data,
	}, err
}

func naiveData(scope events.Scope, raw []byte) (events.Data, error) {
	switch scope {
	case events.ScopeVitals:
		return naively[events.Vitals](raw)
	case events.ScopeInventory:
		return naively[events.Inventory](raw)
	case events.ScopeCombat:
		return naively[events.Combat](raw)
	}
	var v events.Scenario
	if err := strictly(raw, &v); err != nil {
		return nil, err
	}
	var data bytes.Buffer
	err := json.Compact(&data, v.Data)
	v.Data = data.Bytes()
	return v, err
}

func naively[T events.Data](raw []byte) (events.Data, error) {
	var v T
	err := strictly(raw, &v)
	return v, err
}

func strictly(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	return d.Decode(into)
}
