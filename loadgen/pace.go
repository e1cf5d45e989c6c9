package loadgen

import (
	"context"
	"time"
)

// pace passes the calls of plan to the workers when they are due, until the
// plan ends or ctx does, and then closes calls. When no worker is free it waits:
// calls keep their due times, and are late. now is the time since the load
// began.
func pace(ctx context.Context, p *plan, now func() time.Duration, calls chan<- call) {
	defer close(calls)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for c, ok := p.next(); ok; c, ok = p.next() {
		if wait := c.due - now(); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return
			}
		}
		select {
		case calls <- c:
		case <-ctx.Done():
			return
		}
	}
}
