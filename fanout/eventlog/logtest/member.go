package logtest

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"skein/fanout/eventlog"
)

// member is a member of a group whose partitions the test uses itself.
type member struct {
	scene  *scene
	cancel context.CancelFunc
	done   chan error

	mu struct {
		sync.Mutex
		owned   map[int]eventlog.Partition
		changed chan struct{} // closed at each change
	}
}

// join starts Consume; its handles hand their partition to the test, and return
// when they must.
func (s *scene) join(group string) *member {
	ctx, cancel := context.WithCancel(s.ctx)
	m := &member{scene: s, cancel: cancel, done: make(chan error, 1)}
	m.mu.owned, m.mu.changed = map[int]eventlog.Partition{}, make(chan struct{})
	go func() { m.done <- s.log.Consume(ctx, group, s.topic, m.hold) }()
	return m
}

func (m *member) hold(ctx context.Context, p eventlog.Partition) error {
	m.set(p.ID(), p)
	<-ctx.Done()
	m.set(p.ID(), nil)
	return ctx.Err()
}

func (m *member) set(id int, p eventlog.Partition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.owned[id] = p; p == nil {
		delete(m.mu.owned, id)
	}
	close(m.mu.changed)
	m.mu.changed = make(chan struct{})
}

// owns waits until the member's partitions satisfy ok, and returns them.
func (m *member) owns(what string, ok func(map[int]eventlog.Partition) bool) map[int]eventlog.Partition {
	m.scene.Helper()
	for {
		m.mu.Lock()
		owned, changed := maps.Clone(m.mu.owned), m.mu.changed
		m.mu.Unlock()
		if ok(owned) {
			return owned
		}
		select {
		case <-changed:
		case <-m.scene.ctx.Done():
			m.scene.Fatalf("the member never had %s; it has %d partitions", what, len(owned))
		}
	}
}

func (m *member) ownsAll(n int) map[int]eventlog.Partition {
	m.scene.Helper()
	return m.owns(fmt.Sprintf("%d partitions", n), func(o map[int]eventlog.Partition) bool { return len(o) == n })
}

// partition waits for one partition.
func (m *member) partition(id int) eventlog.Partition {
	m.scene.Helper()
	return m.owns(fmt.Sprintf("partition %d", id), func(o map[int]eventlog.Partition) bool { return o[id] != nil })[id]
}

// leave ends Consume, which has no error to return.
func (m *member) leave() {
	m.scene.Helper()
	m.cancel()
	must(m.scene, m.ended())
}

// ended waits for Consume to return.
func (m *member) ended() error {
	m.scene.Helper()
	select {
	case err := <-m.done:
		return err
	case <-time.After(patience):
		m.scene.Fatalf("Consume did not return")
		return nil
	}
}
