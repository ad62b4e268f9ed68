package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	alertsFile    = "../../deploy/prometheus/alerts.yml"
	alertTests    = "../../deploy/prometheus/alerts_test.yml"
	dashboardFile = "../../deploy/grafana/savepoint.json"
	runbook       = "docs/operations.md"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	alertStart = regexp.MustCompile(`(?m)^ +- alert: `)
	alertPart  = regexp.MustCompile(`(?m)^ +(expr|for|summary|runbook|labels): +(.*)$`)
	heading    = regexp.MustCompile(`(?m)^#+ (.*)$`)
	noAnchor   = regexp.MustCompile(`[^a-z0-9 -]`)
)

// Who is woken up reads what is wrong and where it says what to do.
func TestEachAlertSaysWhatIsWrongAndWhatToDo(t *testing.T) {
	t.Parallel()
	anchors := make(map[string]bool)
	for _, h := range heading.FindAllStringSubmatch(read(t, "../../"+runbook), -1) {
		anchors[strings.ReplaceAll(noAnchor.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-")] = true
	}
	tests := read(t, alertTests)
	alerts := alertStart.Split(read(t, alertsFile), -1)[1:]
	if len(alerts) == 0 {
		t.Fatal("no alerts: is the pattern right?")
	}
	for _, alert := range alerts {
		name, _, _ := strings.Cut(alert, "\n")
		parts := make(map[string]string)
		for _, p := range alertPart.FindAllStringSubmatch(alert, -1) {
			parts[p[1]] = p[2]
		}
		for _, part := range []string{"expr", "for", "summary"} {
			if parts[part] == "" {
				t.Errorf("%s has no %s", name, part)
			}
		}
		if s := parts["labels"]; s != "{ severity: critical }" && s != "{ severity: warning }" {
			t.Errorf("%s has labels %q", name, s)
		}
		if page, anchor, _ := strings.Cut(parts["runbook"], "#"); page != runbook || !anchors[anchor] {
			t.Errorf("%s points to %q, which does not exist", name, parts["runbook"])
		}
		if !strings.Contains(tests, name+`"`) {
			t.Errorf("%s has no test", name)
		}
	}
}

type dashboard struct {
	Title         string
	SchemaVersion int
	Templating    struct{ List []struct{ Name, Type string } }
	Panels        []panel
}

type panel struct {
	ID          int
	Type, Title string
	Datasource  struct{ UID string }
	FieldConfig struct{ Defaults struct{ Unit string } }
	Targets     []struct{ Expr string }
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	if err := json.Unmarshal([]byte(read(t, dashboardFile)), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestEachPanelHasATitleAUnitAndAQuery(t *testing.T) {
	t.Parallel()
	d := readDashboard(t)
	if d.Title == "" || d.SchemaVersion == 0 || len(d.Panels) == 0 {
		t.Errorf("no dashboard: %q, schema %d, %d panels", d.Title, d.SchemaVersion, len(d.Panels))
	}
	if v := d.Templating.List; len(v) != 1 || v[0].Name != "datasource" || v[0].Type != "datasource" {
		t.Errorf("the datasource is no variable: %+v", v)
	}
	seen := make(map[int]bool)
	for _, p := range d.Panels {
		if seen[p.ID] || p.Title == "" {
			t.Errorf("panel %d (%q) has no title, or the id of another", p.ID, p.Title)
		}
		seen[p.ID] = true
		if p.Type == "row" {
			continue
		}
		if p.FieldConfig.Defaults.Unit == "" || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("panel %q lacks a unit, the datasource or a query: %+v", p.Title, p)
		}
		for _, target := range p.Targets {
			if target.Expr == "" {
				t.Errorf("panel %q has an empty query", p.Title)
			}
		}
	}
}

var (
	comment  = regexp.MustCompile(`(?m)^ *#.*$`)
	text     = regexp.MustCompile(`(?m)^ *(summary|runbook): .*$`)
	selector = regexp.MustCompile(`\b((?:savepoint|process|go)_[a-z_]+)(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`(\w+)(=~|!~|!=|=)"([^"]*)"`)
	grouping = regexp.MustCompile(`\b(?:by|on) \(([^)]*)\)`)
	series   = regexp.MustCompile(`(?m)^([a-z_]+)(?:\{(.*)\})? \S+$`)
)

// watched returns the expressions of the rules and of the dashboard.
func watched(t *testing.T) (expressions []string) {
	t.Helper()
	rules := text.ReplaceAllString(comment.ReplaceAllString(read(t, alertsFile), ""), "")
	expressions = alertStart.Split(rules, -1)[1:]
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			expressions = append(expressions, target.Expr)
		}
	}
	return expressions
}

// labels are those of the series of a metric: which values each label has.
type labels map[string][]string

// metrics asks all programs.
func (m *machine) metrics() map[string]labels {
	m.t.Helper()
	found := make(map[string]labels)
	for _, addr := range m.admin {
		answer, err := http.Get("http://" + addr + "/metrics") //nolint:noctx // loopback, in a test
		if err != nil {
			m.t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil {
			m.t.Fatal(err)
		}
		for _, s := range series.FindAllStringSubmatch(string(body), -1) {
			if found[s[1]] == nil {
				found[s[1]] = labels{"job": nil, "instance": nil} // Prometheus adds these
			}
			for _, l := range matcher.FindAllStringSubmatch(s[2], -1) {
				found[s[1]][l[1]] = append(found[s[1]][l[1]], l[3])
			}
		}
	}
	return found
}

// wantWatchedMetrics looks for what the rules and the dashboard ask for, in what the
// programs say after some play.
func (m *machine) wantWatchedMetrics() {
	m.t.Helper()
	said, asked := m.metrics(), 0
	for _, expression := range watched(m.t) {
		has := labels{"job": nil, "instance": nil} // up
		for _, s := range selector.FindAllStringSubmatch(expression, -1) {
			asked++
			metric, ok := said[s[1]]
			if !ok {
				m.t.Errorf("no program says %s, of %q", s[1], expression)
				continue
			}
			for label, values := range metric {
				has[label] = append(has[label], values...)
			}
			for _, l := range matcher.FindAllStringSubmatch(s[2], -1) {
				if err := metric.matches(l[1], l[2], l[3]); err != nil {
					m.t.Errorf("%s: %v", s[0], err)
				}
			}
		}
		for _, by := range grouping.FindAllStringSubmatch(expression, -1) {
			for label := range strings.SplitSeq(by[1], ", ") {
				if _, ok := has[label]; !ok {
					m.t.Errorf("nothing has the label %s, of %q", label, expression)
				}
			}
		}
	}
	if asked < 40 {
		m.t.Errorf("only %d metrics are asked for: is the pattern right?", asked)
	}
}

// matches looks for a label, and for its value where it is fixed.
func (l labels) matches(label, operator, value string) error {
	values, ok := l[label]
	if !ok {
		return fmt.Errorf("there is no label %s", label)
	}
	if operator == "=" && values != nil && !slices.Contains(values, value) {
		return fmt.Errorf("%s is never %q, but %q", label, value, slices.Compact(slices.Sorted(slices.Values(values))))
	}
	return nil
}
