package kafka

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"skein/fanout/eventlog"
)

// generation is what this member was given until the group's next change:
//
//	joined ─► handles run ─► told to stop ─► all have returned ─► join again, or leave
//	                │              │
//	                │              └ the driver's heartbeats have ended; ours go on,
//	                │                so that nobody else gets the partitions yet
//	                └ a change of the membership, a commit that was fenced: revoked;
//	                  the end of Consume: not revoked, the group is left afterwards
//
// The driver joins again only when the function given to Generation.Start has
// returned. That is what keeps a partition until its handle has returned.
type generation struct {
	*consumer
	*kafka.Generation
	ctx    context.Context // of the handles
	revoke context.CancelCauseFunc
}

// serve runs the handles of a generation and returns when all have returned.
func (c *consumer) serve(driver *kafka.Generation) {
	g := &generation{consumer: c, Generation: driver}
	g.ctx, g.revoke = context.WithCancelCause(c.ctx)
	defer g.revoke(nil)
	drained := make(chan struct{})
	driver.Start(func(alive context.Context) {
		// Start does not wait for a function of a generation that has ended
		// already; then the handles must not begin.
		if alive.Err() == nil {
			g.run(alive)
		}
		close(drained)
		if c.ctx.Err() != nil {
			<-alive.Done() // until the group is left: to return now is to join again
		}
	})
	<-drained
}

// run runs the handles until the generation ends, in Kafka (alive) or for us.
func (g *generation) run(alive context.Context) {
	var handles sync.WaitGroup
	for _, p := range g.Assignments[g.topic.name] {
		handles.Go(func() { g.keepHandling(p.ID, p.Offset) })
	}
	select {
	case <-alive.Done():
		g.revoke(eventlog.ErrRevoked)
	case <-g.ctx.Done():
	}
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		handles.Wait()
	}()
	tick := time.NewTicker(heartbeatEvery)
	defer tick.Stop()
	for {
		select {
		case <-returned:
			return
		case <-tick.C:
			if alive.Err() != nil {
				g.beat()
			}
		}
	}
}

// beat says that the member is alive while its handles return. Kafka answers
// that a rebalance goes on, which is known.
func (g *generation) beat() {
	ctx, cancel := context.WithTimeout(context.Background(), heartbeatEvery)
	defer cancel()
	_, err := g.log.client.Heartbeat(ctx, &kafka.HeartbeatRequest{
		GroupID: g.group, GenerationID: g.ID, MemberID: g.MemberID,
	})
	if err != nil {
		g.log.logger.Debug("kafka: heartbeat failed", "group", g.group, "err", err)
	}
}

// keepHandling calls handle for one partition until the handles' context ends.
func (g *generation) keepHandling(partition int, offset int64) {
	for g.ctx.Err() == nil {
		p := &assigned{generation: g, id: partition, next: offset, committed: offset}
		err := g.handle(g.ctx, p)
		p.over.Store(true)
		offset = p.committed
		ended := g.ctx.Err() != nil && errors.Is(err, g.ctx.Err())
		if err != nil && !ended && !errors.Is(err, eventlog.ErrRevoked) {
			g.fail(err)
		}
	}
}
