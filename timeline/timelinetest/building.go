package timelinetest

import (
	"testing"
	"time"

	"skein/feed"
	"skein/timeline"
)

var buildingCases = []testCase{
	{name: "T7/CreateScanFinish", run: createScanFinish},
	{name: "T7/FenceAfterDrop", run: fenceAfterDrop},
	{name: "T7/FenceAfterTakeover", needsClock: true, run: fenceAfterTakeover},
	{name: "T7/FinishTwice", run: finishTwice},
	{name: "T7/OneBuilderAtATime", run: oneBuilder},
	{name: "T7/CreateOverLive", run: createOverLive},
	{name: "T7/AnotherLifeIsAbsent", run: anotherLife},
	{name: "T1/FinishJoinsDeliveries", run: finishJoins},
	{name: "T1/FinishKeepsTheHigherBottom", run: finishBottom},
	{name: "T6/CutWhileBuilding", run: cutWhileBuilding},
}

func createScanFinish(t *testing.T, e Engine) {
	p := open(t, e, Options{Cap: 100})
	p.isIn(1, timeline.Absent)
	token := p.create(1)
	p.isIn(1, timeline.Building)
	if ok, err := p.store.Finish(p.ctx, 1, token, p.rebuilt(9, 5, 3), p.post(2), 44); err != nil || !ok {
		t.Fatalf("Finish: %v, %v", ok, err)
	}
	p.shows(1, 2, 9, 5, 3)
	page := p.read(1)
	want := timeline.Header{Bottom: p.post(2), Token: token, FollowVersion: 44, Life: life}
	if page.Header != want {
		t.Fatalf("header %+v, want %+v", page.Header, want)
	}
	for _, entry := range page.Entries {
		if !entry.IsRebuilt() {
			t.Fatalf("the entry of post %d has forgotten that it came from storage", p.number(entry.ID()))
		}
	}
}

// fenceAfterDrop is the trap "a rebuild without a fence": the first builder's
// scan misses post 6, which was pushed while there was no timeline.
func fenceAfterDrop(t *testing.T, e Engine) {
	p := open(t, e, Options{Cap: 100})
	first := p.create(1)
	p.drop(1)
	p.deliver(6, 1)
	if p.finish(1, first, 0, 5) {
		t.Fatal("a Finish took without a timeline")
	}
	p.isIn(1, timeline.Absent)
	second := p.create(1)
	if p.finish(1, first, 0, 5) {
		t.Fatal("a Finish took with a token that is gone")
	}
	p.isIn(1, timeline.Building)
	if !p.finish(1, second, 0, 6, 5) {
		t.Fatal("the second builder's Finish did not take")
	}
	if p.finish(1, first, 0, 5) || p.fold(1, first, 1, 2, 4) {
		t.Fatal("a token that is gone changed a live timeline")
	}
	p.shows(1, 0, 6, 5)
}

// fenceAfterTakeover is the same with a builder that slept for a minute.
func fenceAfterTakeover(t *testing.T, e Engine) {
	clock := newClock()
	p := open(t, e, Options{Cap: 100, Clock: clock.Now})
	first := p.create(1)
	clock.advance(59 * time.Second)
	if _, ok := p.tryCreate(1, life); ok {
		t.Fatal("a building 59 seconds old was taken over")
	}
	clock.advance(2 * time.Second)
	second := p.create(1)
	if p.finish(1, first, 0, 5) {
		t.Fatal("the Finish of a building that was taken over took")
	}
	p.deliver(7, 1)
	if !p.finish(1, second, 0, 6, 5) {
		t.Fatal("the Finish of the building that took over did not take")
	}
	p.shows(1, 0, 7, 6, 5)
}

func finishTwice(t *testing.T, e Engine) {
	p := open(t, e, Options{Cap: 100})
	token := p.create(1)
	if !p.finish(1, token, 2, 3) {
		t.Fatal("Finish: not ok")
	}
	// Repeating it is safe: it is refused, or it changes nothing.
	p.finish(1, token, 2, 3)
	p.shows(1, 2, 3)
}

func oneBuilder(t *testing.T, e Engine) {
	p := open(t, e, Options{Cap: 100})
	token := p.create(1)
	p.deliver(4, 1)
	if other, ok := p.tryCreate(1, life); ok {
		t.Fatalf("a second Create took over a fresh building (token %d after %d)", other, token)
	}
	if !p.finish(1, token, 0, 3) {
		t.Fatal("the first builder's Finish did not take")
	}
	p.shows(1, 0, 4, 3)
}

func createOverLive(t *testing.T, e Engine) {
	p := open(t, e, Options{Cap: 100})
	old := p.create(1)
	p.finish(1, old, 0, 3)
	p.deliver(4, 1)
	token := p.create(1)
	if token == old {
		t.Fatal("two buildings share a token")
	}
	p.isIn(1, timeline.Building)
	p.deliver(5, 1)
	if p.finish(1, old, 0) || !p.finish(1, token, 2, 3) {
		t.Fatal("only the new token may finish")
	}
	p.shows(1, 2, 5, 3) // 4 is gone: it is the scan's to find
}

func anotherLife(t *testing.T, e Engine) {
	p := open(t, e, Options{Cap: 100})
	p.live(1)
	p.deliver(3, 1)
	q := timeline.Query{Viewer: 1, Before: feed.MaxPostID, Limit: all, Life: life + 1}
	if page := p.readPage(q); page.State != timeline.Absent || page.Acts != 0 {
		t.Fatalf("a timeline of another life: state %d, acts %d; want absent, 0", page.State, page.Acts)
	}
	p.shows(1, 0, 3) // a reader who is behind does no harm
	p.create(2)
	for _, v := range []feed.UserID{1, 2} {
		token, ok := p.tryCreate(v, life+1)
		if !ok {
			t.Fatalf("Create(%d) in a new life is held up by one of the old", v)
		}
		p.isIn(v, timeline.Absent)
		if !p.finish(v, token, 0, 5) {
			t.Fatalf("Finish(%d) in a new life: not ok", v)
		}
		q.Viewer = v
		if page := p.readPage(q); page.State != timeline.Live || page.Life != life+1 || len(page.Entries) != 1 {
			t.Fatalf("timeline of %d in its new life: %+v", v, page)
		}
	}
}

func finishJoins(t *testing.T, e Engine) {
	p := open(t, e, Options{Cap: 100})
	token := p.create(1)
	for _, n := range []int{8, 4, 6} {
		p.deliver(n, 1)
	}
	p.isIn(1, timeline.Building)
	if !p.finish(1, token, 0, 7, 6, 5, 2) {
		t.Fatal("Finish: not ok")
	}
	p.shows(1, 0, 8, 7, 6, 5, 4, 2)
}

// finishBottom: the scan's bottom and the one that the cap made meanwhile.
func finishBottom(t *testing.T, e Engine) {
	const limit = 20
	p := open(t, e, Options{Cap: limit})
	token := p.create(1)
	p.deliver(3, 1)
	p.finish(1, token, 5, 9, 8)
	p.shows(1, 5, 9, 8) // 3 lies below the scan's bottom

	token = p.create(2)
	for n := 100; n < 200; n++ {
		p.deliver(n, 2)
	}
	if !p.finish(2, token, 50, 101, 100, 60, 51) {
		t.Fatal("Finish: not ok")
	}
	p.isCapped(2, limit, 199)

	// More than the cap from storage.
	token = p.create(3)
	var scan []int
	for n := 199; n >= 100; n-- {
		scan = append(scan, n)
	}
	if !p.finish(3, token, 50, scan...) {
		t.Fatal("Finish: not ok")
	}
	p.isCapped(3, limit, 199)
}

// cutWhileBuilding: wherever the cap cuts, and if it is a repeat that makes it
// cut, the scan's lower bottom does not bring the dropped posts back.
func cutWhileBuilding(t *testing.T, e Engine) {
	const limit = 20
	p := open(t, e, Options{Cap: limit})
	for newest := limit; newest <= 3*limit; newest++ {
		v := feed.UserID(newest)
		token := p.create(v)
		for n := 1; n <= newest; n++ {
			p.deliver(n, v)
		}
		p.deliver(newest, v)
		p.deliver(1, v)
		if !p.finish(v, token, 0) {
			t.Fatal("Finish: not ok")
		}
		p.isCapped(v, limit, newest)
	}
}
