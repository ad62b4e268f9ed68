// Package report is the table that a benchmark run leads to: figures, and beside
// each that is worth comparing its ratio to another figure of the same run.
// Absolute figures do not last; ratios do.
package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// A Row is one figure.
type Row struct {
	Section string  // what was measured, as in "drain vitals"
	Case    string  // which of the contestants or settings, as in "savepoint, 2 savers"
	Value   float64 // in Unit
	Unit    string  // as in "events/s", "ms p99", "CPU s/million"
	Ratio   float64 // of Value to another figure of this run; 0 where there is none
	Of      string  // which other figure, as in "(i)"
	Want    string  // what Ratio or Value is asked to be, as in ">= 20"; empty where nothing is asked
	Missed  bool    // Want does not hold
}

// With sets the figure, so that rows of one case are written down from one.
func (r Row) With(value float64, unit string) Row {
	r.Value, r.Unit = value, unit
	return r
}

// AtLeast sets the ratio of the row's value to another one, and says that it
// should be at least want.
func (r Row) AtLeast(want, other float64, of string) Row {
	return r.compared(other, of, fmt.Sprintf(">= %g", want), func(ratio float64) bool { return ratio >= want })
}

// AtMost sets the ratio of the row's value to another one, and says that it
// should be at most want.
func (r Row) AtMost(want, other float64, of string) Row {
	return r.compared(other, of, fmt.Sprintf("<= %g", want), func(ratio float64) bool { return ratio <= want })
}

// Against sets the ratio of the row's value to another one; nothing is asked.
func (r Row) Against(other float64, of string) Row {
	return r.compared(other, of, "", func(float64) bool { return true })
}

func (r Row) compared(other float64, of, want string, holds func(float64) bool) Row {
	r.Of, r.Want = of, want
	if other > 0 {
		r.Ratio = r.Value / other
	}
	r.Missed = !holds(r.Ratio)
	return r
}

// Below says that the value itself should be below a limit.
func (r Row) Below(limit float64) Row {
	r.Want, r.Missed = fmt.Sprintf("< %g", limit), r.Value >= limit
	return r
}

// Write prints the rows as a table in Markdown, which reads well as plain text.
func Write(w io.Writer, rows []Row) error {
	var b strings.Builder
	tw := tabwriter.NewWriter(&b, 0, 0, 1, ' ', 0)
	_, _ = fmt.Fprint(tw, "| measurement \t| case \t| value \t| unit \t| ratio \t| wanted \t|\n")
	_, _ = fmt.Fprint(tw, "| --- \t| --- \t| --: \t| --- \t| --- \t| --- \t|\n")
	for _, r := range rows {
		ratio := ""
		if r.Ratio > 0 {
			ratio = fmt.Sprintf("%.3g of %s", r.Ratio, r.Of)
		}
		want := r.Want
		if r.Missed {
			want += " MISSED"
		}
		_, _ = fmt.Fprintf(tw, "| %s \t| %s \t| %s \t| %s \t| %s \t| %s \t|\n", r.Section, r.Case, number(r.Value), r.Unit, ratio, want)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// number prints three digits, and large figures whole.
func number(v float64) string {
	if v >= 1000 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}
