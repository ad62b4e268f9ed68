package drain

import (
	"fmt"
	"maps"
	"slices"

	"github.com/savepoint-games/savepoint/bench/baseline"
	"github.com/savepoint-games/savepoint/bench/report"
	"github.com/savepoint-games/savepoint/bench/workload"
)

// wanted is how many times (i) a drain is asked to be, by kind.
var wanted = map[workload.Kind]float64{
	workload.KindVitals: 20, workload.KindInventory: 14, workload.KindCombat: 12,
}

const (
	wantedOfLimit = 0.7
	wantedCPU     = 25 // seconds a million vitals, of all processes
	wantedMemory  = 100
)

// rows is the table of one kind; others are drains by one saver that does without
// something.
func rows(kind workload.Kind, one, two measured, others map[string]measured, l limits) (out []report.Row) {
	section := "drain " + string(kind)
	add := func(r report.Row) {
		r.Section = section
		out = append(out, r)
	}
	rate := func(name string, value float64) report.Row {
		return report.Row{Case: name, Value: value, Unit: "events/s"}
	}
	single, limit := best(l.one).result, l.together()
	bySingle := rate("savepoint, 1 saver", one.rate()).Against(single.Rate(), "(i)")
	if want := wanted[kind]; want > 0 {
		bySingle = bySingle.AtLeast(want, single.Rate(), "(i)")
	}
	add(bySingle)
	add(rate("savepoint, 1 saver", one.rate()).AtLeast(wantedOfLimit, limit, "(ii) and (iii)"))
	add(rate("savepoint, 1 saver", one.rate()).Against(best(l.loop).result.Rate(), "(v)"))
	add(rate("savepoint, 2 savers", two.rate()).Against(one.rate(), "1 saver"))
	for _, name := range slices.Sorted(maps.Keys(others)) {
		add(rate("savepoint, 1 saver", one.rate()).Against(others[name].rate(), name))
	}
	if len(l.atOnce) > 0 {
		add(rate("savepoint, 1 saver", one.rate()).Against(best(l.atOnce).result.Rate(), "(i) in one round trip"))
	}
	for _, name := range slices.Sorted(maps.Keys(others)) {
		add(rate("savepoint, 1 saver, "+name, others[name].rate()))
		add(report.Row{Case: "savepoint, 1 saver, " + name, Value: others[name].perMillion(others[name].cpu.Total()), Unit: "CPU s/million"})
	}
	for _, c := range slices.Concat(l.one, l.atOnce) {
		add(rate("(i) a transaction an event, "+c.setting, c.result.Rate()))
	}
	for _, c := range l.memory {
		add(rate("(ii) from memory, "+c.setting, c.result.Rate()))
	}
	for _, c := range l.stream {
		add(rate("(iii) JetStream alone, "+c.setting, c.result.Rate()))
	}
	for _, c := range l.loop {
		add(rate("(v) bare loops, "+c.setting, c.result.Rate()))
	}
	add(rate("(ii) and (iii), 1/(1/ii + 1/iii)", limit))
	for _, r := range costs(kind, one) {
		add(r)
	}
	add(baselineCosts("(i) a transaction an event", single))
	add(baselineCosts("(v) bare loops", best(l.loop).result))
	return out
}

// costs is what a drain by one saver took.
func costs(kind workload.Kind, m measured) (out []report.Row) {
	for _, name := range slices.Sorted(maps.Keys(m.cpu)) {
		out = append(out, report.Row{Case: "savepoint, " + name, Value: m.perMillion(m.cpu[name]), Unit: "CPU s/million"})
	}
	total := report.Row{Case: "savepoint, all processes", Value: m.perMillion(m.cpu.Total()), Unit: "CPU s/million"}
	if kind == workload.KindVitals {
		total = total.Below(wantedCPU)
	}
	out = append(out, total)
	if m.pg.Updates > 0 {
		out = append(out, report.Row{Case: "updates on their page (HOT)", Value: 100 * float64(m.pg.HotUpdates) / float64(m.pg.Updates), Unit: "%"})
	}
	out = append(out,
		report.Row{Case: "WAL", Value: m.perEvent(m.pg.WALBytes), Unit: "bytes/event"},
		report.Row{Case: "commits", Value: m.perEvent(1000 * m.pg.Commits), Unit: "per 1000 events"})
	if m.pg.WALSyncs >= 0 {
		out = append(out, report.Row{Case: "fsyncs of the WAL", Value: m.perEvent(1000 * m.pg.WALSyncs), Unit: "per 1000 events"})
	}
	return out
}

func baselineCosts(name string, r baseline.Result) report.Row {
	return report.Row{Case: name, Value: r.CPU.Total().Seconds() * 1e6 / float64(r.Events), Unit: "CPU s/million"}
}

func memoryRow(waiting int, bytes int64) report.Row {
	return report.Row{
		Section: "drain memory", Case: fmt.Sprintf("a saver, %d events waiting", waiting),
		Value: float64(bytes) / 1e6, Unit: "MB peak",
	}.Below(wantedMemory)
}
