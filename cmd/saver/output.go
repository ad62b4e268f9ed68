package main

import (
	"encoding/json"
	"io"
)

// output is where a command writes.
type output struct{ Out, Err io.Writer }

// printJSON writes one document, for people to read as well.
func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// unknown is shown where a server does not answer.
const unknown = "?"
