package events_test

import (
	"testing"

	"github.com/savepoint-games/savepoint/events"
)

func BenchmarkDecode(b *testing.B) {
	for _, name := range []string{"vitals", "inventory", "combat"} {
		body := []byte(golden(b, name))
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := events.Decode(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, name := range []string{"vitals", "inventory", "combat"} {
		e := mustDecode(b, []byte(golden(b, name)))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := events.Encode(&e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
