package gateway

import (
	"errors"

	"github.com/valyala/fasthttp"
)

var errFull = errors.New("the gateway answers as many requests at once as it may; nothing was changed, try again")

// Limited refuses what comes while h answers n requests already, with 503 and
// before anything is changed. It bounds what a gateway holds in memory while a
// server behind it is slow; what is taken on is never dropped.
func Limited(n int, h fasthttp.RequestHandler) fasthttp.RequestHandler {
	places := make(chan struct{}, n)
	return func(r *fasthttp.RequestCtx) {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
			h(r)
		default:
			writeProblem(r, plainProblem(fasthttp.StatusServiceUnavailable, errFull))
		}
	}
}
