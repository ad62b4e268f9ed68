package bus

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
)

// told is what a saver tells of the messages that it has from a reader.
type told struct {
	saver string
	saved bitmap
	ends  map[uint64]uint64 // of the parts that are saved, in the consumer and in the stream
	// ended: the saver reads no more; over: and has nothing in hand any more; lost:
	// some of what it had will never be saved by it.
	ended, over, lost bool
}

// tellForm is the form on the wire.
type tellForm struct {
	Schema int         `json:"schema"`
	Saver  string      `json:"saver"`
	From   uint64      `json:"from,omitempty"`
	Saved  []byte      `json:"saved,omitempty"` // bits from From on, the lowest of each byte first
	Ends   [][2]uint64 `json:"ends,omitempty"`
	Ended  bool        `json:"ended,omitempty"`
	Over   bool        `json:"over,omitempty"`
	Lost   bool        `json:"lost,omitempty"`
}

const tellSchema = 1

func (t *told) encode() ([]byte, error) {
	form := tellForm{Schema: tellSchema, Saver: t.saver, From: t.saved.from, Ended: t.ended, Over: t.over, Lost: t.lost}
	for _, word := range t.saved.words {
		form.Saved = binary.LittleEndian.AppendUint64(form.Saved, word)
	}
	for consumer, stream := range t.ends {
		form.Ends = append(form.Ends, [2]uint64{consumer, stream})
	}
	return json.Marshal(form)
}

var (
	errTellSchema = errors.New("schema: must be 1")
	errTellSaver  = errors.New("saver: is missing")
	errTellSaved  = errors.New("saved: must be whole words from a multiple of 64 on")
)

// decodeTold reads what a saver told. The error names the field.
func decodeTold(body []byte) (*told, error) {
	var form tellForm
	if err := json.Unmarshal(body, &form); err != nil {
		return nil, fmt.Errorf("what a saver told: %w", err)
	}
	switch {
	case form.Schema != tellSchema:
		return nil, errTellSchema
	case form.Saver == "":
		return nil, errTellSaver
	case form.From%wordBits != 0 || len(form.Saved)%8 != 0 || form.From+uint64(len(form.Saved))*8 < form.From:
		return nil, errTellSaved
	}
	t := &told{saver: form.Saver, saved: bitmap{from: form.From}, ended: form.Ended, over: form.Over, lost: form.Lost}
	for body := form.Saved; len(body) > 0; body = body[8:] {
		t.saved.words = append(t.saved.words, binary.LittleEndian.Uint64(body))
	}
	t.ends = make(map[uint64]uint64, len(form.Ends))
	for _, end := range form.Ends {
		t.ends[end[0]] = end[1]
	}
	return t, nil
}
