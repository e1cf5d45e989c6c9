package timelinetest

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"skein/feed"
	"skein/timeline"
)

var modelCases = []testCase{
	{name: "T1/Model", run: againstModel},
}

const (
	modelCap     = 16
	modelPosts   = 60 // a good deal more than the cap
	modelViewers = 3
)

// againstModel runs random calls on the store and on a map, and compares what
// can be read after each. rapid prints the seed and the shortest sequence of
// calls that fails. One store serves all sequences, with viewers of their own.
func againstModel(t *testing.T, e Engine) {
	p := open(t, e, Options{Cap: modelCap})
	first := feed.UserID(1)
	acts := map[uint64]bool{0: true}
	tokens := map[timeline.Token]bool{}
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{T: rt, probe: p.on(rt), acts: acts, tokens: tokens}
		for i := range m.timelines {
			m.timelines[i].viewer = first
			first++
		}
		defer func() {
			for _, tl := range m.timelines {
				p.store.Drop(p.ctx, tl.viewer)
			}
		}()
		rt.Repeat(map[string]func(*rapid.T){
			"":         func(*rapid.T) { m.compare() },
			"create":   func(*rapid.T) { m.create() },
			"finish":   func(*rapid.T) { m.finish() },
			"fold":     func(*rapid.T) { m.fold() },
			"deliver":  func(*rapid.T) { m.deliver() },
			"deliver2": func(*rapid.T) { m.deliver() }, // twice as often
			"drop":     func(*rapid.T) { m.drop() },
			"announce": func(*rapid.T) { m.announce() },
			"page":     func(*rapid.T) { m.page() },
		})
	})
}

// model is a store of three timelines that forgets nothing of its own accord.
type model struct {
	*rapid.T
	probe
	timelines [modelViewers]modelled
	acts      map[uint64]bool // every value read
	tokens    map[timeline.Token]bool
}

// modelled is what must be there of one timeline.
type modelled struct {
	viewer feed.UserID
	state  timeline.State
	timeline.Header
	old     timeline.Token
	entries map[feed.PostID]sources
	renewed bool // its acts must be new at the next look
}

// sources are the ways by which an entry was given.
type sources struct{ delivered, rebuilt bool }

func (m *model) Helper()                   { m.T.Helper() }
func (m *model) Fatalf(f string, a ...any) { m.T.Fatalf(f, a...) }

// compare holds the store against the model. A bottom may rise only by the cap:
// to a post that was given, with as many above it as are to be kept.
func (m *model) compare() {
	for i := range m.timelines {
		tl := &m.timelines[i]
		page := m.readPage(timeline.Query{Viewer: tl.viewer, Before: feed.MaxPostID, Limit: all, Life: tl.Life})
		if page.State != tl.state {
			m.Fatalf("timeline of %d: state %d, want %d", tl.viewer, page.State, tl.state)
		}
		m.compareActs(tl, page.Acts)
		other := m.readPage(timeline.Query{Viewer: tl.viewer, Before: feed.MaxPostID, Limit: all, Life: tl.Life + 9})
		if other.State != timeline.Absent || other.Acts != 0 {
			m.Fatalf("in another life the timeline of %d has state %d, acts %d", tl.viewer, other.State, other.Acts)
		}
		if tl.state == timeline.Live {
			m.compareLive(tl, page)
		}
	}
}

func (m *model) compareActs(tl *modelled, acts uint64) {
	if (acts == 0) != (tl.state == timeline.Absent) {
		m.Fatalf("acts %d in state %d", acts, tl.state)
	}
	if tl.renewed && m.acts[acts] {
		m.Fatalf("acts %d were read before the act", acts)
	}
	tl.renewed = false
	m.acts[acts] = true
}

func (m *model) compareLive(tl *modelled, page timeline.Page) {
	if page.Bottom != tl.Bottom {
		_, given := tl.entries[page.Bottom]
		if page.Bottom < tl.Bottom || !given || len(page.Entries) < modelCap {
			m.Fatalf("timeline of %d: bottom went from %d to %d, with %d entries above it",
				tl.viewer, m.number(tl.Bottom), m.number(page.Bottom), len(page.Entries))
		}
		tl.Bottom = page.Bottom
	}
	if page.Header != tl.Header {
		m.Fatalf("header %+v, want %+v", page.Header, tl.Header)
	}
	if n := len(page.Entries); n > modelCap+modelCap/4 {
		m.Fatalf("a timeline capped at %d holds %d", modelCap, n)
	}
	var want []int
	for id := range tl.entries {
		if id > tl.Bottom {
			want = append(want, m.number(id))
		}
	}
	slices.Sort(want)
	slices.Reverse(want)
	if got := m.numbers(page.Entries); !slices.Equal(got, want) {
		m.Fatalf("timeline of %d: %v, want %v above %d", tl.viewer, got, want, m.number(tl.Bottom))
	}
	for _, e := range page.Entries {
		if s := tl.entries[e.ID()]; e.IsRebuilt() && !s.rebuilt || !e.IsRebuilt() && !s.delivered {
			m.Fatalf("entry %d: rebuilt %v, given %+v", m.number(e.ID()), e.IsRebuilt(), s)
		}
	}
}

func (m *model) draw(label string, from, to int) int {
	return rapid.IntRange(from, to).Draw(m.T, label)
}

func (m *model) one() *modelled { return &m.timelines[m.draw("viewer", 0, modelViewers-1)] }

// anyToken is the timeline's, or that of the building before, or one too many.
func (m *model) anyToken(tl *modelled) timeline.Token {
	switch m.draw("token", 0, 5) {
	case 0:
		return tl.old
	case 1:
		return tl.Token + 1_000_000
	default:
		return tl.Token
	}
}

func (m *model) posts(label string) []int {
	return rapid.SliceOfNDistinct(rapid.IntRange(1, modelPosts), 0, 24, rapid.ID[int]).Draw(m.T, label)
}

// give adds an entry, from storage or delivered.
func (tl *modelled) give(id feed.PostID, s sources) {
	if id > tl.Bottom {
		had := tl.entries[id]
		tl.entries[id] = sources{delivered: had.delivered || s.delivered, rebuilt: had.rebuilt || s.rebuilt}
	}
}

func (m *model) create() {
	tl := m.one()
	life := uint64(m.draw("life", 1, 2))
	token, ok := m.tryCreate(tl.viewer, life)
	if want := tl.state != timeline.Building || tl.Life != life; ok != want {
		m.Fatalf("Create: %v, want %v", ok, want)
	}
	if !ok {
		return
	}
	if m.tokens[token] {
		m.Fatalf("Create gave token %d twice", token)
	}
	m.tokens[token] = true
	*tl = modelled{
		viewer: tl.viewer, state: timeline.Building, old: tl.Token, renewed: true,
		Header: timeline.Header{Token: token, Life: life}, entries: map[feed.PostID]sources{},
	}
}

func (m *model) finish() {
	tl, bottom, posts := m.one(), m.draw("bottom", 0, 30), m.posts("scan")
	token, version := m.anyToken(tl), uint64(m.draw("version", 1, 3))
	posts = slices.DeleteFunc(posts, func(n int) bool { return n <= bottom })
	slices.Sort(posts)
	slices.Reverse(posts)
	ok, err := m.store.Finish(m.ctx, tl.viewer, token, m.rebuilt(posts...), m.post(bottom), version)
	if want := tl.state == timeline.Building && token == tl.Token; err != nil || ok != want {
		m.Fatalf("Finish: %v, %v; want %v", ok, err, want)
	}
	if !ok {
		return
	}
	tl.state, tl.FollowVersion, tl.Bottom = timeline.Live, version, m.post(bottom)
	for _, n := range posts {
		tl.give(m.post(n), sources{rebuilt: true})
	}
}

func (m *model) fold() {
	tl, posts := m.one(), m.posts("folded")
	token, old, next := m.anyToken(tl), uint64(m.draw("old", 1, 3)), uint64(m.draw("next", 1, 3))
	if m.draw("right version", 0, 2) > 0 {
		old = tl.FollowVersion
	}
	ok := m.probe.fold(tl.viewer, token, old, next, posts...)
	if want := tl.state == timeline.Live && token == tl.Token && old == tl.FollowVersion; ok != want {
		m.Fatalf("Fold: %v, want %v", ok, want)
	}
	if !ok {
		return
	}
	tl.FollowVersion = next
	for _, n := range posts {
		tl.give(m.post(n), sources{rebuilt: true})
	}
}

func (m *model) deliver() {
	var deliveries []timeline.Delivery
	var misses int64
	for _, n := range m.posts("delivered") {
		d := timeline.Delivery{Post: m.post(n)}
		for range m.draw("viewers", 1, modelViewers) {
			tl := m.one()
			d.Viewers = append(d.Viewers, tl.viewer)
			if tl.state == timeline.Absent {
				misses++
				continue
			}
			tl.give(d.Post, sources{delivered: true})
		}
		deliveries = append(deliveries, d)
	}
	if out := m.deliverAll(deliveries...); out.Misses != misses {
		m.Fatalf("Deliver: %d misses, want %d", out.Misses, misses)
	}
}

func (m *model) drop() {
	tl := m.one()
	m.probe.drop(tl.viewer)
	*tl = modelled{viewer: tl.viewer, old: tl.Token}
}

func (m *model) announce() {
	tl := m.one()
	m.probe.announce(timeline.Act{Viewer: tl.viewer})
	tl.renewed = tl.state != timeline.Absent
}

// page holds a page against the whole timeline.
func (m *model) page() {
	tl := m.one()
	before, limit := m.post(m.draw("before", 0, modelPosts+1)), m.draw("limit", 1, 20)
	q := timeline.Query{Viewer: tl.viewer, Before: before, Limit: limit, Life: tl.Life}
	page := m.readPage(q)
	q.Before, q.Limit = feed.MaxPostID, all
	whole := m.readPage(q)
	want := slices.DeleteFunc(whole.Entries, func(e timeline.Entry) bool { return e.ID() >= before })
	floor := whole.Bottom + 1
	if len(want) > limit {
		want = want[:limit]
		floor = want[limit-1].ID()
	}
	if page.State == timeline.Live && (!slices.Equal(page.Entries, want) || page.Floor != floor) {
		m.Fatalf("%d below %d: %v down to %d; want %v down to %d",
			limit, m.number(before), m.numbers(page.Entries), page.Floor, m.numbers(want), floor)
	}
}
