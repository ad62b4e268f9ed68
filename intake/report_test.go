package intake

import "testing"

// Whatever comes is told apart: what is read can be written and read again, and the
// board takes it in or refuses it.
func FuzzTold(f *testing.F) {
	one := &report{saver: "s", ends: map[uint64]uint64{70: 700}, ended: true}
	if err := one.saved.add(65, 70); err != nil {
		f.Fatal(err)
	}
	body, err := one.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add([]byte(`{"schema":1,"saver":"s","from":18446744073709551552,"saved":"/////////w=="}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		heard, err := decodeReport(body)
		if err != nil {
			return
		}
		_ = newBoard(0).note(heard) // whatever it says
		again, err := heard.encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeReport(again); err != nil {
			t.Fatalf("%s is read, and %s is not: %v", body, again, err)
		}
	})
}
