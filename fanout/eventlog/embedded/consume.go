package embedded

import (
	"context"
	"errors"
	"fmt"

	"skein/fanout/eventlog"
)

// handler is what the caller of Consume gave.
type handler = func(context.Context, eventlog.Partition) error

// Consume implements eventlog.Log. Partitions are shared evenly between the
// members of this process. A handle that returns nil, or ErrRevoked, while its
// partition is still the member's is called again, from the committed offset.
// When the log is closed or has failed, Consume ends with that error.
//
// When ctx ends, a handle may still commit what it has done until it returns.
// After a revocation it may not.
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

	if err := l.register(t, group); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.live, cancel)()

	t.mu.Lock()
	g := t.group(group)
	t.mu.Unlock()
	c := &consumer{
		log: l, topic: t, group: g, member: t.join(g), handle: handle,
		running: map[int]context.CancelCauseFunc{}, ended: make(chan ending),
	}
	if err := c.run(ctx); err != nil {
		return err
	}
	return context.Cause(l.live)
}

// consumer is one call of Consume at work. Its fields belong to the goroutine of
// the call.
type consumer struct {
	log    *Log
	topic  *topic
	group  *group
	member *member
	handle handler

	running map[int]context.CancelCauseFunc // ends the handle of a partition
	ended   chan ending
}

// ending is what became of a handle.
type ending struct {
	partition int
	err       error
}

// run starts and revokes handles until ctx ends or one of them fails; then it
// gives up its targets and waits for all handles.
func (c *consumer) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var first error
	stop, stopped := ctx.Done(), false
	for {
		if ctx.Err() != nil && !stopped {
			c.topic.leave(c.group, c.member)
			stop, stopped = nil, true
		}
		if !stopped {
			c.adjust(ctx)
		} else if len(c.running) == 0 {
			return first
		}
		select {
		case <-stop:
		case <-c.member.changed:
		case e := <-c.ended:
			c.running[e.partition](nil)
			delete(c.running, e.partition)
			c.topic.release(c.group, e.partition)
			if e.err != nil && first == nil {
				first = e.err
				cancel()
			}
		}
	}
}

// adjust revokes what the member lost, and starts handles for what it got. It is
// not called once the member stops: then the handles end by their context, and
// are not revoked.
func (c *consumer) adjust(ctx context.Context) {
	got, lost := c.topic.claim(c.group, c.member)
	for _, p := range lost {
		c.running[p](eventlog.ErrRevoked)
	}
	for p, offset := range got {
		ctx, cancel := context.WithCancelCause(ctx)
		c.running[p] = cancel
		go c.serve(ctx, &assigned{log: c.log, topic: c.topic, group: c.group, id: p, ctx: ctx, next: offset})
	}
}

// serve runs one handle. The partition is of no use to anybody afterwards.
func (c *consumer) serve(ctx context.Context, p *assigned) {
	err := c.handle(ctx, p)
	p.over.Store(true)
	if errors.Is(err, eventlog.ErrRevoked) || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil
	}
	c.ended <- ending{partition: p.id, err: err}
}
