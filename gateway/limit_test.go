package gateway_test

import (
	"net/http"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/savepoint-games/savepoint/gateway"
)

// Beyond the limit a request is refused at once, and those that were taken on
// are answered.
func TestRequestsBeyondTheLimitAreRefusedUnread(t *testing.T) {
	t.Parallel()
	const limit = 3
	entered, leave := make(chan struct{}), make(chan struct{})
	server := serve(t, gateway.Limited(limit, func(*fasthttp.RequestCtx) {
		entered <- struct{}{}
		<-leave
	}))
	get := func() int {
		r, err := http.Get(server.URL)
		if err != nil {
			t.Error(err)
			return 0
		}
		_ = r.Body.Close()
		return r.StatusCode
	}
	answers := make(chan int, limit)
	for range limit {
		go func() { answers <- get() }()
	}
	for range limit {
		<-entered
	}
	if status := get(); status != http.StatusServiceUnavailable {
		t.Errorf("one too many: %d", status)
	}
	close(leave)
	for range limit {
		if status := <-answers; status != http.StatusOK {
			t.Errorf("one that was taken on: %d", status)
		}
	}
	go func() { <-entered }()
	if status := get(); status != http.StatusOK {
		t.Errorf("when there is room again: %d", status)
	}
}
