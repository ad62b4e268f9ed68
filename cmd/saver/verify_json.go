package main

import (
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/verify"
)

// verdict is the command's answer as JSON.
type verdict struct {
	Equal       bool         `json:"equal"`
	Seed        uint64       `json:"seed,omitempty"`
	Characters  int          `json:"characters"`
	Rows        int          `json:"rows"`
	Dirty       int          `json:"dirty_characters"`
	Differing   int          `json:"differing_rows"`
	Differences []difference `json:"differences"`
	Repairs     []repaired   `json:"repairs,omitempty"`
}

type difference struct {
	Char        events.CharID  `json:"char_id"`
	Row         events.RowKey  `json:"row"`
	Verdict     verify.Verdict `json:"verdict"`
	Explanation string         `json:"explanation"`
	InRedis     bool           `json:"character_in_redis"`
	Hot         verify.Copy    `json:"hot"`
	Stream      *verify.Copy   `json:"stream,omitempty"`
	Event       *verify.Event  `json:"event,omitempty"`
	Cold        verify.Copy    `json:"cold"`
}

type repaired struct {
	verify.Action
	Error string `json:"error,omitempty"`
}

func (r *verification) printJSON(report *verify.Report) error {
	out := verdict{
		Equal: report.Equal(), Seed: r.selection.Seed, Characters: report.Characters, Rows: report.Rows,
		Dirty: report.Dirty, Differing: report.Differing, Differences: []difference{},
	}
	for _, d := range report.Differences[:min(r.cmd.Limit, len(report.Differences))] {
		out.Differences = append(out.Differences, newDifference(d))
	}
	for _, a := range r.actions {
		line := repaired{Action: a}
		if a.Err != nil {
			line.Error = a.Err.Error()
		}
		out.Repairs = append(out.Repairs, line)
	}
	return printJSON(r.out.Out, out)
}

func newDifference(d verify.Difference) difference {
	line := difference{
		Char: d.Char, Row: d.Row, Verdict: d.Verdict, Explanation: d.Verdict.Explanation(),
		InRedis: d.Known, Hot: d.Hot, Cold: d.Cold,
	}
	if d.Stream.Text != "" {
		line.Stream = &d.Stream
	}
	if d.Event.Sequence > 0 {
		line.Event = &d.Event
	}
	return line
}
