package hotpath

import (
	"fmt"
	"time"

	"github.com/savepoint-games/savepoint/bench/load"
	"github.com/savepoint-games/savepoint/bench/report"
)

// What the product may take, as a multiple of (iv).
const (
	wantedMedian = 1.3
	wantedP99    = 1.5
)

// highestRows are the highest rates of a story, and the CPU time that they take.
func highestRows(story string, product, bare side) (rows []report.Row) {
	section := "hot path " + story
	rate := bare.result.PerSecond()
	rows = append(rows,
		report.Row{Section: section, Case: "savepoint, closed loop", Value: product.result.PerSecond(), Unit: "actions/s"}.Against(rate, "(iv)"),
		report.Row{Section: section, Case: "(iv) bare, closed loop", Value: rate, Unit: "actions/s"})
	for _, name := range []string{"gateway", "redis", "nats"} {
		rows = append(rows, cpuRow(section, "savepoint, "+name, name, product))
	}
	for _, name := range []string{"bare", "redis", "nats"} {
		rows = append(rows, cpuRow(section, "(iv) bare, "+name, name, bare))
	}
	return append(rows, cpuRow(section, "load generator", "generator", product))
}

func cpuRow(section, label, process string, s side) report.Row {
	return report.Row{
		Section: section, Case: label, Unit: "CPU s/million",
		Value: s.cpu[process].Seconds() * 1e6 / float64(s.result.Answers()),
	}
}

// latencyRows are the latencies of each step of a story at one rate.
func latencyRows(at, story string, product, bare side) (rows []report.Row) {
	section := "hot path " + at
	rows = append(rows, report.Row{Section: section, Case: "answers", Value: product.result.PerSecond(), Unit: "actions/s"})
	all := bare.result.All()
	for _, step := range load.Steps(story) {
		own := product.result.Latencies[step]
		for _, p := range []struct{ percent, want float64 }{{50, wantedMedian}, {99, wantedP99}, {99.9, 0}} {
			reference := milliseconds(load.Percentile(all, p.percent))
			row := report.Row{Section: section, Case: step, Value: milliseconds(load.Percentile(own, p.percent)), Unit: fmt.Sprintf("ms p%g", p.percent)}
			if p.want > 0 {
				row = row.AtMost(p.want, reference, "(iv)")
			} else {
				row = row.Against(reference, "(iv)")
			}
			rows = append(rows, row)
		}
	}
	for _, percent := range []float64{50, 99, 99.9} {
		rows = append(rows, report.Row{Section: section, Case: "(iv) bare", Value: milliseconds(load.Percentile(all, percent)), Unit: fmt.Sprintf("ms p%g", percent)})
	}
	if product.result.Hot > 0 {
		rows = append(rows, hotRow(section, product.result))
	}
	return rows
}

// hotRow is how many answers did not wait for the stream: their latencies say
// less than they seem to.
func hotRow(section string, r load.Result) report.Row {
	return report.Row{Section: section, Case: "answers that say hot", Value: 100 * float64(r.Hot) / float64(r.Answers()), Unit: "%"}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
