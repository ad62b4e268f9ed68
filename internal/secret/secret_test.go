package secret_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/savepoint-games/savepoint/internal/secret"
)

func TestURLsSayNoPassword(t *testing.T) {
	for list, want := range map[string]string{
		"nats://127.0.0.1:4222":                  "nats://127.0.0.1:4222",
		"nats://saver:hush@a:4222,nats://b:4222": "nats://…@a:4222,nats://b:4222",
		"nats://token@a:4222":                    "nats://…@a:4222",
		"saver:hu@sh@a:4222":                     "a:4222",
		"":                                       "",
	} {
		if got := secret.URLs(list); got != want {
			t.Errorf("%s: got %s, want %s", list, got, want)
		}
	}
}

func TestURLThatCannotBeParsedSaysNoPassword(t *testing.T) {
	for _, text := range []string{"redis://saver:hush%zz@a:1", "redis://saver:hush/more@a:1", "redis://saver:hush@a:port"} {
		_, err := url.Parse(text)
		if err == nil {
			t.Fatalf("%s is parsed", text)
		}
		if err = secret.Err(err); strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", text, err)
		}
	}
	other := errors.New("other")
	if got := secret.Err(other); got != other {
		t.Errorf("got %v", got)
	}
}
