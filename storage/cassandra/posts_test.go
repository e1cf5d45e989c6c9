package cassandra_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"skein/feed"
	"skein/storage"
	"skein/storage/cassandra"
)

// patience is how long a test waits for what must come.
const patience = 40 * time.Second

// eventually asks until it is so; what is asked takes its time.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !so(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v until %s", patience, what)
		}
	}
}

// clock is a process's, and can be set.
type clock struct{ off atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.off.Load())) }
func (c *clock) set(ahead time.Duration) { c.off.Store(int64(ahead)) }

func openWith(t testing.TB, url string, c *clock) *cassandra.Store {
	t.Helper()
	s, err := cassandra.Open(bg, url, cassandra.Options{Logger: silent, Clock: c.now})
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// takeID returns an id taken under a grant, as the write path's are, at its far end: it
// is not late for a while, however slow the machine.
func takeID(t testing.TB, s *cassandra.Store) feed.PostID {
	t.Helper()
	id, err := feed.NewIDs(s, func() time.Time { return s.Now().Add(4 * time.Second) }).Next(bg)
	must(t, err)
	return id
}

func draft(id feed.PostID, author feed.UserID, key string) storage.Draft {
	return storage.Draft{Post: feed.Post{ID: id, Author: author, Text: fmt.Sprint("post of ", author)}, RequestID: key}
}

func create(t testing.TB, s *cassandra.Store, author feed.UserID) feed.Post {
	t.Helper()
	return inTime(t, s, func(id feed.PostID) (feed.Post, error) { return s.CreatePost(bg, draft(id, author, "")) })
}

// inTime has a post created with another id when one was late, as the write path does:
// on a busy machine any call may take a second.
func inTime(t testing.TB, s *cassandra.Store, create func(feed.PostID) (feed.Post, error)) feed.Post {
	t.Helper()
	for range 20 {
		if post, err := create(takeID(t, s)); !errors.Is(err, feed.ErrLate) {
			must(t, err)
			return post
		}
	}
	t.Fatal("every id was late")
	return feed.Post{}
}

func oldest(t testing.TB, s *cassandra.Store) feed.PostID {
	t.Helper()
	id, err := s.OldestEvent(bg)
	must(t, err)
	return id
}

func visible(t testing.TB, s *cassandra.Store, ids ...feed.PostID) (found []feed.PostID) {
	t.Helper()
	posts, err := s.GetPosts(bg, ids)
	must(t, err)
	for _, p := range posts {
		found = append(found, p.ID)
	}
	return found
}

func newest(t testing.TB, s *cassandra.Store, author feed.UserID) []feed.Ref {
	t.Helper()
	refs, err := s.Newest(bg, []storage.Range{{Author: author, First: 1, Before: feed.MaxPostID}}, 10)
	must(t, err)
	return refs
}

// relay publishes to a list.
func relay(t testing.TB, s *cassandra.Store) (published []feed.PostID) {
	t.Helper()
	_, err := s.Relay(bg, 100, func(_ feed.PostID, events []storage.Event) error {
		for _, e := range events {
			published = append(published, e.Post)
		}
		return nil
	})
	must(t, err)
	return published
}

// frozen is a process that slept for a minute, and its clock with it, as that of a
// virtual machine does; and an id that it took before.
func frozen(t testing.TB, url string) (*cassandra.Store, feed.PostID) {
	t.Helper()
	c := &clock{}
	s := openWith(t, url, c)
	c.set(-time.Minute)
	return s, feed.IDAt(s.Now())
}

// W1, W4: a process that slept before its event or after it finds the id late by
// Cassandra's clock, and takes the event back, also where the bucket is dropped by
// then; it is another's post that is visible.
func TestW4_LateAfterTheEvent(t *testing.T) {
	t.Parallel()
	keyspace := emptied(t)
	s, id := frozen(t, keyspace.url)
	shard, bucket := cassandra.PlaceOf(id)
	for _, dropped := range []bool{false, true} {
		s.OnStep(func(at cassandra.Step) {
			if at == cassandra.StepEvent && dropped {
				must(t, keyspace.session.Query(`DELETE FROM outbox USING TIMESTAMP ? WHERE shard = ? AND bucket = ?`,
					cassandra.StampOf(id)+1, shard, bucket).Exec())
			}
		})
		if _, err := s.CreatePost(bg, draft(id, 1, "key")); !errors.Is(err, feed.ErrLate) {
			t.Fatalf("error %v, want feed.ErrLate", err)
		}
		if found := visible(t, s, id); len(found) > 0 || len(newest(t, s, 1)) > 0 || oldest(t, s) != feed.MaxPostID {
			t.Errorf("the late post left posts %v, %v, event %d", found, newest(t, s, 1), oldest(t, s))
		}
		s, id = frozen(t, keyspace.url)
	}
	other := open(t, keyspace.url)
	if post, err := other.CreatePost(bg, draft(takeID(t, other), 1, "key")); err != nil || post.ID == id {
		t.Errorf("the key of the late post gives %v, %v; want a new post", post, err)
	}
}

// A relay took the process for dead, and decided that the post comes to be: then it is
// no longer the process's to find it late.
func TestW4_LateAfterARelayCompletedIt(t *testing.T) {
	t.Parallel()
	url := emptied(t).url
	other := open(t, url)
	s, id := frozen(t, url)
	s.OnStep(func(at cassandra.Step) {
		if at != cassandra.StepEvent {
			return
		}
		if complete, err := cassandra.Settle(other, bg, id, true); err != nil || !complete {
			t.Errorf("decided %v, %v", complete, err)
		}
	})
	if _, err := s.CreatePost(bg, draft(id, 1, "")); err != nil {
		t.Fatalf("the post that a relay completed: %v", err)
	}
	if len(visible(t, s, id)) != 1 {
		t.Error("it is not there")
	}
}

// I6: between event and post OldestEvent counts the post, on every server; no relay
// publishes it, though it may be asked.
func TestI6_CountedWhileItIsWritten(t *testing.T) {
	t.Parallel()
	url := emptied(t).url
	s, other := open(t, url), open(t, url)
	var id feed.PostID
	s.OnStep(func(at cassandra.Step) {
		if at != cassandra.StepEvent {
			return
		}
		for _, s := range []*cassandra.Store{s, other} {
			if got := oldest(t, s); got != id {
				t.Errorf("oldest event %d, want %d, which is being written", got, id)
			}
			if published := relay(t, s); len(published) > 0 {
				t.Errorf("published %v before its post was there", published)
			}
		}
	})
	inTime(t, s, func(next feed.PostID) (feed.Post, error) {
		id = next
		return s.CreatePost(bg, draft(id, 1, ""))
	})
	if published := relay(t, other); len(published) > 0 {
		t.Errorf("published %v, which is another living process's", published)
	}
	if published := relay(t, s); len(published) != 1 || published[0] != id {
		t.Errorf("published %v, want %d", published, id)
	}
}

// Events of a process that ended are another's at once.
func TestF1_EventsOfOneThatClosed(t *testing.T) {
	t.Parallel()
	url := emptied(t).url
	s, other := open(t, url), open(t, url)
	relay(t, s) // it is present
	post := create(t, s, 1)
	create(t, other, 2)
	if published := relay(t, other); len(published) != 1 {
		t.Fatalf("published %v, want its own", published)
	}
	must(t, s.Close())
	eventually(t, "the other takes them", func() bool {
		published := relay(t, other)
		return len(published) == 1 && published[0] == post.ID
	})
}

// A post that is written again, with its own stamp, after it was deleted stays
// deleted; also when whoever deletes has a clock that is behind.
func TestT4_ALateRewriteDoesNotResurrect(t *testing.T) {
	t.Parallel()
	url, behind := emptied(t).url, &clock{}
	s := openWith(t, url, behind)
	post := create(t, s, 1)
	behind.set(-5 * time.Second)
	must(t, s.DeletePost(bg, 1, post.ID))
	must(t, cassandra.WritePost(s, bg, post))
	if found := visible(t, s, post.ID); len(found) > 0 || len(newest(t, s, 1)) > 0 {
		t.Errorf("the deleted post is back: %v, %v", found, newest(t, s, 1))
	}
}

// A finished part of the outbox is dropped; an event that arrives there late, which
// nobody acknowledged, is not seen.
func TestFinishedBucketsAreDropped(t *testing.T) {
	t.Parallel()
	keyspace := emptied(t)
	old := feed.IDAt(time.Now().Add(-2 * time.Hour))
	shard, bucket := cassandra.PlaceOf(old)
	must(t, keyspace.session.Query(`INSERT INTO outbox_spans (one, span) VALUES (0, ?)`, cassandra.SpanOf(bucket)).Exec())
	s, late := open(t, keyspace.url), int64(old)
	arrives := func() (n int) {
		late++
		stamp := cassandra.StampOf(feed.PostID(late))
		must(t, keyspace.session.Query(`INSERT INTO outbox (shard, bucket, post, author) VALUES (?, ?, ?, 1) USING TIMESTAMP ?`, shard, bucket, late, stamp).Exec())
		must(t, keyspace.session.Query(`SELECT count(*) FROM outbox WHERE shard = ? AND bucket = ? AND post = ?`, shard, bucket, late).Scan(&n))
		must(t, keyspace.session.Query(`DELETE FROM outbox USING TIMESTAMP ? WHERE shard = ? AND bucket = ? AND post = ?`, stamp+1, shard, bucket, late).Exec())
		return n
	}
	if n := arrives(); n != 1 {
		t.Fatalf("%d events in a part that is not dropped, want the one that came", n)
	}
	eventually(t, "the part is dropped", func() bool {
		relay(t, s)
		return arrives() == 0
	})
}
