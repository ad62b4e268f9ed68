package gateway

import (
	"errors"
	"net/http"
)

var errFull = errors.New("the gateway answers as many requests at once as it may; nothing was changed, try again")

// Limited refuses what comes while h answers n requests already, with 503 and
// before anything is read or changed. It bounds what a gateway holds in memory
// while a server behind it is slow; what is taken on is never dropped.
func Limited(n int, h http.Handler) http.Handler {
	places := make(chan struct{}, n)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
			h.ServeHTTP(w, r)
		default:
			w.Header().Set("Retry-After", "1")
			writeProblem(w, plainProblem(http.StatusServiceUnavailable, errFull))
		}
	})
}
