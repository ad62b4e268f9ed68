package doctor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Print writes the report for people.
func (r Report) Print(w io.Writer) error {
	var out bytes.Buffer
	r.printParts(&out)
	r.printFaults(&out)
	r.printFindings(&out)
	_, err := out.WriteTo(w)
	return err
}

// JSON writes the report for machines.
func (r Report) JSON(w io.Writer) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(r)
}

func (r Report) printParts(out *bytes.Buffer) {
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, p := range r.Parts {
		fmt.Fprintf(table, "%s\t%s\n", p.Name, p.Summary)
	}
	_ = table.Flush() // into memory
}

func (r Report) printFaults(out *bytes.Buffer) {
	out.WriteString("\nWhat could be lost of what was answered hot, stream and cold:\n\n")
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "fault\thot\tstream\tcold")
	for _, f := range r.Faults {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", f.Name, f.Hot, f.Stream, f.Cold)
	}
	_ = table.Flush()
	out.WriteString("\nWhy:\n\n")
	for _, f := range r.Faults {
		fmt.Fprintf(table, "%s\t%s\n", f.Name, f.Because)
	}
	_ = table.Flush()
}

func (r Report) printFindings(out *bytes.Buffer) {
	for _, f := range r.Findings {
		fmt.Fprintf(out, "\n%-8s  %s: %s\n          %s\n", f.Severity, f.Part, f.Found, f.Risk)
		if f.Fix != "" {
			fmt.Fprintf(out, "          → %s\n", f.Fix)
		}
	}
	fmt.Fprintf(out, "\ncritical %d, warnings %d, notes %d\n", r.Count(Critical), r.Count(Warning), r.Count(Note))
}

// short is a duration without digits that say nothing.
func short(d time.Duration) string {
	switch abs := d.Abs(); {
	case d == 0:
		return "0s"
	case abs >= time.Hour:
		d = d.Round(time.Minute)
	case abs >= 10*time.Second:
		d = d.Round(time.Second)
	case abs >= time.Second:
		d = d.Round(100 * time.Millisecond)
	case abs >= time.Millisecond:
		d = d.Round(100 * time.Microsecond)
	default:
		d = d.Round(time.Microsecond)
	}
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// size is a number of bytes for people. Below 0 it is no limit.
func size(n int64) string {
	if n < 0 {
		return "unlimited"
	}
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	value := float64(n)
	for value >= 1024 && len(units) > 1 {
		value /= 1024
		units = units[1:]
	}
	return strconv.FormatFloat(float64(int(value*10+0.5))/10, 'f', -1, 64) + " " + units[0]
}

// major and minor are the first numbers of a version like 7.0.15, 0 where
// there are none.
func major(version string) int { return part(version, 0) }
func minor(version string) int { return part(version, 1) }

func part(version string, i int) int {
	fields := strings.Split(strings.TrimPrefix(version, "v"), ".")
	if i >= len(fields) {
		return 0
	}
	n, _ := strconv.Atoi(fields[i]) // 0 is older than anything
	return n
}
