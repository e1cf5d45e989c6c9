package server_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"skein/feed/policy"
	"skein/feed/server"
	feedv1 "skein/proto/feed/v1"
)

// race reads while something else happens, slowly enough for it to fall anywhere
// between the steps of a page, a rebuild or a fold.
func (m *machine) race(t *rapid.T, viewer int64, act func()) {
	size := pageSize(t)
	before := m.visible(viewer)
	owed := m.owed(viewer, before)
	m.faults.scan.Store(int64(500 * time.Millisecond))
	type result struct {
		scrolled
		error
	}
	done := make(chan result, 1)
	go func() {
		got, err := m.scroll(viewer, size)
		done <- result{got, err}
	}()
	time.Sleep(time.Duration(rapid.IntRange(0, 2000).Draw(t, "into the read, ms")) * time.Millisecond)
	act()
	got := <-done
	m.faults.scan.Store(0)
	after := m.visible(viewer)
	may := slices.Concat(before, after)
	slices.SortFunc(may, func(a, b int64) int { return cmp.Compare(b, a) })
	owed = slices.DeleteFunc(owed, func(id int64) bool { return !has(after, id) })
	must(m, got.error)
	must(m, got.judge(may, owed))
}

// blink acts while the timelines are down for a moment, between two reads: copies
// made before it must not show after it (T4).
func (m *machine) blink(t *rapid.T, viewer int64) {
	m.check(viewer, 50)
	down := m.faults.timelines.down.Swap(true)
	author := viewer%stackUsers + 1
	if m.follows[[2]int64{viewer, author}] {
		m.unfollow(viewer, author)
	} else {
		m.follow(viewer, author)
	}
	m.faults.timelines.down.Store(down)
	m.check(viewer, pageSize(t))
}

func pageSize(t *rapid.T) int32 { return rapid.SampledFrom([]int32{1, 2, 3, 10, 50}).Draw(t, "size") }

var stackSettings = []policy.Settings{
	{Mode: policy.Push, LoudAt: 1},
	{Mode: policy.Pull, LoudAt: 1},
	{Mode: policy.Hybrid, LoudAt: 2},
	{Mode: policy.Hybrid, LoudAt: 4},
	{Mode: policy.Hybrid, LoudAt: crowd},
}

// userActions and stackActions are what may happen. Rapid draws the first of a
// list more often than the last.
var (
	userActions  = strings.Fields("post follow post delete unfollow retry evict")
	stackActions = slices.Concat(strings.Fields("post read lag-bound wait slow-timelines race log slow-log timelines settings blink expire crash settle"),
		userActions, userActions)
)

func (m *machine) step(t *rapid.T) {
	user := rapid.Int64Range(1, stackUsers)
	action := rapid.SampledFrom(stackActions).Draw(t, "action")
	m.events[action]++
	switch action {
	case "read":
		m.check(user.Draw(t, "viewer"), pageSize(t))
	case "wait":
		time.Sleep(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond)
	case "lag-bound":
		time.Sleep(server.DefaultLagBound + time.Millisecond)
		size := pageSize(t)
		for viewer := int64(1); viewer <= stackUsers; viewer++ {
			m.check(viewer, size)
		}
	case "expire":
		time.Sleep(idle + time.Second)
	case "crash":
		m.crash(rapid.IntRange(0, 100).Draw(t, "percent of what is not synced"), rapid.Uint64().Draw(t, "seed"))
	case "settings":
		m.settings(rapid.SampledFrom(stackSettings).Draw(t, "settings"))
	case "log":
		m.toggle(t, &m.faults.log)
	case "timelines":
		m.toggle(t, &m.faults.timelines)
	case "slow-log":
		m.slow(t, &m.faults.log)
	case "slow-timelines":
		m.slow(t, &m.faults.timelines)
	case "race":
		viewer := user.Draw(t, "viewer")
		if rapid.Bool().Draw(t, "rebuild") {
			m.evict(viewer)
		}
		m.race(t, viewer, func() { m.act(t, rapid.SampledFrom(userActions).Draw(t, "meanwhile")) })
	case "blink":
		m.blink(t, user.Draw(t, "viewer"))
	case "settle":
		m.settle()
	default:
		m.act(t, action)
	}
}

// act is something that a user does, or that happens to a timeline.
func (m *machine) act(t *rapid.T, action string) {
	a := rapid.Int64Range(1, stackUsers).Draw(t, "a")
	b := (a+rapid.Int64Range(0, stackUsers-2).Draw(t, "to b"))%stackUsers + 1 // another
	switch {
	case action == "post":
		m.post(a)
	case action == "evict":
		m.evict(a)
	case action == "follow":
		m.follow(a, b)
	case action == "unfollow":
		m.unfollow(a, b)
	case len(m.posts) == 0:
	case action == "delete":
		if p := rapid.SampledFrom(m.posts).Draw(t, "post"); !p.deleted {
			m.delete(p)
		}
	case action == "retry":
		p := rapid.SampledFrom(m.posts).Draw(t, "post")
		if id := m.create(p); id != p.id {
			m.Fatalf("W3: the retry of post %d is post %d", p.id, id)
		}
	}
}

func (m *machine) toggle(t *rapid.T, f *fault) {
	f.late.Store(rapid.Bool().Draw(t, "late"))
	f.down.Store(!f.down.Load())
}

func (m *machine) slow(t *rapid.T, f *fault) {
	f.slow.Store(int64(rapid.SampledFrom([]time.Duration{2 * time.Second, 10 * time.Second, 100 * time.Millisecond, 0}).Draw(t, "slow")))
}

// W2 to W4, T1 to T7, F1 to F3: the whole stack against a brute-force model,
// whatever happens in whatever order. Each read shows nothing that is not
// visible, nothing twice, newest first, all that is older than the lag bound,
// and the viewer's own acts at once; when all is quiet, exactly what is visible.
func TestStackAgainstModel(t *testing.T) {
	steps, runs := 100, 100
	if testing.Short() {
		// Under the race detector Pebble checks its invariants, slowly.
		steps, runs = 25, 6
	}
	sources, events, taken := map[feedv1.Source]int{}, map[string]int{}, 0
	rapid.Check(t, func(rt *rapid.T) {
		if runs--; runs < 0 && testing.Short() {
			return
		}
		bubbled(t, rt, func(b tb) {
			m := newMachine(b, rapid.SampledFrom([]int{2, 5, 800}).Draw(rt, "cap"))
			m.sources, m.events = sources, events
			for range steps {
				m.step(rt)
				taken++
			}
			m.settle()
		})
	})
	t.Logf("%d steps: %v; posts on pages: %v", taken, events, sources)
	if testing.Short() || t.Failed() {
		return
	}
	if taken < 10_000 {
		t.Errorf("%d steps were taken, want 10,000", taken)
	}
	for source := feedv1.Source_SOURCE_PUSHED; source <= feedv1.Source_SOURCE_OWN; source++ {
		if sources[source] == 0 {
			t.Errorf("no post was ever %v: the test does not reach what it is for", source)
		}
	}
}
