package console

import (
	"encoding/json"
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"

	"github.com/savepoint-games/savepoint/events"
)

// words are the functions of the templates.
var words = template.FuncMap{"ago": ago, "since": since, "sinceTime": time.Since, "when": when, "count": count[uint64], "number": count[int], "count64": count[int64], "rate": rate, "short": short}

// ago is a time span in a word, rounded to what somebody reads.
func ago(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm %ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh %dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

func since(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "never"
	}
	return ago(max(0, time.Since(*t))) + " ago"
}

func when(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05.000")
}

// count writes thousands apart.
func count[N int | int64 | uint64](n N) string {
	text := strconv.FormatUint(uint64(max(n, 0)), 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func rate(r Rate) string {
	switch {
	case r < 0:
		return "?"
	case r > 0 && r < 10:
		return strconv.FormatFloat(float64(r), 'f', 1, 64)
	}
	return count(uint64(r))
}

// longest is how much of a text is shown, in characters.
const longest = 300

func short(text string) string {
	if runes := []rune(text); len(runes) > longest {
		return string(runes[:longest]) + "…"
	}
	return text
}

// say tells in a few words what an event changed.
func say(e *events.StateChanged) string {
	switch data := e.Data.(type) {
	case events.Vitals:
		return fmt.Sprintf("hp %d, energy %d, at %s (%.6g, %.6g)", data.HP, data.Energy, data.Location.Zone, data.Location.X, data.Location.Y)
	case events.Inventory:
		return sayItems(data.Items) + sayTrades(data.Transfers)
	case events.Combat:
		text := fmt.Sprintf("%s in %d rounds, xp %+d → %d", data.Outcome, data.Rounds, data.XPGained, data.XP)
		if len(data.Loot) > 0 {
			text += ", loot: " + sayItems(data.Loot)
		}
		return text + sayTrades(data.Transfers)
	case events.Scenario:
		return fmt.Sprintf("%s: step %d, %s", data.ScenarioID, data.Step, data.Status)
	}
	text, _ := json.Marshal(e.Data) // of a scope of somebody's own
	return string(text)
}

// fewItems is how many items of an event are named.
const fewItems = 4

func sayItems(items []events.ItemChange) string {
	var parts []string
	for i, item := range items {
		if i == fewItems {
			parts = append(parts, fmt.Sprintf("and %d more", len(items)-fewItems))
			break
		}
		parts = append(parts, fmt.Sprintf("%s %+d → %d", item.ItemID, item.Delta, item.Quantity))
	}
	return strings.Join(parts, ", ")
}

func sayTrades(trades []events.Transfer) string {
	var text strings.Builder
	for _, t := range trades {
		state := "completed"
		switch {
		case t.InEscrow():
			state = "in escrow"
		case !t.Completed():
			state = "taken back"
		}
		fmt.Fprintf(&text, "; trade of %d to %d, %s", t.From, t.To, state)
	}
	return text.String()
}
