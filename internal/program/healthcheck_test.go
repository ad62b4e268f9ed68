package program

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestHealthcheckAsksTheAdminAddress(t *testing.T) {
	healthy := httptest.NewServer(Health(nil))
	defer healthy.Close()
	_, port, err := net.SplitHostPort(healthy.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	// A proxy must not be asked about this machine.
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	for _, addr := range []string{"127.0.0.1:" + port, "0.0.0.0:" + port, ":" + port} {
		if err := Healthcheck(t.Context(), addr); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func TestHealthcheckFailsWhere(t *testing.T) {
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	closed := httptest.NewServer(nil)
	closed.Close()
	for name, c := range map[string]struct{ addr, want string }{
		"NobodyListens":      {closed.Listener.Addr().String(), "refused"},
		"AnotherAnswers":     {other.Listener.Addr().String(), "404"},
		"TheAddressIsBroken": {"9090", "missing port"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := Healthcheck(t.Context(), c.addr); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestHealthcheckGivesUpOnSilence(t *testing.T) {
	t.Parallel()
	// The backlog takes the connection; nobody ever answers.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	started := time.Now()
	err = Healthcheck(t.Context(), silent.Addr().String())
	if err == nil || !strings.Contains(err.Error(), "deadline exceeded") {
		t.Errorf("got %v after %s, want the deadline", err, time.Since(started))
	}
}
