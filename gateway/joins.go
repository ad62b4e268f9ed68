package gateway

import (
	"context"
	"errors"
)

// mostJoins is how many characters a gateway joins at once. Where thousands come at one
// moment, as after a loss of Redis, all joins that were begun would share what the servers
// can do, few would end within their deadline, and the others would be begun again
// (decision 18).
const mostJoins = 256

// errManyJoins means that a join was not begun, so that others can end.
var errManyJoins = errors.New("many characters are being loaded; try again")

// joins bounds those under way.
type joins chan struct{}

// beginJoin is joins.begin, counted.
func (s *Service) beginJoin(ctx context.Context) (end func(), err error) {
	if end, err = s.joins.begin(ctx); err != nil {
		s.Metrics.joinRefused()
	}
	return end, err
}

// begin waits for its place, in the order of the calls, for half of the time that ctx has
// left: a join that begins has the rest. The error is errManyJoins.
func (j joins) begin(ctx context.Context) (end func(), err error) {
	end = func() { <-j }
	select {
	case j <- struct{}{}:
		return end, nil
	default:
	}
	ctx, cancel := leavingHalf(ctx)
	defer cancel()
	select {
	case j <- struct{}{}:
		return end, nil
	case <-ctx.Done():
		return nil, errManyJoins
	}
}
