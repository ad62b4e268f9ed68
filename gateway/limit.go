package gateway

import (
	"errors"

	"github.com/valyala/fasthttp"
)

var errFull = errors.New("the gateway answers as many requests at once as it may; nothing was changed, try again")

// Limited answers 503, before anything is changed, to requests that come while h is
// answering n others. It bounds what a gateway holds in memory while a server behind it
// is slow; a request that is taken on is never dropped.
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
