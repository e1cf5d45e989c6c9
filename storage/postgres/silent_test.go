package postgres_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"skein/feed"
	"skein/storage"
	"skein/storage/postgres"
)

// soon is more than a call's own limit, and far less than for ever.
const soon = 10 * time.Second

// A server that accepts and does not answer fails calls whose callers wait for
// ever, within a bound, also when there are more of them than connections. When it
// answers again, so do they.
func TestSilentServer(t *testing.T) {
	server := ownServer(t)
	must(t, postgres.Migrate(bg, server.URL()))
	s, err := postgres.Open(bg, server.URL(), postgres.Options{Logger: silent, MaxConns: 3})
	must(t, err)
	defer s.Close()
	id, later := takeID(t, s), draft(feed.IDAt(time.Now().Add(time.Hour)), 1, "key")
	receive(t, "a post", create(s, draft(id, 1, "")))
	tiers := storage.NewTierCopy(s, time.Now)

	calls := map[string]func() error{
		"Relay": func() error {
			_, err := s.Relay(bg, 10, func(feed.PostID, []storage.Event) error { return nil })
			return err
		},
		"CreatePost": func() error { _, err := s.CreatePost(bg, later); return err },
		"GetPosts":   func() error { _, err := s.GetPosts(bg, []feed.PostID{id}); return err },
		"Newest": func() error {
			_, err := s.Newest(bg, []storage.Range{{Author: 1, First: 1, Before: feed.MaxPostID}}, 1)
			return err
		},
		"GetTiers":      func() error { _, err := s.GetTiers(bg, 0); return err },
		"GetFollowSet":  func() error { _, err := s.GetFollowSet(bg, 1, nil); return err },
		"a tier's copy": func() error { _, err := tiers.View(bg); return err },
	}
	fail := func() {
		ends := map[string]<-chan outcome[struct{}]{}
		for what, call := range calls {
			ends[what] = start(func() (struct{}, error) { return struct{}{}, call() })
		}
		limit := time.After(soon)
		for what, end := range ends {
			select {
			case o := <-end:
				if feed.CodeOf(o.err) != feed.CodeUnavailable {
					t.Errorf("%s of a silent server: %v, want unavailable", what, o.err)
				}
			case <-limit:
				server.Resume() // else nothing of this test ends
				t.Fatalf("%s of a silent server did not end within %v", what, soon)
			}
		}
	}
	defer server.Resume()
	_, err = s.Relay(bg, 10, func(feed.PostID, []storage.Event) error {
		must(t, server.Pause())
		fail()
		return nil
	})
	if feed.CodeOf(err) != feed.CodeUnavailable {
		t.Errorf("the relay that was publishing: %v, want unavailable", err)
	}
	must(t, server.Resume())
	for what, call := range calls {
		eventually(t, what+" works again", func() bool { return call() == nil })
	}
}

// Who waits for the tiers without a deadline does not make others wait, one after
// the other, for a server that is silent.
func TestTierCopy_SilentServer(t *testing.T) {
	server := ownServer(t)
	must(t, postgres.Migrate(bg, server.URL()))
	s := open(t, server.URL())
	tiers := storage.NewTierCopy(s, time.Now)
	must(t, server.Pause())
	defer server.Resume()
	began := time.Now()
	var waits []<-chan outcome[*storage.TierView]
	for range 8 {
		waits = append(waits, start(func() (*storage.TierView, error) { return tiers.View(bg) }))
	}
	for _, wait := range waits {
		if o := <-wait; feed.CodeOf(o.err) != feed.CodeUnavailable {
			t.Errorf("the tiers of a silent server: %v, %v; want unavailable", o.value, o.err)
		}
	}
	if took := time.Since(began); took > soon {
		t.Errorf("8 readers of a silent server ended after %v", took)
	}
	must(t, server.Resume())
	eventually(t, "the tiers can be read again", func() bool { _, err := tiers.View(bg); return err == nil })
}

// A reader who leaves while storage is asked ends at once, and takes the answer
// from nobody.
func TestTierCopy_ACallerLeaves(t *testing.T) {
	url := database(t)
	s, c := open(t, url), connect(t, url)
	tiers := storage.NewTierCopy(s, time.Now)
	exec(t, c, `SELECT pg_advisory_lock(739, 1)`) // as a change that commits slowly
	ctx, leave := context.WithCancel(bg)
	first := start(func() (*storage.TierView, error) { return tiers.View(ctx) })
	var session int
	eventually(t, "storage is asked", func() bool {
		session = value[int](t, c, `SELECT coalesce(max(pid), 0) FROM pg_locks WHERE classid = 739 AND NOT granted`)
		return session > 0
	})
	leave()
	if o := <-first; feed.CodeOf(o.err) != feed.CodeUnavailable {
		t.Errorf("who left has %v, want unavailable", o.err)
	}
	second := start(func() (*storage.TierView, error) { return tiers.View(bg) })
	exec(t, c, `SELECT pg_advisory_unlock(739, 1)`)
	receive(t, "another reader has the tiers", second)
	if !value[bool](t, c, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)`, session) {
		t.Error("who left took the question along: its session is closed")
	}
}

// The top, T1: who asks for the oldest believes from its own clock that no post
// older than two seconds will still commit. So a process that is ahead of the
// server, though it was not when it began, gets no answer, and relays nothing.
func TestTop_HoldsStillWhenTheClockIsAhead(t *testing.T) {
	var ahead atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	s, err := postgres.Open(bg, database(t), postgres.Options{Logger: silent, Clock: clock})
	must(t, err)
	defer s.Close()
	id := takeID(t, s)
	receive(t, "a post", create(s, draft(id, 1, "")))
	ahead.Store(int64(feed.MaxIDAge + 500*time.Millisecond))
	_, asked := s.OldestEvent(bg)
	_, relayed := s.Relay(bg, 10, func(feed.PostID, []storage.Event) error {
		t.Error("events are published by a process whose clock is ahead")
		return nil
	})
	for _, err := range []error{asked, relayed} {
		if feed.CodeOf(err) != feed.CodeUnavailable || !strings.Contains(err.Error(), "synchronise") {
			t.Errorf("with the clock ahead: %v, want unavailable and what to do", err)
		}
	}
	for _, fine := range []time.Duration{-time.Minute, 0} {
		ahead.Store(int64(fine))
		if got := oldest(t, s); got != id {
			t.Errorf("with the clock at %v the oldest is %d, want %d", fine, got, id)
		}
	}
	if _, published := relay(t, s, 10); !slices.Equal(published, []feed.PostID{id}) {
		t.Errorf("with the clock right again %v is published, want %d", published, id)
	}
}
