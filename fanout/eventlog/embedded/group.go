package embedded

import (
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// group is a group's place in one topic. topic.mu guards all of it.
//
// A partition has a target, the member that should have it, and an owner, the
// member whose handle runs for it. Joining and leaving change targets at once.
// An owner follows when its handle has returned, never before:
//
//	free ── target claims ──► owned ── handle returned ──► free
//	                            │
//	                target changed: revoke, and wait
//
// Nobody moves an owner but the member itself. All others only poke it.
type group struct {
	name      string
	committed []int64
	members   []*member
	owners    []*member
}

// member is one call of Consume.
type member struct {
	changed chan struct{} // has one element when targets or owners changed
}

func (m *member) poke() {
	select {
	case m.changed <- struct{}{}:
	default: // it has been told already
	}
}

// target is who should own a partition; nil in a group without members.
func (g *group) target(partition int) *member {
	if len(g.members) == 0 {
		return nil
	}
	return g.members[partition%len(g.members)]
}

// group returns the group of that name, and makes it if needed, at the floors.
// The caller holds t.mu, or nobody else knows the topic yet.
func (t *topic) group(name string) *group {
	g := t.mu.groups[name]
	if g == nil {
		g = &group{name: name, committed: t.floors(), owners: make([]*member, len(t.tails))}
		t.mu.groups[name] = g
	}
	return g
}

// floors is where a group begins. The caller holds t.mu.
func (t *topic) floors() []int64 {
	floors := make([]int64, len(t.mu.partitions))
	for i, p := range t.mu.partitions {
		floors[i] = p.floor
	}
	return floors
}

// register makes a group that lasts, at the floors, so that what it has not
// read is kept from now on. It does nothing if the group exists.
func (l *Log) register(t *topic, name string) error {
	t.order.Lock()
	t.mu.Lock()
	known, floors := t.mu.groups[name] != nil, t.floors()
	t.mu.Unlock()
	if known {
		t.order.Unlock()
		return nil
	}
	batch := l.db.NewBatch()
	for i, floor := range floors {
		l.put(batch, t, i, name, floor)
	}
	err := l.apply(batch)
	if err == nil {
		t.mu.Lock()
		t.group(name)
		t.mu.Unlock()
	}
	t.order.Unlock()
	if err != nil {
		return err
	}
	return l.wait(batch)
}

// put adds a committed offset to a batch. Errors of a batch without an index are
// errors of its commit.
func (l *Log) put(batch *pebble.Batch, t *topic, partition int, group string, offset int64) {
	_ = batch.Set(commitKey(t.id, partition, group), offsetValue(offset), nil)
}

// join adds a member, and tells the others.
func (t *topic) join(g *group) *member {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := &member{changed: make(chan struct{}, 1)}
	g.members = append(g.members, m)
	for _, other := range g.members {
		other.poke()
	}
	return m
}

// leave takes a member's targets away. It still owns what its handles run for.
func (t *topic) leave(g *group, m *member) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g.members = slices.DeleteFunc(g.members, func(other *member) bool { return other == m })
	for _, other := range g.members {
		other.poke()
	}
}

// claim makes a member the owner of the free partitions that it should have, and
// returns them with their committed offsets. lost are those that it owns and
// should not have any more.
func (t *topic) claim(g *group, m *member) (got map[int]int64, lost []int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	got = map[int]int64{}
	for p, owner := range g.owners {
		switch target := g.target(p); {
		case owner == nil && target == m:
			g.owners[p] = m
			got[p] = g.committed[p]
		case owner == m && target != m:
			lost = append(lost, p)
		}
	}
	return got, lost
}

// release frees a partition whose handle has returned.
func (t *topic) release(g *group, partition int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g.owners[partition] = nil
	if m := g.target(partition); m != nil {
		m.poke()
	}
}
