package gateway_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/gateway"
)

// Every kind of bad request gets a problem document that names the field, and
// leaves the character as it was.
func TestBadRequestsNameTheFieldAndChangeNothing(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.want(200, "PUT", "5/vitals", harbor)
	s.want(200, "POST", "5/inventory", `{"changes":[{"item_id":"potion","delta":2}]}`)
	session := s.want(201, "POST", "5/contexts/combat", "").SessionID
	before := s.do(0, "GET", "5", "").Body
	for strings.Contains(before, `"row":"contexts"`) { // its mark is cleared after the answer
		before = s.do(0, "GET", "5", "").Body
	}

	id := uuid.New()
	for _, c := range []struct {
		method, path, body string
		status             int
		field              string
	}{
		{"PUT", "0/vitals", harbor, 400, "char_id"},
		{"PUT", "-5/vitals", harbor, 400, "char_id"},
		{"PUT", "abc/vitals", harbor, 400, "char_id"},
		{"PUT", "05/vitals", harbor, 400, "char_id"},
		{"PUT", "9223372036854775808/vitals", harbor, 400, "char_id"},
		{"PUT", "5/vitals?durability=forever", harbor, 400, "durability"},
		{"PUT", "5/vitals", "", 400, "body"},
		{"PUT", "5/vitals", "{", 400, "body"},
		{"PUT", "5/vitals", harbor + harbor, 400, "body"},
		{"PUT", "5/vitals", "[]", 422, "body"},
		{"PUT", "5/vitals", `{"hp":1,"energy":1}`, 422, "location"},
		{"PUT", "5/vitals", edit(harbor, `"hp":80`, `"hp":-1`), 422, "hp"},
		{"PUT", "5/vitals", edit(harbor, `"hp":80`, `"hp":80.5`), 422, "hp"},
		{"PUT", "5/vitals", edit(harbor, `"hp":80`, `"hp":"80"`), 422, "hp"},
		{"PUT", "5/vitals", edit(harbor, `"hp":80`, `"hp":null`), 422, "hp"},
		{"PUT", "5/vitals", edit(harbor, `"hp":80`, `"hp":3000000000`), 422, "hp"},
		{"PUT", "5/vitals", edit(harbor, `"hp":80`, `"hp":80,"hp":80`), 422, "hp"},
		{"PUT", "5/vitals", edit(harbor, `"hp":80`, `"hp":80,"mana":1`), 422, "mana"},
		{"PUT", "5/vitals", edit(harbor, `"x":1.5`, `"x":1e999`), 422, "location.x"},
		{"PUT", "5/vitals", edit(harbor, `"x":1.5`, `"x":1.5,"z":1`), 422, "location.z"},
		{"PUT", "5/vitals", edit(harbor, `"harbor"`, `""`), 422, "location.zone"},
		{"PUT", "5/vitals", edit(harbor, `"harbor"`, `"\u0000"`), 422, "location.zone"},
		{"PUT", "5/vitals", edit(harbor, `"harbor"`, `"`+strings.Repeat("x", 129)+`"`), 422, "location.zone"},
		{"PUT", "5/vitals", edit(harbor, `"harbor"`, `"`+strings.Repeat("x", 256<<10)+`"`), 413, "body"},
		{"POST", "5/inventory", `{"changes":[]}`, 422, "changes"},
		{"POST", "5/inventory", `{"changes":{}}`, 422, "changes"},
		{"POST", "5/inventory", `{}`, 422, "changes"},
		{"POST", "5/inventory", `{"changes":[{"item_id":"a","delta":1},{"item_id":"b"}]}`, 422, "changes[1].delta"},
		{"POST", "5/inventory", `{"changes":[{"item_id":"a","delta":1},{"item_id":"a","delta":1}]}`, 422, "changes[1].item_id"},
		{"POST", "5/inventory", `{"changes":[{"item_id":"a","delta":0}]}`, 422, "changes[0].delta"},
		{"POST", "5/inventory", `{"changes":[{"item_id":"a","delta":1.5}]}`, 422, "changes[0].delta"},
		{"POST", "5/inventory", `{"changes":[{"item_id":"a\ud800","delta":1}]}`, 422, "changes[0].item_id"},
		{"POST", "5/inventory", `{"changes":[{"item_id":"a\udc00b","delta":1}]}`, 422, "changes[0].item_id"},
		{"POST", "5/inventory", `{"changes":[{"item_id":"potion","delta":9223372036854775807}]}`, 409, ""},
		{"POST", "5/inventory", `{"changes":[{"item_id":"a","delta":1},{"item_id":"potion","delta":-3}]}`, 409, "item_id"},
		{"POST", "5/contexts/nowhere", "", 400, "context"},
		{"POST", "5/contexts/scenario", "", 400, "body"},
		{"POST", "5/contexts/scenario", "{}", 422, "scenario_id"},
		{"POST", "5/contexts/scenario", `{"scenario_id":""}`, 422, "scenario_id"},
		{"POST", "5/contexts/scenario", `{"scenario_id":"\ud83d"}`, 422, "scenario_id"},
		{"POST", "5/contexts/inventory", `{"x":1}`, 422, "x"},
		{"POST", "5/contexts/inventory?force=perhaps", "", 400, "force"},
		{"POST", "5/contexts/inventory", "", 409, ""},
		{"PATCH", "5/contexts/nowhere", "", 400, "context"},
		{"PATCH", "5/contexts/combat", "{}", 422, "session_id"},
		{"PATCH", "5/contexts/combat", `{"session_id":"1","round":1}`, 422, "session_id"},
		{"PATCH", "5/contexts/combat", sessionBody(session, ""), 422, "round"},
		{"PATCH", "5/contexts/combat", sessionBody(session, `,"round":-1`), 422, "round"},
		{"PATCH", "5/contexts/combat", sessionBody(session, `,"round":1,"data":[]`), 422, "data"},
		{"PATCH", "5/contexts/combat", sessionBody(session, `,"round":1,"data":{"a":"\u0000"}`), 422, "data"},
		{"PATCH", "5/contexts/combat", sessionBody(session, `,"round":1,"data":`+strings.Repeat(`{"a":`, 40)+"1"+strings.Repeat("}", 40)), 422, "data"},
		{"PATCH", "5/contexts/combat", sessionBody(id, `,"round":1`), 409, ""},
		{"PATCH", "5/contexts/scenario", sessionBody(id, `,"step":1,"data":{}`), 409, ""},
		{"POST", "5/contexts/combat/finish", sessionBody(session, ""), 422, "outcome"},
		{"POST", "5/contexts/combat/finish", sessionBody(session, `,"outcome":"Won!"`), 422, "outcome"},
		{"POST", "5/contexts/combat/finish", sessionBody(session, `,"outcome":"victory","xp":-1`), 422, "xp"},
		{"POST", "5/contexts/combat/finish", sessionBody(session, `,"outcome":"victory","xp":1,"loot":[{"item_id":"a","quantity":0}]`), 422, "loot[0].quantity"},
		{"POST", "5/contexts/combat/finish", sessionBody(session, `,"outcome":"victory","xp":1,"loot":[{"item_id":"potion","quantity":9223372036854775807}]`), 409, ""},
		{"POST", "5/sync/nothing", "", 400, "scope"},
		{"POST", "5/sync/cleanup", "", 400, "scope"},
		{"POST", "6/sync/vitals", "", 404, ""},
		{"GET", "6", "", 404, ""},
		{"GET", "6?from=cold", "", 404, ""},
		{"GET", "5?from=elsewhere", "", 400, "from"},
		{"GET", "5/combats?limit=0", "", 400, "limit"},
		{"GET", "5/combats?limit=x", "", 400, "limit"},
		{"GET", "5/combats?before=yesterday", "", 400, "before"},
		{"DELETE", "5", "", 405, ""},
		{"GET", "5/none/such/path", "", 404, ""},
	} {
		r := s.do(0, c.method, c.path, c.body)
		var p gateway.Problem
		if err := json.Unmarshal([]byte(r.Body), &p); err != nil || r.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s %.60s: %d %s is no problem document", c.method, c.path, c.body, r.Status, r.Body)
			continue
		}
		named := ""
		if len(p.Errors) > 0 {
			named = p.Errors[0].Field
		}
		if r.Status != c.status || p.Status != c.status || named != c.field || p.Detail == "" {
			t.Errorf("%s %s %.60s: %s\n  want status %d, field %q", c.method, c.path, c.body, r.Body, c.status, c.field)
		}
	}
	if after := s.do(0, "GET", "5", "").Body; after != before {
		t.Errorf("changed:\n%s\n%s", before, after)
	}
	if r := s.do(0, "GET", "6", ""); r.Status != 404 {
		t.Errorf("a bad request created character 6: %s", r.Body)
	}
}

func edit(body, old, now string) string {
	if !strings.Contains(body, old) {
		panic(fmt.Sprintf("no %s in %s", old, body))
	}
	return strings.Replace(body, old, now, 1)
}

// A body that is no JSON is told so, whatever else is wrong before its fault; the fault is
// named once.
func TestBodyThatIsNoJSONIsToldSo(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for body, want := range map[string]string{
		edit(harbor, "80", "08"):               "body: not valid JSON",
		edit(harbor, `"x":1.5`, `"x":1.5x`):    "not valid JSON",
		edit(harbor, "80", "8x"):               "not valid JSON",
		`{"mana":1,`:                           "body: not valid JSON",
		edit(harbor, `"zone"`, `"z":1,"zone"`): "location.z: unknown field",
	} {
		r := s.do(0, "PUT", "5/vitals", body)
		var p gateway.Problem
		if err := json.Unmarshal([]byte(r.Body), &p); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(p.Detail, want) || strings.Contains(p.Detail, "\n") || strings.Contains(p.Detail, "location.x: location.x") ||
			(p.Status == 400) != strings.Contains(want, "JSON") {
			t.Errorf("%s: %d %q, want %q", body, p.Status, p.Detail, want)
		}
	}
}

// What a path can be asked for is told by OPTIONS, and by who refuses another method.
func TestMethodsOfAPath(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for method, status := range map[string]int{"OPTIONS": 204, "DELETE": 405} {
		r := s.do(0, method, "5", "")
		if allow := r.Header.Get("Allow"); r.Status != status || !strings.Contains(allow, "GET") || !strings.Contains(allow, "OPTIONS") {
			t.Errorf("%s: %d, Allow %q", method, r.Status, allow)
		}
	}
}

// A repeat with the same key returns the first answer and changes nothing; the
// key of one request is no key for another.
func TestRepeatReturnsTheFirstAnswer(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	fight := s.want(201, "POST", "9/contexts/combat", "").SessionID
	open := s.want(201, "POST", "10/contexts/combat", "").SessionID
	for name, c := range map[string]struct {
		method, path, body, other string
		status                    int
	}{
		"vitals":    {"PUT", "8/vitals", harbor, edit(harbor, "80", "81"), 200},
		"inventory": {"POST", "8/inventory", `{"changes":[{"item_id":"gem","delta":5}]}`, `{"changes":[{"item_id":"gem","delta":6}]}`, 200},
		"enter":     {"POST", "8/contexts/scenario", `{"scenario_id":"a"}`, `{"scenario_id":"b"}`, 201},
		"round":     {"PATCH", "10/contexts/combat", sessionBody(open, `,"round":1`), sessionBody(open, `,"round":2`), 200},
		"finish":    {"POST", "9/contexts/combat/finish", sessionBody(fight, `,"outcome":"victory","xp":7`), sessionBody(fight, `,"outcome":"victory","xp":8`), 200},
	} {
		t.Run(name, func(t *testing.T) {
			key := uuid.NewString()
			first := s.do(0, c.method, c.path, c.body, "Idempotency-Key", key)
			again := s.do(1, c.method, c.path, c.body, "Idempotency-Key", strings.ToUpper(key))
			if first.Status != c.status || again.Status != c.status || again.Body != first.Body {
				t.Errorf("first %d %s again %d %s", first.Status, first.Body, again.Status, again.Body)
			}
			if first.Header.Get("Idempotency-Replayed") != "" || again.Header.Get("Idempotency-Replayed") != "true" {
				t.Error("only the repeat is marked as replayed")
			}
			if other := s.do(0, c.method, c.path, c.other, "Idempotency-Key", key); other.Status != 422 {
				t.Errorf("another request with the key: %d %s", other.Status, other.Body)
			}
		})
	}
	if view := s.look(8, "hot"); len(view.Items) != 1 || view.Items[0].Quantity.Quantity != 5 {
		t.Errorf("items: %+v", view.Items)
	}
	if view := s.look(9, "hot"); view.Progress.XP != 7 {
		t.Errorf("xp: %+v", view.Progress)
	}
	key := uuid.NewString()
	bag := s.do(0, "POST", "8/contexts/inventory", "", "Idempotency-Key", key)
	if again := s.do(0, "POST", "8/contexts/inventory?force=false", "", "Idempotency-Key", key); again.Body != bag.Body {
		t.Errorf("the same, said in other words: %d %s", again.Status, again.Body)
	}
	if r := s.do(0, "PUT", "8/vitals", harbor, "Idempotency-Key", "not-a-uuid"); r.Status != 400 {
		t.Errorf("bad key: %d %s", r.Status, r.Body)
	}
}

// Whoever says a key counts on it: without one, or with another one than meant, the repeat
// would be carried out again.
func TestKeyThatIsEmptyOrSaidTwiceIsRefused(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	key, gem := uuid.NewString(), `{"changes":[{"item_id":"gem","delta":5}]}`
	for name, keys := range map[string][]string{
		"empty": {""}, "empty-first": {"", key}, "empty-last": {key, ""}, "two": {key, uuid.NewString()}, "twice": {key, key},
	} {
		request, err := http.NewRequestWithContext(t.Context(), "POST", s.gateways[0].URL+"/v1/characters/8/inventory", strings.NewReader(gem))
		s.must(err)
		request.Header["Idempotency-Key"] = keys
		answer, err := http.DefaultClient.Do(request)
		s.must(err)
		s.must(answer.Body.Close())
		if answer.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d, want 400", name, answer.StatusCode)
		}
	}
}

// Clients that say a header with all that they send have no key for what they read.
func TestReadNeedsNoKey(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.want(200, "PUT", "8/vitals", harbor)
	request, err := http.NewRequestWithContext(t.Context(), "GET", s.gateways[0].URL+"/v1/characters/8", http.NoBody)
	s.must(err)
	request.Header["Idempotency-Key"] = []string{""}
	answer, err := http.DefaultClient.Do(request)
	s.must(err)
	s.must(answer.Body.Close())
	if answer.StatusCode != http.StatusOK {
		t.Errorf("%d, want 200", answer.StatusCode)
	}
}

// The answer goes into a header of the event, which has room for 64 KiB.
func TestLongestAnswerIsPublished(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	var items []string
	for i := range 200 {
		items = append(items, fmt.Sprintf(`{"item_id":"%d%s","delta":%d}`, i, strings.Repeat("<", 124), math.MaxInt64))
	}
	body := `{"changes":[` + strings.Join(items, ",") + `]}`
	if a := s.want(200, "POST", "8/inventory", body, "Idempotency-Key", uuid.NewString()); a.Durability != "stream" {
		t.Errorf("durability %s", a.Durability)
	}
}

// A refusal is an answer, too: the same request may still be on its way through
// a gateway that sleeps, and must not be taken when the state has changed.
func TestRepeatOfARefusalIsRefused(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	key, take := uuid.NewString(), `{"changes":[{"item_id":"gem","delta":-1}]}`
	first := s.do(0, "POST", "8/inventory", take, "Idempotency-Key", key)
	if first.Status != 409 {
		t.Errorf("taking what is not there: %d %s", first.Status, first.Body)
	}
	s.want(200, "POST", "8/inventory", `{"changes":[{"item_id":"gem","delta":1}]}`)
	if late := s.do(1, "POST", "8/inventory", take, "Idempotency-Key", key); late.Status != 409 || late.Body != first.Body {
		t.Errorf("the late one: %d %s", late.Status, late.Body)
	}
	s.want(200, "POST", "8/inventory", take, "Idempotency-Key", uuid.NewString())
	if view := s.look(8, "hot"); len(view.Items) != 0 {
		t.Errorf("items: %+v", view.Items)
	}
}

func TestDispatchByHandPublishesTheScope(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.want(200, "PUT", "5/vitals", harbor)
	s.want(200, "POST", "5/inventory", `{"changes":[{"item_id":"potion","delta":2}]}`)
	was := len(s.published())
	for scope, want := range map[string]int{"vitals": 1, "inventory": 1, "scenario": 0, "combat": 0} {
		r := s.do(0, "POST", "5/sync/"+scope, "")
		var answer struct{ Events int }
		r.into(t, &answer)
		if r.Status != 202 || answer.Events != want {
			t.Errorf("sync %s: %d %s, want %d events", scope, r.Status, r.Body, want)
		}
	}
	all := s.published()
	if len(all) != was+2 {
		t.Errorf("%d events published, want 2", len(all)-was)
	}
	for _, e := range all[was:] {
		if e.Cause != "dispatch" {
			t.Errorf("cause %q", e.Cause)
		}
	}
}
