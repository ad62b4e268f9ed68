package program

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Whoever asks /readyz gives up soon, a second is usual: servers that hang and are not
// required must not take the program out of the load balancer.
func TestServersThatHangAndAreNotRequiredDoNotDelayReadiness(t *testing.T) {
	t.Parallel()
	hangs := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	fine := func(context.Context) error { return nil }
	for name, c := range map[string]struct {
		redis  func(context.Context) error
		status int
	}{
		"ready":     {fine, http.StatusOK},
		"not-ready": {func(context.Context) error { return errors.New("away") }, http.StatusServiceUnavailable},
	} {
		health := Health([]Check{{Name: "nats", Ping: hangs}, {Name: "postgresql", Ping: hangs}, {Name: "redis", Required: true, Ping: c.redis}})
		answer := httptest.NewRecorder()
		asked := time.Now()
		health.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		if took := time.Since(asked); took > 900*time.Millisecond {
			t.Errorf("%s: after %v", name, took)
		}
		if answer.Code != c.status || !strings.Contains(answer.Body.String(), `"missing":["nats","postgresql"`) {
			t.Errorf("%s: %d %s", name, answer.Code, answer.Body)
		}
	}
}
