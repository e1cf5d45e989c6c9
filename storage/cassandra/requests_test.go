package cassandra_test

import (
	"context"
	"testing"
	"time"

	"skein/feed"
	"skein/storage"
	"skein/storage/cassandra"
)

// reserve leaves a key as a call does that died after its first step.
func reserve(t testing.TB, keyspace *space, d storage.Draft) {
	t.Helper()
	must(t, keyspace.session.Query(`INSERT INTO requests (author, key, post, content) VALUES (?, ?, ?, ?)`,
		int64(d.Post.Author), cassandra.KeyOf(d.RequestID), int64(d.Post.ID), cassandra.ContentOf(d.Post)).Exec())
}

// W3: the key of a call that died before its event is a retry's, once nothing can come of
// the old id any more; and should that call wake up, it learns so.
func TestW3_AnAbandonedKey(t *testing.T) {
	t.Parallel()
	keyspace := emptied(t)
	s := open(t, keyspace.url)
	old := draft(feed.IDAt(time.Now().Add(-time.Minute)), 1, "key")
	reserve(t, keyspace, old)
	id := takeID(t, s)
	if post, err := s.CreatePost(bg, draft(id, 1, "key")); err != nil || post.ID != id {
		t.Errorf("the retry gets %v, %v; want its own id %d", post.ID, err, id)
	}
	if complete, err := cassandra.Settle(s, bg, old.Post.ID, true); err != nil || complete {
		t.Errorf("the abandoned id may still come to be: %v, %v", complete, err)
	}
	if post, err := s.CreatePost(bg, draft(takeID(t, s), 1, "key")); err != nil || post.ID != id {
		t.Errorf("another retry gets %v, %v; want %d", post.ID, err, id)
	}
}

// W3, W1: a retry sleeps after it looked, and wakes when the id in the key is old. What is
// made of that id meanwhile is what the retry returns, and it makes no other: a post, after
// its first look; an event that a relay decides to complete, after its last.
func TestW3_MadeAfterTheLook(t *testing.T) {
	t.Parallel()
	keyspace := emptied(t)
	s, other := open(t, keyspace.url), open(t, keyspace.url)
	for last, made := range []func(feed.Post){
		func(post feed.Post) { must(t, cassandra.WritePost(other, bg, post)) },
		func(post feed.Post) {
			must(t, cassandra.WriteEvent(other, bg, post))
			if complete, err := cassandra.Settle(other, bg, post.ID, true); err != nil || !complete {
				t.Errorf("decided %v, %v", complete, err)
			}
		},
	} {
		author := feed.UserID(last + 1)
		first := draft(feed.IDAt(time.Now().Add(-time.Minute)), author, "key")
		reserve(t, keyspace, first)
		looks := 0
		s.OnStep(func(at cassandra.Step) {
			if at != cassandra.StepLooked {
				return
			}
			if looks++; looks == last+1 {
				made(first.Post)
			}
		})
		if post, err := s.CreatePost(bg, draft(takeID(t, s), author, "key")); err != nil || post.ID != first.Post.ID {
			t.Errorf("the retry gets %v, %v; want the first call's id %d", post.ID, err, first.Post.ID)
		}
		if refs := newest(t, s, author); len(refs) != 1 || refs[0].Post != first.Post.ID {
			t.Errorf("author %d has %v, want post %d alone", author, refs, first.Post.ID)
		}
	}
}

// W3: a process whose clock was set ahead does not take a young id for abandoned: its
// post may still come to be.
func TestW3_AYoungKeyIsNotAbandoned(t *testing.T) {
	t.Parallel()
	keyspace, ahead := emptied(t), &clock{}
	s := openWith(t, keyspace.url, ahead)
	young := draft(takeID(t, s), 1, "key")
	reserve(t, keyspace, young)
	ahead.set(time.Hour)
	ctx, cancel := context.WithTimeout(bg, 500*time.Millisecond)
	defer cancel()
	_, err := s.CreatePost(ctx, draft(feed.IDAt(time.Now().Add(2*time.Hour)), 1, "key"))
	if feed.CodeOf(err) != feed.CodeUnavailable {
		t.Errorf("the retry: %v, want unavailable while the first call may still make its post", err)
	}
	if complete, err := cassandra.Settle(s, bg, young.Post.ID, true); err != nil || !complete {
		t.Errorf("nothing may come of the first call's id: %v, %v", complete, err)
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

// W3: an event whose post is missing is completed by a retry with its key, when no
// relay gets so far, as when the log is down and others wait before it.
func TestW3_ARetryCompletesAnEvent(t *testing.T) {
	t.Parallel()
	url := emptied(t).url
	s, other := open(t, url), open(t, url)
	id := takeID(t, s)
	if _, err := s.CreatePost(stopAt(s, cassandra.StepEvent), draft(id, 1, "key")); feed.CodeOf(err) != feed.CodeUnavailable {
		t.Fatalf("the call that was stopped: %v", err)
	}
	if post, err := other.CreatePost(bg, draft(takeID(t, other), 1, "key")); err != nil || post.ID != id {
		t.Errorf("the retry gets %v, %v; want the first call's id %d", post.ID, err, id)
	}
	if len(visible(t, other, id)) != 1 || len(newest(t, other, 1)) != 1 {
		t.Error("its post is not there")
	}
}

// W3: a call that does not know whether it has the key, and finds its own id there when
// it tries again, goes on.
func TestW3_TheKeyIsItsOwn(t *testing.T) {
	t.Parallel()
	keyspace := emptied(t)
	s := open(t, keyspace.url)
	d := draft(takeID(t, s), 1, "key")
	reserve(t, keyspace, d)
	if post, err := s.CreatePost(bg, d); err != nil || post.ID != d.Post.ID {
		t.Errorf("the post is %v, %v; want %d", post.ID, err, d.Post.ID)
	}
	if len(visible(t, s, d.Post.ID)) != 1 {
		t.Error("it is not there")
	}
}

// A delete whose first caller died when it was known as the first is finished by the
// next, who is not the one that deleted it.
func TestT4_ADeleteThatDiedIsFinished(t *testing.T) {
	t.Parallel()
	keyspace := emptied(t)
	s := open(t, keyspace.url)
	post := create(t, s, 1)
	must(t, keyspace.session.Query(`INSERT INTO deletes (post, done) VALUES (?, true)`, int64(post.ID)).Exec())
	if err := s.DeletePost(bg, 1, post.ID); feed.CodeOf(err) != feed.CodeNotFound {
		t.Errorf("the second delete: %v, want feed.CodeNotFound", err)
	}
	if found := visible(t, s, post.ID); len(found) > 0 || len(newest(t, s, 1)) > 0 || oldest(t, s) != feed.MaxPostID {
		t.Errorf("there are still posts %v, %v, event %d", found, newest(t, s, 1), oldest(t, s))
	}
}

// T4: a delete that was cut off between its writes is finished by the next, and the post
// is nowhere; neither by its id nor on its author's page, which are in two rows.
func TestT4_ADeleteThatWasCutOffIsFinished(t *testing.T) {
	t.Parallel()
	s := open(t, emptied(t).url)
	post := create(t, s, 1)
	if err := s.DeletePost(stopAt(s, cassandra.StepUnlisted), 1, post.ID); feed.CodeOf(err) != feed.CodeUnavailable {
		t.Fatalf("the delete that was stopped: %v", err)
	}
	if err := s.DeletePost(bg, 1, post.ID); feed.CodeOf(err) != feed.CodeNotFound {
		t.Errorf("the second delete: %v, want feed.CodeNotFound", err)
	}
	page, err := s.PostsOf(bg, 1, feed.MaxPostID, 10)
	must(t, err)
	if found := visible(t, s, post.ID); len(found) > 0 || len(page) > 0 || len(newest(t, s, 1)) > 0 || oldest(t, s) != feed.MaxPostID {
		t.Errorf("there are still posts %v, %v, %v, event %d", found, page, newest(t, s, 1), oldest(t, s))
	}
}

// An event that is met when there is no room to remember it is known again all the
// same, once those before it are old.
func TestW1_EventsThatOthersCompletedAreForgotten(t *testing.T) {
	t.Parallel()
	if !cassandra.MetTwice(1, time.Hour) {
		t.Error("an event is not remembered for others that are long gone")
	}
	if cassandra.MetTwice(1, 0) {
		t.Error("more is remembered than there is room for")
	}
}
