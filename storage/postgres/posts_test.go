package postgres_test

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"skein/feed"
	"skein/storage"
	"skein/storage/postgres"
)

// A commit may stall after the last look at the id's age. Until it is visible the
// post is in flight, and OldestEvent must know.
func TestTop_CountsAPostWhoseCommitStalls(t *testing.T) {
	url := database(t)
	s := open(t, url)
	waiting, release := stall(t, url, "AFTER", "outbox", "true")
	id := takeID(t, s)
	created := create(s, draft(id, 1, ""))
	waiting()
	if got, err := s.GetPosts(bg, []feed.PostID{id}); err != nil || len(got) > 0 {
		t.Fatalf("W1: before the commit GetPosts has %v, %v", got, err)
	}
	select {
	case o := <-created:
		t.Fatalf("W1: acknowledged before the commit: %+v", o)
	default:
	}
	if got := oldest(t, s); got != id {
		t.Errorf("while its commit stalls, the oldest is %d, want %d", got, id)
	}
	release()
	receive(t, "the post is acknowledged", created)
	if got := oldest(t, s); got != id {
		t.Errorf("after its commit the oldest is %d, want %d", got, id)
	}
	relay(t, s, 10)
	if got := oldest(t, s); got != feed.MaxPostID {
		t.Errorf("after it was relayed the oldest is %d", got)
	}
}

// From its first sighting until it is relayed a post is seen by every OldestEvent,
// also by one during which it commits: the locks are read before the outbox.
func TestTop_MissesNoCommitBetweenItsTwoLooks(t *testing.T) {
	// Whatever the database's default: in an older snapshot both looks are one.
	s := open(t, withOption(database(t), "default_transaction_isolation", "repeatable read"))
	for range 150 {
		id := takeID(t, s)
		var acknowledged atomic.Bool
		created := start(func() (feed.Post, error) {
			defer acknowledged.Store(true)
			return s.CreatePost(bg, draft(id, 1, ""))
		})
		seen := false
		for last := false; !last; {
			last = acknowledged.Load()
			got := oldest(t, s)
			if seen && got != id {
				t.Fatalf("the post %d was seen, and then the oldest was %d", id, got)
			}
			seen = seen || got == id
		}
		receive(t, "the post is acknowledged", created)
		relay(t, s, 10)
	}
}

// The relay that skips: posts commit out of order. The one that comes late is
// published too, and until then holds the top.
func TestRelay_SkipsNothingThatCommitsLate(t *testing.T) {
	url := database(t)
	s := open(t, url)
	waiting, release := stall(t, url, "AFTER", "outbox", "NEW.author = 1")
	first := takeID(t, s)
	slow := create(s, draft(first, 1, ""))
	waiting()
	second := takeID(t, s)
	receive(t, "the second post is acknowledged", create(s, draft(second, 2, "")))
	low, published := relay(t, s, 10)
	if !slices.Equal(published, []feed.PostID{second}) || low != first {
		t.Errorf("published %v with oldest %d, want %d with oldest %d, which is in flight", published, low, second, first)
	}
	release()
	receive(t, "the first post is acknowledged", slow)
	if _, published = relay(t, s, 10); !slices.Equal(published, []feed.PostID{first}) {
		t.Errorf("after the late commit published %v, want %d", published, first)
	}
}

// A relay that falls asleep while it publishes loses its hold, and another
// publishes: at least once, not never.
func TestRelay_AsleepLosesItsHold(t *testing.T) {
	url := database(t)
	if settings, err := postgres.Settings(url); err != nil || settings["idle_in_transaction_session_timeout"] != "30s" {
		t.Fatalf("connections set %v, %v; want a bound for silent transactions", settings, err)
	}
	s := open(t, url)
	asleep := open(t, withOption(url, "idle_in_transaction_session_timeout", "200ms"))
	id := takeID(t, s)
	receive(t, "the post is acknowledged", create(s, draft(id, 1, "")))
	_, err := asleep.Relay(bg, 10, func(feed.PostID, []storage.Event) error {
		eventually(t, "another relay gets the event", func() bool {
			_, published := relay(t, s, 10)
			return len(published) > 0
		})
		return nil
	})
	if feed.CodeOf(err) != feed.CodeUnavailable {
		t.Errorf("the relay that slept has %v, want unavailable", err)
	}
}

// W4: what counts is the age at the end. A post that was held up in the middle is
// undone, with its event and its key.
func TestW4_HeldUpInTheMiddleIsLate(t *testing.T) {
	url := database(t)
	s := open(t, url)
	waiting, release := stall(t, url, "BEFORE", "outbox", "NEW.author = 1")
	id := takeID(t, s)
	created := create(s, draft(id, 1, "key"))
	waiting()
	c := connect(t, url)
	eventually(t, "the id is too old", func() bool {
		return value[bool](t, c, `SELECT clock_timestamp() > $1`, id.Time().Add(feed.MaxIDAge))
	})
	release()
	if o := <-created; !errors.Is(o.err, feed.ErrLate) {
		t.Fatalf("error %v, want ErrLate", o.err)
	}
	if got := oldest(t, s); got != feed.MaxPostID {
		t.Errorf("the late post left event %d", got)
	}
	if n := value[int](t, c, `SELECT count(*) FROM requests`); n > 0 {
		t.Errorf("the late post left %d keys", n)
	}
}

// W3: the answer is lost after the commit. The caller learns that it may or may not
// have happened, and the retry gets the same post.
func TestW3_TheAnswerIsLost(t *testing.T) {
	url := database(t)
	s := open(t, url)
	wire := newProxy(t, url)
	cut := open(t, wire.url)
	// So that its connection is there, and knows the statement.
	receive(t, "a first post", create(cut, draft(takeID(t, s), 2, "key")))
	relay(t, s, 10)
	id := takeID(t, s)
	wire.deaf.Store(true)
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	created := start(func() (feed.Post, error) { return cut.CreatePost(ctx, draft(id, 1, "key")) })
	eventually(t, "the post has committed", func() bool { return oldest(t, s) == id && len(posts(t, s, id)) == 1 })
	wire.cut()
	if o := <-created; feed.CodeOf(o.err) != feed.CodeUnavailable {
		t.Fatalf("without an answer the error is %v, want unavailable", o.err)
	}
	again := receive(t, "the retry", create(s, draft(takeID(t, s), 1, "key")))
	if again.ID != id {
		t.Errorf("the retry made post %d, want %d", again.ID, id)
	}
}

func posts(t testing.TB, s storage.Posts, ids ...feed.PostID) []feed.Post {
	t.Helper()
	got, err := s.GetPosts(bg, ids)
	must(t, err)
	return got
}

// A key lives for a day; then it goes, a few at a time, as others come.
func TestRequests_ExpireAfterADay(t *testing.T) {
	url := database(t)
	s, c := open(t, url), connect(t, url)
	now := time.Now()
	for i := range 1000 {
		exec(t, c, `INSERT INTO requests VALUES (1, int4send($1), $2, '')`, i, feed.IDAt(now.Add(-26*time.Hour))+feed.PostID(i))
	}
	exec(t, c, `INSERT INTO requests VALUES (2, 'x', $1, '')`, feed.IDAt(now.Add(-24*time.Hour-time.Minute)))
	ids := feed.NewIDs(s, time.Now)
	for i := range 64 {
		id, err := ids.Next(bg)
		must(t, err)
		receive(t, "the post is acknowledged", create(s, draft(id, 3, string(rune('a'+i)))))
	}
	if n := value[int](t, c, `SELECT count(*) FROM requests WHERE author = 1`); n == 0 || n >= 1000 {
		t.Errorf("of 1000 expired keys %d are left after 64 new ones, want some", n)
	}
	if n := value[int](t, c, `SELECT count(*) FROM requests WHERE author <> 1`); n != 65 {
		t.Errorf("of 65 younger keys %d are left", n)
	}
}

// proxy stands between a store and its server. While it is deaf, it hears nothing
// of what the server answers.
type proxy struct {
	url  string
	deaf atomic.Bool
	cut  func()
}

func newProxy(t *testing.T, url string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &proxy{}
	var server string
	p.url, server = withHost(url, listener.Addr().String())
	ctx, cut := context.WithCancel(bg)
	p.cut = cut
	t.Cleanup(func() { cut(); listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			upstream, err := net.Dial("tcp", server)
			if err != nil {
				client.Close()
				return
			}
			context.AfterFunc(ctx, func() { client.Close(); upstream.Close() })
			go io.Copy(upstream, client)
			go io.Copy(writerFunc(func(b []byte) (int, error) {
				if p.deaf.Load() {
					return len(b), nil
				}
				return client.Write(b)
			}), upstream)
		}
	}()
	return p
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
