package kafka

import (
	"context"
	"errors"
	"sync"
	"time"

	"skein/fanout/eventlog"
)

// generation is what this member was given until the group's next change:
//
//	joined ─► handles run ─► told to stop ─► all have returned ─► join again, or leave
//	  ▲             │              │
//	  │             │              └ heartbeats go on, so that nobody else gets the
//	  │             │                partitions yet
//	  │             ├ a change of the membership, a commit that was fenced: revoked
//	  │             ├ the end of Consume: not revoked, the group is left afterwards
//	  │             └ no answer for as long as trust: revoked, as Kafka may think soon
//	  │               that the member is dead
//	  └ a heartbeat that is answered: the generation goes on, nobody else had a part of it
//
// While handles run, the goroutine of Consume waits for them in serve. So the next
// generation is joined when all handles of this one have returned.
type generation struct {
	*consumer
	memberID string
	number   int
	ctx      context.Context // of the handles
	revoke   context.CancelCauseFunc
}

// serve runs a handle for each partition of the generation, from where the group
// got to, until all have been told to stop and have returned.
func (c *consumer) serve(committed []position) {
	g := &generation{consumer: c, memberID: c.id, number: c.generation}
	g.ctx, g.revoke = context.WithCancelCause(c.ctx)
	defer g.revoke(nil)
	var handles sync.WaitGroup
	for _, p := range c.partitions {
		handles.Go(func() { g.keepHandling(p, committed[p]) })
	}
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		<-g.ctx.Done()
		handles.Wait()
	}()
	tick := time.NewTicker(heartbeatEvery)
	defer tick.Stop()
	for {
		select {
		case <-returned:
			return
		case <-tick.C:
		}
		err := c.beat(context.Background()) // also while the handles of a member that leaves return
		if fenced(err) || time.Since(c.seen) > trust {
			g.revoke(eventlog.ErrRevoked)
		}
	}
}

// keepHandling calls handle for one partition until the handles' context ends. That a
// commit could not be made is a failure of Kafka's, which a member outlasts.
func (g *generation) keepHandling(partition int, committed position) {
	pause := newPause()
	for g.ctx.Err() == nil {
		p := &assigned{generation: g, id: partition, next: committed, committed: committed}
		err := g.handle(g.ctx, p)
		p.over.Store(true)
		if committed != p.committed {
			committed, pause = p.committed, newPause()
		}
		if p.failed != nil && errors.Is(err, p.failed) {
			g.log.logger.Warn("cannot commit to the event log; handling again", "group", g.group, "partition", partition, "err", err)
			pause.wait(g.ctx)
			continue
		}
		ended := g.ctx.Err() != nil && errors.Is(err, g.ctx.Err())
		if err != nil && !ended && !errors.Is(err, eventlog.ErrRevoked) {
			g.fail(err)
		}
	}
}
