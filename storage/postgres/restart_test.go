package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"skein/feed"
	"skein/storage"
	"skein/storage/postgres"
)

// W2, W3: the server is killed under load, twice. What was acknowledged is there,
// with its event; what was not may be tried again and is there once. The store goes
// on by itself.
func TestW2_ServerKilledUnderLoad(t *testing.T) {
	const writers = 8
	server := ownServer(t)
	must(t, postgres.Migrate(bg, server.URL()))
	s := open(t, server.URL())
	ctx, stop := context.WithCancel(bg)
	defer stop()
	acknowledged := make(chan feed.PostID, 1<<20)
	ended := make(chan outcome[int], writers)
	for w := range writers {
		go func() {
			n, err := write(ctx, s, feed.UserID(w+1), acknowledged)
			ended <- outcome[int]{n, err}
		}()
	}
	for range 2 {
		more := len(acknowledged) + 200
		eventually(t, "posts are written", func() bool { return len(acknowledged) >= more })
		must(t, server.Kill())
		eventually(t, "calls fail at once", func() bool {
			_, err := s.OldestEvent(bg)
			return feed.CodeOf(err) == feed.CodeUnavailable
		})
		must(t, server.Start(bg))
	}
	more := len(acknowledged) + 200
	eventually(t, "posts are written again", func() bool { return len(acknowledged) >= more })
	stop()
	requests := 0
	for range writers {
		requests += receive(t, "the writers end", ended)
	}
	close(acknowledged)
	var ids []feed.PostID
	for id := range acknowledged {
		ids = append(ids, id)
	}
	for chunk := range slices.Chunk(ids, 1000) {
		if got := posts(t, s, chunk...); len(got) != len(chunk) {
			t.Errorf("of %d acknowledged posts %d are there", len(chunk), len(got))
		}
	}
	c := connect(t, server.URL())
	if n := value[int](t, c, `SELECT count(*) FROM posts LEFT JOIN outbox ON post = id WHERE post IS NULL`); n > 0 {
		t.Errorf("%d posts have no event", n)
	}
	// A request that was cut off by the end of the test may have made one too.
	if n := value[int](t, c, `SELECT count(*) FROM posts`); n < len(ids) || n > requests {
		t.Errorf("%d posts by %d requests, %d of them acknowledged", n, requests, len(ids))
	}
}

// write posts until ctx ends, each request again until it is acknowledged, and
// returns how many requests it made.
func write(ctx context.Context, s *postgres.Store, author feed.UserID, acknowledged chan<- feed.PostID) (requests int, err error) {
	ids := feed.NewIDs(s, time.Now)
	for ; ; requests++ {
		for done := false; !done; {
			if ctx.Err() != nil {
				return requests + 1, nil
			}
			var post feed.Post
			id, err := ids.Next(ctx)
			if err == nil {
				post, err = s.CreatePost(ctx, draft(id, author, fmt.Sprint(requests)))
			}
			done = err == nil
			switch {
			case done:
				acknowledged <- post.ID
			case feed.CodeOf(err) != feed.CodeUnavailable && !errors.Is(err, feed.ErrLate):
				return requests, err
			}
		}
	}
}

// A cancelled caller and a closed store are unavailable, at once, whatever is
// called; and Close waits for what is published.
func TestClose_WaitsAndEnds(t *testing.T) {
	s := open(t, database(t))
	receive(t, "a post", create(s, draft(takeID(t, s), 1, "")))
	var closing sync.WaitGroup
	_, err := s.Relay(bg, 10, func(feed.PostID, []storage.Event) error {
		closing.Go(func() { s.Close() })
		eventually(t, "the store refuses calls", func() bool {
			_, err := s.OldestEvent(bg)
			return feed.CodeOf(err) == feed.CodeUnavailable
		})
		return nil
	})
	if err != nil {
		t.Errorf("the relay that Close waited for: %v", err)
	}
	closing.Wait()
	must(t, s.Close())
	ctx, cancel := context.WithCancel(bg)
	cancel()
	for _, ctx := range []context.Context{bg, ctx} {
		_, follow := s.Follow(ctx, feed.Follow{Viewer: 1, Author: 2})
		_, imported := s.ImportFollows(ctx, []feed.Follow{{Viewer: 1, Author: 2}})
		_, created := s.CreatePost(ctx, draft(1, 1, ""))
		_, read := s.GetTiers(ctx, 0)
		_, granted := s.Grant(ctx)
		_, began := s.BeginLife(ctx, 0)
		for i, err := range []error{follow, imported, created, read, granted, began} {
			if feed.CodeOf(err) != feed.CodeUnavailable {
				t.Errorf("call %d of a closed store: %v", i, err)
			}
		}
	}
}
