package report_test

import (
	"strings"
	"testing"

	"github.com/savepoint-games/savepoint/bench/report"
)

// A row says whether what was asked of it holds, at the limit too.
func TestRowsSayWhatTheyMiss(t *testing.T) {
	row := report.Row{Value: 30}
	for name, c := range map[string]struct {
		row    report.Row
		ratio  float64
		missed bool
	}{
		"at least, more":    {row.AtLeast(2, 10, "x"), 3, false},
		"at least, as much": {row.AtLeast(3, 10, "x"), 3, false},
		"at least, less":    {row.AtLeast(4, 10, "x"), 3, true},
		"at most, less":     {row.AtMost(4, 10, "x"), 3, false},
		"at most, as much":  {row.AtMost(3, 10, "x"), 3, false},
		"at most, more":     {row.AtMost(2, 10, "x"), 3, true},
		"against":           {row.Against(10, "x"), 3, false},
		"below":             {row.Below(31), 0, false},
		"not below":         {row.Below(30), 0, true},
		// What it is compared with was not measured: nothing is proven.
		"at least of nothing": {row.AtLeast(2, 0, "x"), 0, true},
	} {
		if c.row.Ratio != c.ratio || c.row.Missed != c.missed {
			t.Errorf("%s: ratio %v, missed %v", name, c.row.Ratio, c.row.Missed)
		}
	}
}

func TestTableMarksWhatIsMissed(t *testing.T) {
	var out strings.Builder
	rows := []report.Row{
		{Section: "drain", Case: "fast", Value: 123456.7, Unit: "events/s"},
		report.Row{Section: "drain", Case: "slow", Value: 1.234, Unit: "ms"}.Below(1),
	}
	if err := report.Write(&out, rows); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 4 || !strings.Contains(lines[2], "| 123457 ") || strings.Contains(lines[2], "MISSED") ||
		!strings.Contains(lines[3], "| 1.23 ") || !strings.Contains(lines[3], "< 1 MISSED") {
		t.Errorf("table:\n%s", out.String())
	}
}
