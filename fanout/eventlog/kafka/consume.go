package kafka

import (
	"context"
	"fmt"
	"sync"
	"time"

	"skein/fanout/eventlog"
)

const (
	// sessionTimeout is how long after its death the partitions of a member are
	// nobody's. Kafka takes no less than 6 s by default.
	sessionTimeout = 8 * time.Second
	// heartbeatEvery is how soon a member learns that another joined or left, and
	// that Kafka is back; an answer may take heartbeatPatience.
	heartbeatEvery    = 500 * time.Millisecond
	heartbeatPatience = time.Second
	// trust is how long after its last heartbeat a member takes its partitions
	// for its own. Its handles have the rest of sessionTimeout to return.
	trust = sessionTimeout / 2
	// drainTimeout is how long a rebalance waits for handles to return. Who is
	// slower is fenced: its work is repeated by others.
	drainTimeout = 15 * time.Second
)

// handler is what the caller of Consume gave.
type handler = func(context.Context, eventlog.Partition) error

// Consume implements eventlog.Log. A handle that returns nil, or ErrRevoked, or the
// feed.CodeUnavailable of its last Commit, while its partition is still the member's
// is called again, from the committed offset. Consume outlasts every failure of Kafka: it tries again until ctx ends,
// and remains a member of the group as long as Kafka lets it.
//
// At each change of the membership Kafka takes all partitions from all members
// (the eager protocol). A handle has drainTimeout to return then, and may commit
// until it does; whoever is slower finds itself fenced, with ErrRevoked.
func (l *Log) Consume(ctx context.Context, group, topic string, handle func(context.Context, eventlog.Partition) error) error {
	if group == "" {
		return fmt.Errorf("event log: a group of topic %q has no name", topic)
	}
	t, err := l.topic(topic)
	if err != nil {
		return err
	}
	l.mu.Lock()
	if l.mu.closing {
		l.mu.Unlock()
		return errClosed
	}
	l.consumers.Add(1)
	l.mu.Unlock()
	defer l.consumers.Done()
	if ctx.Err() != nil {
		return nil
	}

	c := &consumer{log: l, topic: t, name: group, group: l.group(group, topic), handle: handle}
	c.ctx, c.end = context.WithCancel(ctx)
	defer c.end()
	defer context.AfterFunc(l.live, c.end)()
	if err := c.run(); err != nil {
		return err
	}
	if l.live.Err() != nil {
		return errClosed
	}
	return nil
}

// consumer is one call of Consume at work.
type consumer struct {
	log    *Log
	topic  *topic
	name   string
	group  string // its name in Kafka
	handle handler
	member
	ctx context.Context // ends with the call's context, at Close, and at the first error
	end context.CancelFunc

	first struct {
		sync.Once
		err error
	}
}

// fail keeps the first error and ends the others.
func (c *consumer) fail(err error) {
	c.first.Do(func() { c.first.err = err })
	c.end()
}

// run takes part in one generation of the group after the other. All handles
// have returned when it leaves the group.
func (c *consumer) run() error {
	defer c.leave()
	warned := false
	for pause := newPause(); c.ctx.Err() == nil; {
		committed, err := c.enter()
		if err == nil {
			pause, warned = newPause(), false
			c.serve(committed)
			continue
		}
		if lasts := pause.next == maxPause; lasts && !warned && c.ctx.Err() == nil {
			c.log.logger.Warn("cannot join a group of the event log; trying again", "group", c.group, "at", c.log.address.String(), "err", err)
			warned = true
		}
		pause.wait(c.ctx)
	}
	return c.first.err
}
