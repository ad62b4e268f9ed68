package intake

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
)

// A report says which of the messages that a saver has from a reader are saved. Helpers
// send theirs to the leader of the catch-up, which notes them on its board with its own.
type report struct {
	saver string
	saved bitmap
	ends  map[uint64]uint64 // of the batches that are saved, in the consumer and in the stream
	// ended: the saver reads no more; over: and has nothing in hand any more; lost:
	// some of what it had will never be saved by it.
	ended, over, lost bool
}

// reportForm is a report as JSON.
type reportForm struct {
	Schema int         `json:"schema"`
	Saver  string      `json:"saver"`
	From   uint64      `json:"from,omitempty"`
	Saved  []byte      `json:"saved,omitempty"` // bits from From on, the lowest of each byte first
	Ends   [][2]uint64 `json:"ends,omitempty"`
	Ended  bool        `json:"ended,omitempty"`
	Over   bool        `json:"over,omitempty"`
	Lost   bool        `json:"lost,omitempty"`
}

const reportSchema = 1

func (r *report) encode() ([]byte, error) {
	form := reportForm{Schema: reportSchema, Saver: r.saver, From: r.saved.from, Ended: r.ended, Over: r.over, Lost: r.lost}
	for _, word := range r.saved.words {
		form.Saved = binary.LittleEndian.AppendUint64(form.Saved, word)
	}
	for consumer, stream := range r.ends {
		form.Ends = append(form.Ends, [2]uint64{consumer, stream})
	}
	return json.Marshal(form)
}

var (
	errReportSchema = errors.New("schema: must be 1")
	errReportSaver  = errors.New("saver: is missing")
	errReportSaved  = errors.New("saved: must be whole words from a multiple of 64 on")
)

// decodeReport reads a report. The error names the field.
func decodeReport(body []byte) (*report, error) {
	var form reportForm
	if err := json.Unmarshal(body, &form); err != nil {
		return nil, fmt.Errorf("report of a saver: %w", err)
	}
	switch {
	case form.Schema != reportSchema:
		return nil, errReportSchema
	case form.Saver == "":
		return nil, errReportSaver
	case form.From%wordBits != 0 || len(form.Saved)%8 != 0 || form.From+uint64(len(form.Saved))*8 < form.From:
		return nil, errReportSaved
	}
	r := &report{saver: form.Saver, saved: bitmap{from: form.From}, ended: form.Ended, over: form.Over, lost: form.Lost}
	for body := form.Saved; len(body) > 0; body = body[8:] {
		r.saved.words = append(r.saved.words, binary.LittleEndian.Uint64(body))
	}
	r.ends = make(map[uint64]uint64, len(form.Ends))
	for _, end := range form.Ends {
		r.ends[end[0]] = end[1]
	}
	return r, nil
}
