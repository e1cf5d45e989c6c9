package feed

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Grant is a lease of id time: the holder alone may give out ids of Node whose
// time lies in [From, Until). Storage grants an interval of a node once and
// never again, so that a process which slept through the end of its lease can
// do no harm: the ids that it still may give are its own for ever.
type Grant struct {
	Node        uint16
	From, Until time.Time
}

// Granter hands out grants. Of a node, no two grants overlap.
type Granter interface {
	// Grant leases the next interval of id time. Until is a few seconds ahead
	// of storage's clock. feed.CodeExhausted: every node is leased.
	Grant(ctx context.Context) (Grant, error)
}

// IDs gives out post ids under grants. It is safe for concurrent use. The zero
// value is not usable; call NewIDs.
type IDs struct {
	granter Granter
	clock   Clock

	// renewing serialises renewals, so that a crowd of callers asks for one
	// grant. It is a channel and not a mutex since a renewal is I/O and a
	// caller must be able to leave.
	renewing chan struct{}

	mu struct {
		sync.Mutex
		grant    Grant
		ms       int64 // time of the last id given, in ms since Epoch
		sequence int64 // sequence of the last id given
	}
}

// NewIDs returns a generator that leases from granter.
func NewIDs(granter Granter, clock Clock) *IDs {
	return &IDs{granter: granter, clock: clock, renewing: make(chan struct{}, 1)}
}

// errOutside: this process's clock is far from the one by which grants are made.
var errOutside = errors.New("the clock is outside the time that was just leased")

// Next returns an id greater than any that this generator gave before. It asks
// for a new grant when the present one is spent, and returns that call's error. It
// asks once: a clock that no grant reaches must not lease every node there is.
func (g *IDs) Next(ctx context.Context) (PostID, error) {
	const doing = "take a post id"
	if id, ok := g.take(); ok {
		return id, nil
	}
	select {
	case g.renewing <- struct{}{}:
		defer func() { <-g.renewing }()
	case <-ctx.Done():
		return 0, Unavailable(doing, ctx.Err())
	}
	// Another caller may have renewed meanwhile.
	if id, ok := g.take(); ok {
		return id, nil
	}
	if err := g.renew(ctx); err != nil {
		return 0, err
	}
	id, ok := g.take()
	if !ok {
		return 0, Unavailable(doing, errOutside)
	}
	return id, nil
}

// take gives the next id of the present grant, if it has one for this moment.
func (g *IDs) take() (PostID, bool) {
	now := g.clock()
	g.mu.Lock()
	defer g.mu.Unlock()
	from := max(now.Sub(Epoch).Milliseconds(), ceilMillis(g.mu.grant.From))
	ms, sequence := g.mu.ms, g.mu.sequence+1
	if from > ms {
		ms, sequence = from, 0
	} else if sequence == 1<<sequenceBits {
		ms, sequence = ms+1, 0
	}
	// Strictly inside: the last millisecond must end before Until does.
	if ms+1 > g.mu.grant.Until.Sub(Epoch).Milliseconds() {
		return 0, false
	}
	g.mu.ms, g.mu.sequence = ms, sequence
	return idOf(ms, g.mu.grant.Node, sequence), true
}

func (g *IDs) renew(ctx context.Context) error {
	grant, err := g.granter.Grant(ctx)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.grant = grant
	return nil
}

// ceilMillis is t in milliseconds since Epoch, rounded up; 0 before Epoch.
func ceilMillis(t time.Time) int64 {
	d := t.Sub(Epoch)
	if d <= 0 {
		return 0
	}
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}
