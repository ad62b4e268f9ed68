package load

import (
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
)

// A character is one that the generator plays.
type character struct {
	id      int64
	busy    bool // waits for an answer
	step    int  // of its story
	taken   int  // steps in this window
	visits  int  // stories it has finished
	session [36]byte
}

// A step is one request of a story.
type step struct {
	name   string // of its route, as in the table
	method string
	path   string // after the character's own; of a trade the whole
	// body appends the body; nil for none.
	body func(b []byte, c *character, g *dice) []byte
	// session: the answer names the session of the steps that follow.
	session bool
	// keyed: the request has an idempotency key of its own.
	keyed bool
	// quiet: nothing is published, so that the answer is always "hot".
	quiet bool
	// newcomer: each request is about a character that nobody knows.
	newcomer bool
}

// dice are what stories draw from.
type dice struct {
	*rand.Rand
	firstChar  int64
	characters int
}

// Items that are given and taken, and traded.
const (
	pouch  = 16 // kinds of items that inventory changes are about
	wealth = 1_000_000
)

// generations is how far apart the ids of newcomers are that one character stands for.
const generations = 1_000_000_000

// stories by name. A character begins anew when it has come to the end.
var stories = map[string][]step{
	StoryMake: {
		{name: "make vitals", method: "PUT", path: "/vitals", body: vitalsBody},
		{name: "make items", method: "POST", path: "/inventory", body: wealthBody},
	},
	"vitals":    {{name: "PUT vitals", method: "PUT", path: "/vitals", body: vitalsBody}},
	"inventory": {{name: "POST inventory", method: "POST", path: "/inventory", body: inventoryBody}},
	"view":      {{name: "GET character", method: "GET", quiet: true}},
	"newcomers": {{name: "PUT vitals of a newcomer", method: "PUT", path: "/vitals", body: vitalsBody, newcomer: true}},
	"keyed": {
		{name: "PUT vitals, with a key", method: "PUT", path: "/vitals", body: vitalsBody, keyed: true},
		{name: "POST inventory, with a key", method: "POST", path: "/inventory", body: inventoryBody, keyed: true},
	},
	"levels": {
		{name: "PUT vitals?durability=hot", method: "PUT", path: "/vitals?durability=hot", body: vitalsBody, quiet: true},
		{name: "PUT vitals?durability=cold", method: "PUT", path: "/vitals?durability=cold", body: vitalsBody},
	},
	"dispatch": {
		{name: "POST sync/vitals", method: "POST", path: "/sync/vitals"},
		{name: "POST sync/inventory", method: "POST", path: "/sync/inventory"},
	},
	"cold": {
		{name: "GET character?from=cold", method: "GET", path: "?from=cold", quiet: true},
		{name: "GET combats", method: "GET", path: "/combats", quiet: true},
		{name: "GET saved", method: "GET", path: "/saved", quiet: true},
	},
	"transfers": {{name: "POST transfers", method: "POST", path: "/v1/transfers", body: tradeBody}},
	"combat": {
		{name: "POST contexts/combat", method: "POST", path: "/contexts/combat", session: true},
		{name: "PATCH contexts/combat", method: "PATCH", path: "/contexts/combat", body: roundBody, quiet: true},
		{name: "POST contexts/combat/finish", method: "POST", path: "/contexts/combat/finish", body: resultBody},
	},
	"scenario": {
		{name: "POST contexts/scenario", method: "POST", path: "/contexts/scenario", body: scenarioBody, session: true},
		{name: "PATCH contexts/scenario", method: "PATCH", path: "/contexts/scenario", body: stepBody},
		{name: "POST contexts/scenario/finish", method: "POST", path: "/contexts/scenario/finish", body: sessionBody},
	},
	"bag": {
		{name: "POST contexts/inventory", method: "POST", path: "/contexts/inventory", session: true},
		{name: "PATCH contexts/inventory", method: "PATCH", path: "/contexts/inventory", body: sessionBody, quiet: true},
		{name: "POST contexts/inventory/finish", method: "POST", path: "/contexts/inventory/finish", body: sessionBody},
	},
}

// StoryMake gives each character vitals and items; with Each 2 it makes all.
const StoryMake = "make"

// Stories lists what characters can do.
func Stories() []string { return slices.Sorted(maps.Keys(stories)) }

// Steps lists the steps of a story by name.
func Steps(story string) (names []string) {
	for _, s := range stories[story] {
		names = append(names, s.name)
	}
	return names
}

// appendPath appends the path of a step.
func (s *step) appendPath(b []byte, c *character) []byte {
	if s.name == "POST transfers" {
		return append(b, s.path...)
	}
	id := c.id
	if s.newcomer {
		id += generations * int64(1+c.visits)
	}
	b = strconv.AppendInt(append(b, "/v1/characters/"...), id, 10)
	return append(b, s.path...)
}

func vitalsBody(b []byte, _ *character, g *dice) []byte {
	return fmt.Appendf(b, `{"hp":%d,"energy":%d,"location":{"zone":"harbor","x":%d.5,"y":-%d.25}}`,
		g.IntN(100), g.IntN(100), g.IntN(1000), g.IntN(1000))
}

func wealthBody(b []byte, _ *character, _ *dice) []byte {
	b = append(b, `{"changes":[`...)
	for i := range pouch {
		b = fmt.Appendf(b, `{"item_id":"item-%02d","delta":%d},`, i, wealth)
	}
	b[len(b)-1] = ']'
	return append(b, '}')
}

// inventoryBody takes and gives one to three items.
func inventoryBody(b []byte, _ *character, g *dice) []byte {
	b = append(b, `{"changes":[`...)
	first := g.IntN(pouch)
	for i := range 1 + g.IntN(3) {
		delta := 1 + g.IntN(5)
		if g.IntN(2) == 0 {
			delta = -delta
		}
		b = fmt.Appendf(b, `{"item_id":"item-%02d","delta":%d},`, (first+i)%pouch, delta)
	}
	b[len(b)-1] = ']'
	return append(b, '}')
}

func tradeBody(b []byte, c *character, g *dice) []byte {
	all, to := int64(g.characters), g.Int64N(int64(g.characters))
	if to == c.id-g.firstChar {
		to = (to + 1) % all
	}
	to += g.firstChar
	b = append(b, `{"transfer_id":"`...)
	b = appendUUID(b, g)
	return fmt.Appendf(b, `","from":%d,"to":%d,"items":[{"item_id":"item-%02d","quantity":1}]}`, c.id, to, g.IntN(pouch))
}

func appendUUID(b []byte, g *dice) []byte {
	var id [16]byte
	for i := range id {
		id[i] = byte(g.Uint32())
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	for i, part := range [][]byte{id[:4], id[4:6], id[6:8], id[8:10], id[10:]} {
		if i > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, part)
	}
	return b
}

func openSession(b []byte, c *character) []byte {
	b = append(b, `{"session_id":"`...)
	return append(append(b, c.session[:]...), '"')
}

func sessionBody(b []byte, c *character, _ *dice) []byte { return append(openSession(b, c), '}') }

func roundBody(b []byte, c *character, g *dice) []byte {
	return fmt.Appendf(openSession(b, c), `,"round":%d,"data":{"foe":"wolf","foe_hp":%d}}`, 1+g.IntN(9), g.IntN(100))
}

// resultBody has zero to three lines of loot.
func resultBody(b []byte, c *character, g *dice) []byte {
	b = fmt.Appendf(openSession(b, c), `,"outcome":"victory","xp":%d`, g.IntN(200))
	lines, first := g.IntN(4), g.IntN(pouch)
	for i := range lines {
		b = append(b, map[bool]string{true: `,"loot":[`, false: `,`}[i == 0]...)
		b = fmt.Appendf(b, `{"item_id":"item-%02d","quantity":%d}`, (first+i)%pouch, 1+g.IntN(3))
	}
	if lines > 0 {
		b = append(b, ']')
	}
	return append(b, '}')
}

func scenarioBody(b []byte, c *character, _ *dice) []byte {
	return fmt.Appendf(b, `{"scenario_id":"old-road-%d"}`, c.visits%4)
}

func stepBody(b []byte, c *character, g *dice) []byte {
	return fmt.Appendf(openSession(b, c), `,"step":%d,"data":{"clue":"key","door":%d}}`, 1+g.IntN(9), g.IntN(100))
}
