package storagetest

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"skein/feed"
	"skein/storage"
)

var outboxCases = []testCase{
	{"F1_RelayPublishesThenRemoves", relayOrder},
	{"F1_FailedPublishKeepsTheEvents", relayFails},
	{"F1_ConcurrentRelaysLoseNothing", relaysTogether},
	{"Relay_HeldEventsCountAsOldest", relayHeld},
	{"Relay_WhileThePostIsDeleted", relayDeleted},
	{"CountEvents_BesideRelaysAndDeletes", countedBeside},
	{"W2_UnpublishedEventsSurviveReopen", eventsSurvive},
}

func events(posts ...feed.Post) []storage.Event {
	var es []storage.Event
	for _, p := range posts {
		es = append(es, storage.Event{Post: p.ID, Author: p.Author})
	}
	return es
}

func wantOutbox(t *testing.T, s Stores, count int64, oldest feed.PostID) {
	t.Helper()
	if n := result(s.Posts.CountEvents(bg))(t); n != count {
		t.Fatalf("%d events wait, want %d", n, count)
	}
	if id := result(s.Posts.OldestEvent(bg))(t); id != oldest {
		t.Fatalf("oldest event %d, want %d", id, oldest)
	}
}

func relayOrder(t *testing.T, s Stores) {
	wantOutbox(t, s, 0, feed.MaxPostID)
	w := newWriter(s.Posts)
	a, b, c := w.mustCreate(t, 1, text(1)), w.mustCreate(t, 2, text(2)), w.mustCreate(t, 1, text(3))
	for _, want := range [][]feed.Post{{a, b}, {c}} {
		n := result(s.Posts.Relay(bg, 2, func(oldest feed.PostID, got []storage.Event) error {
			wantEqual(t, "events", got, events(want...))
			if oldest != want[0].ID {
				t.Errorf("oldest %d, want %d", oldest, want[0].ID)
			}
			return nil
		}))(t)
		if n != len(want) {
			t.Fatalf("removed %d, want %d", n, len(want))
		}
	}
	wantOutbox(t, s, 0, feed.MaxPostID)
	result(s.Posts.Relay(bg, 2, func(_ feed.PostID, got []storage.Event) error {
		t.Errorf("published %v from an empty outbox", got)
		return nil
	}))(t)
}

func relayFails(t *testing.T, s Stores) {
	post := newWriter(s.Posts).mustCreate(t, 1, text(1))
	broken := errors.New("the log is down")
	n, err := s.Posts.Relay(bg, 10, func(feed.PostID, []storage.Event) error { return broken })
	if n != 0 || err != broken {
		t.Fatalf("got %d, %v; want 0 and publish's own error", n, err)
	}
	wantOutbox(t, s, 1, post.ID)
	n = result(s.Posts.Relay(bg, 10, func(_ feed.PostID, got []storage.Event) error {
		wantEqual(t, "events", got, events(post))
		return nil
	}))(t)
	if n != 1 {
		t.Fatalf("removed %d, want 1", n)
	}
}

// relaysTogether runs relays while posts come in: each event is published, and
// mostly once.
func relaysTogether(t *testing.T, s Stores) {
	const posters, each, relays = 8, 25, 4
	var mu sync.Mutex
	published := map[feed.PostID]int{}
	deadline := time.Now().Add(30 * time.Second)
	w := newWriter(s.Posts)
	made := make(chan feed.PostID, posters*each)
	err := together(posters+relays, func(i int) error {
		if i < posters {
			for range each {
				post, err := w.create(feed.UserID(i+1), text(i), "")
				if err != nil {
					return err
				}
				made <- post.ID
			}
			return nil
		}
		for {
			_, err := s.Posts.Relay(bg, 7, func(_ feed.PostID, got []storage.Event) error {
				mu.Lock()
				defer mu.Unlock()
				for _, e := range got {
					published[e.Post]++
				}
				return nil
			})
			if err != nil {
				return err
			}
			mu.Lock()
			all := len(published) == posters*each
			mu.Unlock()
			if all {
				return nil
			}
			if time.Now().After(deadline) {
				return errors.New("not all events were published in 30 s")
			}
		}
	})
	must(t, err)
	repeats := 0
	for range posters * each {
		id := <-made
		if published[id] == 0 {
			t.Errorf("post %d was never published", id)
		}
		repeats += published[id] - 1
	}
	if repeats > posters*each/10 {
		t.Errorf("%d of %d events were published more than once", repeats, posters*each)
	}
	wantOutbox(t, s, 0, feed.MaxPostID)
}

func relayHeld(t *testing.T, s Stores) {
	w := newWriter(s.Posts)
	a, b := w.mustCreate(t, 1, text(1)), w.mustCreate(t, 1, text(2))
	result(s.Posts.Relay(bg, 1, func(feed.PostID, []storage.Event) error {
		wantOutbox(t, s, 2, a.ID)
		_, err := s.Posts.Relay(bg, 10, func(oldest feed.PostID, got []storage.Event) error {
			if oldest != a.ID {
				t.Errorf("oldest %d, want %d, which another relay holds", oldest, a.ID)
			}
			if !slices.Contains(got, events(b)[0]) {
				t.Errorf("got %v, want the event that is free", got)
			}
			return nil
		})
		return err
	}))(t)
	wantOutbox(t, s, 0, feed.MaxPostID)
}

func relayDeleted(t *testing.T, s Stores) {
	w := newWriter(s.Posts)
	for _, broken := range []error{nil, errors.New("the log is down")} {
		post := w.mustCreate(t, 1, text(1))
		_, err := s.Posts.Relay(bg, 10, func(feed.PostID, []storage.Event) error {
			must(t, s.Posts.DeletePost(bg, 1, post.ID))
			return broken
		})
		if err != broken {
			t.Fatalf("error %v, want %v", err, broken)
		}
		// An engine may keep the event of a deleted post, not the post.
		if got := result(s.Posts.GetPosts(bg, []feed.PostID{post.ID}))(t); len(got) > 0 {
			t.Fatal("the deleted post is back")
		}
		drain(t, s)
	}
	// Deleted before any relay came.
	post := w.mustCreate(t, 1, text(2))
	must(t, s.Posts.DeletePost(bg, 1, post.ID))
	drain(t, s)
}

// drain relays until nothing waits, which the count must agree with.
func drain(t *testing.T, s Stores) {
	t.Helper()
	for result(s.Posts.Relay(bg, 100, func(feed.PostID, []storage.Event) error { return nil }))(t) > 0 {
	}
	wantOutbox(t, s, 0, feed.MaxPostID)
}

func eventsSurvive(t *testing.T, s Stores) {
	if s.Reopen == nil {
		t.Skip("this engine has nothing to reopen")
	}
	w := newWriter(s.Posts)
	a, b := w.mustCreate(t, 1, text(1)), w.mustCreate(t, 2, text(2))
	s = s.Reopen(t)
	wantOutbox(t, s, 2, a.ID)
	// An engine may first have to notice that the process before is gone.
	var published []storage.Event
	for deadline := time.Now().Add(30 * time.Second); len(published) < 2 && time.Now().Before(deadline); {
		result(s.Posts.Relay(bg, 10, func(_ feed.PostID, got []storage.Event) error {
			published = append(published, got...)
			return nil
		}))(t)
	}
	wantEqual(t, "events", published, events(a, b))
}

// Posts are made and deleted at once while relays work: in the end every event was
// counted once, whoever removed it.
func countedBeside(t *testing.T, s Stores) {
	w := newWriter(s.Posts)
	var writers, relays sync.WaitGroup
	done := make(chan struct{})
	for author := range feed.UserID(4) {
		writers.Go(func() {
			for range 50 {
				post, err := w.create(author+1, "gone soon", "")
				if err == nil {
					err = s.Posts.DeletePost(bg, post.Author, post.ID)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	relay := func() int {
		n, err := s.Posts.Relay(bg, 8, func(feed.PostID, []storage.Event) error { return nil })
		if err != nil {
			t.Error(err)
		}
		return n
	}
	for range 2 {
		relays.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					relay()
				}
			}
		})
	}
	writers.Wait()
	close(done)
	relays.Wait()
	for relay() > 0 {
	}
	wantOutbox(t, s, 0, feed.MaxPostID)
}
