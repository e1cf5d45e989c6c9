package logtest

import (
	"context"
	"sync"
	"testing"

	"skein/fanout/eventlog"
)

// testClose: Close waits for the handles, which may commit until they return,
// and nothing works afterwards.
func testClose(t *testing.T, place Place) {
	topic, open := newTopic(2), place(t)
	log, err := open(topic)
	must(t, err)
	s := &scene{tb: t, log: log, topic: topic.Name, ctx: t.Context()}
	s.append("", 0, 20)

	var left sync.WaitGroup
	entered := make(chan struct{}, 2)
	consumed := make(chan struct{})
	go func() {
		defer close(consumed)
		// Its error, if any, says that the log was closed.
		_ = log.Consume(s.ctx, group, s.topic, func(ctx context.Context, p eventlog.Partition) error {
			left.Add(1)
			defer left.Done()
			got, err := s.read(p, 1, 1)
			try(s, err)
			entered <- struct{}{}
			<-ctx.Done()
			try(s, p.Commit(context.WithoutCancel(ctx), got[0].Offset+1))
			return nil
		})
	}()
	<-entered
	<-entered
	waiting := make(chan error, 1)
	go func() { waiting <- log.Consume(s.ctx, "idle", s.topic, s.wait) }()
	must(t, log.Close())
	left.Wait()
	<-consumed
	<-waiting
	must(t, log.Close())

	if err := log.Append(s.ctx, s.topic, record(0)); err == nil {
		t.Error("Append to a closed log succeeded")
	}
	if err := log.Consume(s.ctx, group, s.topic, s.wait); err == nil {
		t.Error("Consume of a closed log succeeded")
	}
	if _, err := log.Pending(s.ctx, group, s.topic); err == nil {
		t.Error("Pending of a closed log succeeded")
	}

	s.log, err = open(topic)
	must(t, err)
	if n := s.pending(group); n != 18 {
		t.Errorf("%d pending, want 18: two were committed while the log closed", n)
	}
	must(t, s.log.Close())
}

// wait is a handle that has nothing to do but Fetch what does not come.
func (s *scene) wait(ctx context.Context, p eventlog.Partition) error {
	for {
		if _, err := p.Fetch(ctx, 100); err != nil {
			return err
		}
	}
}
