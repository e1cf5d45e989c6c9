package cassandra_test

import (
	"context"
	"testing"
	"time"

	"skein/feed"
	"skein/storage/cassandra"
)

// W3: a call died between its key and its event. A retry, once nothing can come of that
// id any more, gets a post of its own; an event of the dead call that appears all the
// same makes no second one.
func TestW3_AnAbandonedKeyIsReplaced(t *testing.T) {
	t.Parallel()
	keyspace := emptied(t)
	s := open(t, keyspace.url)
	dead := draft(feed.IDAt(time.Now().Add(-time.Minute)), 1, "key")
	must(t, keyspace.session.Query(`INSERT INTO requests (author, key, post, content) VALUES (1, ?, ?, ?) IF NOT EXISTS`,
		cassandra.KeyOf(dead.RequestID), int64(dead.Post.ID), cassandra.ContentOf(dead.Post)).Exec())

	create := func(id feed.PostID) (feed.Post, error) { return s.CreatePost(bg, draft(id, 1, "key")) }
	post := inTime(t, s, create)
	if post.ID == dead.Post.ID {
		t.Fatal("the retry got the id of which nothing came to be")
	}
	if complete, err := cassandra.Settle(s, bg, dead.Post.ID, true); complete || err != nil {
		t.Errorf("a late event of the dead call is completed: %v, %v", complete, err)
	}
	if again := inTime(t, s, create); again.ID != post.ID {
		t.Errorf("one more retry gives post %d, want %d", again.ID, post.ID)
	}
	if refs := newest(t, s, 1); len(refs) != 1 {
		t.Errorf("the author has %v, want one post", refs)
	}
}

// W3: while a call with the key may still make its post, a retry makes no other, but
// waits.
func TestW3_ARetryWaitsForTheFirst(t *testing.T) {
	t.Parallel()
	url := emptied(t).url
	s, other := open(t, url), open(t, url)
	create := func(s *cassandra.Store) func(feed.PostID) (feed.Post, error) {
		return func(id feed.PostID) (feed.Post, error) { return s.CreatePost(bg, draft(id, 1, "key")) }
	}
	s.OnStep(func(at cassandra.Step) {
		if at != cassandra.StepEvent {
			return
		}
		ctx, cancel := context.WithTimeout(bg, 300*time.Millisecond)
		defer cancel()
		if post, err := other.CreatePost(ctx, draft(takeID(t, other), 1, "key")); feed.CodeOf(err) != feed.CodeUnavailable {
			t.Errorf("a retry beside the first call: %v, %v; want it to wait", post.ID, err)
		}
	})
	first := inTime(t, s, create(s))
	if retry := inTime(t, other, create(other)); retry.ID != first.ID {
		t.Errorf("the retry got post %d, want %d", retry.ID, first.ID)
	}
}
