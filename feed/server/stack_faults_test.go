package server_test

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"skein/fanout/eventlog"
	"skein/feed"
	"skein/storage"
	"skein/timeline"
)

// faults is what ails the engines of a stack. It outlives crashes.
type faults struct {
	log, timelines fault
	// scan is how long a scan of storage takes before it begins and after it
	// has ended, in nanoseconds.
	scan atomic.Int64
}

// fault is the health of one engine.
type fault struct {
	down atomic.Bool
	// late: while it is down it does what it is told, and its answer is lost.
	late atomic.Bool
	// slow is how long each write takes to begin, in nanoseconds.
	slow atomic.Int64
}

func (f *fault) heal() {
	f.down.Store(false)
	f.late.Store(false)
	f.slow.Store(0)
}

var errFault = errors.New("switched off by the test")

// asked fails while the engine is down.
func (f *fault) asked() error {
	if f.down.Load() {
		return feed.Unavailable("ask an engine", errFault)
	}
	return nil
}

// told runs a write, slowly; while the engine is down its answer is an error,
// whether or not the write was done.
func (f *fault) told(ctx context.Context, write func() error) error {
	if err := pause(ctx, &f.slow); err != nil {
		return err
	}
	if f.down.Load() && !f.late.Load() {
		return f.asked()
	}
	return errors.Join(write(), f.asked())
}

func pause(ctx context.Context, nanos *atomic.Int64) error {
	select {
	case <-time.After(time.Duration(nanos.Load())):
		return nil
	case <-ctx.Done():
		return feed.Unavailable("wait for an engine", ctx.Err())
	}
}

type faultyPosts struct {
	storage.Posts
	faults *faults
}

func (p *faultyPosts) Newest(ctx context.Context, ranges []storage.Range, limit int) ([]feed.Ref, error) {
	if err := pause(ctx, &p.faults.scan); err != nil {
		return nil, err
	}
	refs, err := p.Posts.Newest(ctx, ranges, limit)
	return refs, errors.Join(err, pause(ctx, &p.faults.scan))
}

type faultyLog struct {
	eventlog.Log
	fault *fault
}

func (l *faultyLog) Append(ctx context.Context, topic string, records ...eventlog.Record) error {
	return l.fault.told(ctx, func() error { return l.Log.Append(ctx, topic, records...) })
}

func (l *faultyLog) Consume(ctx context.Context, group, topic string, handle func(context.Context, eventlog.Partition) error) error {
	if err := l.fault.asked(); err != nil {
		return err
	}
	return l.Log.Consume(ctx, group, topic, func(ctx context.Context, p eventlog.Partition) error {
		return handle(ctx, &faultyPartition{Partition: p, fault: l.fault})
	})
}

func (l *faultyLog) Pending(ctx context.Context, group, topic string) ([]eventlog.Pending, error) {
	if err := l.fault.asked(); err != nil {
		return nil, err
	}
	return l.Log.Pending(ctx, group, topic)
}

func (l *faultyLog) Read(ctx context.Context, topic string, partition int, offset int64, limit int) ([]eventlog.Record, error) {
	if err := l.fault.asked(); err != nil {
		return nil, err
	}
	return l.Log.Read(ctx, topic, partition, offset, limit)
}

func (l *faultyLog) Committed(ctx context.Context, group, topic string) ([]int64, error) {
	if err := l.fault.asked(); err != nil {
		return nil, err
	}
	return l.Log.Committed(ctx, group, topic)
}

type faultyPartition struct {
	eventlog.Partition
	fault *fault
}

func (p *faultyPartition) Fetch(ctx context.Context, limit int) (eventlog.Batch, error) {
	batch, err := p.Partition.Fetch(ctx, limit)
	return batch, errors.Join(err, p.fault.asked())
}

func (p *faultyPartition) Commit(ctx context.Context, offset int64) error {
	return p.fault.told(ctx, func() error { return p.Partition.Commit(ctx, offset) })
}

type faultyTimelines struct {
	timeline.Store
	fault *fault
}

func (s *faultyTimelines) Read(ctx context.Context, q timeline.Query) (timeline.Page, error) {
	if err := s.fault.asked(); err != nil {
		return timeline.Page{}, err
	}
	return s.Store.Read(ctx, q)
}

func (s *faultyTimelines) Create(ctx context.Context, viewer feed.UserID, life uint64) (timeline.Token, bool, error) {
	if err := s.fault.asked(); err != nil {
		return 0, false, err
	}
	return s.Store.Create(ctx, viewer, life)
}

func (s *faultyTimelines) Finish(ctx context.Context, viewer feed.UserID, token timeline.Token, entries []timeline.Entry, bottom feed.PostID, version uint64) (bool, error) {
	if err := s.fault.asked(); err != nil {
		return false, err
	}
	return s.Store.Finish(ctx, viewer, token, entries, bottom, version)
}

func (s *faultyTimelines) Fold(ctx context.Context, viewer feed.UserID, token timeline.Token, old, next uint64, entries []timeline.Entry) (bool, error) {
	if err := s.fault.asked(); err != nil {
		return false, err
	}
	return s.Store.Fold(ctx, viewer, token, old, next, entries)
}

func (s *faultyTimelines) Deliver(ctx context.Context, deliveries []timeline.Delivery) (outcome timeline.Outcome, err error) {
	err = s.fault.told(ctx, func() (err error) {
		outcome, err = s.Store.Deliver(ctx, deliveries)
		return err
	})
	return outcome, err
}

func (s *faultyTimelines) Barrier(ctx context.Context, mark timeline.Mark) error {
	return errors.Join(s.fault.asked(), s.Store.Barrier(ctx, mark))
}

func (s *faultyTimelines) Drop(ctx context.Context, viewers ...feed.UserID) error {
	if err := s.fault.asked(); err != nil {
		return err
	}
	return s.Store.Drop(ctx, viewers...)
}

// Announce may have told the store when it fails: the server then waits.
func (s *faultyTimelines) Announce(ctx context.Context, acts ...timeline.Act) error {
	if s.fault.down.Load() && !s.fault.late.Load() {
		return s.fault.asked()
	}
	return errors.Join(s.Store.Announce(ctx, acts...), s.fault.asked())
}
