package cassandra_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"skein/feed"
	"skein/storage"
	"skein/storage/cassandra"
)

var errLogDown = errors.New("the log is down")

// relayInVain takes events, and cannot publish them.
func relayInVain(t testing.TB, s *cassandra.Store) (taken []feed.PostID) {
	t.Helper()
	_, err := s.Relay(bg, 100, func(_ feed.PostID, events []storage.Event) error {
		for _, e := range events {
			taken = append(taken, e.Post)
		}
		return errLogDown
	})
	if err != nil && !errors.Is(err, errLogDown) {
		t.Fatal(err)
	}
	return taken
}

// F3: what a process cannot publish, since it alone does not reach the log, another one
// publishes, while it lives, makes posts and tries; once it can, its events are its own.
func TestF3_OneThatCannotPublishHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	url := emptied(t).url
	s, other := open(t, url), open(t, url)
	relay(t, s)
	relay(t, other)
	post := create(t, s, 1)
	if taken := relayInVain(t, s); !slices.Equal(taken, []feed.PostID{post.ID}) {
		t.Fatalf("it took %v, want its own %d", taken, post.ID)
	}
	eventually(t, "the other publishes it", func() bool {
		relayInVain(t, s)
		create(t, s, 2)
		return slices.Contains(relay(t, other), post.ID)
	})
	create(t, s, 3)
	if published := relay(t, s); len(published) == 0 {
		t.Fatal("it does not try its own events any more")
	}
	relay(t, s) // it says so
	eventually(t, "its events are its own again", func() bool {
		own := create(t, s, 4).ID
		return !slices.Contains(relay(t, other), own)
	})
}

// F1: when nobody reaches the log each process keeps to its own events, or the backlog
// would be published by all of them; those of the dead are somebody's all the same.
func TestF1_WhenNobodyPublishes(t *testing.T) {
	t.Parallel()
	url := emptied(t).url
	dead := open(t, url)
	orphan := create(t, dead, 1).ID
	must(t, dead.Close())
	stores := []*cassandra.Store{open(t, url), open(t, url)}
	own := []feed.PostID{create(t, stores[0], 2).ID, create(t, stores[1], 3).ID}
	eventually(t, "each takes its own, and one what nobody has", func() bool {
		orphans, apart := 0, true
		for i, s := range stores {
			taken := relayInVain(t, s)
			apart = apart && slices.Contains(taken, own[i]) && !slices.Contains(taken, own[1-i])
			if slices.Contains(taken, orphan) {
				orphans++
			}
		}
		return apart && orphans == 1
	})
	published := append(relay(t, stores[0]), relay(t, stores[1])...)
	for _, id := range append(own, orphan) {
		if !slices.Contains(published, id) {
			t.Errorf("with the log up again %v are published, want %d too", published, id)
		}
	}
}

// Two processes that see different others both take an event of a dead one: it is
// published, twice at most, and its post is there once.
func TestF1_TwoHeirs(t *testing.T) {
	t.Parallel()
	url := emptied(t).url
	s := open(t, url)
	relay(t, s) // knows of itself alone, for a while
	other := open(t, url)
	relay(t, other) // knows both
	dead := open(t, url)
	id := takeID(t, dead)
	if _, err := dead.CreatePost(stopAt(dead, cassandra.StepEvent), draft(id, 1, "")); feed.CodeOf(err) != feed.CodeUnavailable {
		t.Fatalf("the call that was stopped: %v", err)
	}
	must(t, dead.Close())
	published := 0
	eventually(t, "the event is published and gone", func() bool {
		for _, s := range []*cassandra.Store{s, other} {
			published += len(relay(t, s))
		}
		return oldest(t, other) == feed.MaxPostID
	})
	if refs := newest(t, s, 1); published < 1 || published > 2 || len(refs) != 1 || refs[0].Post != id {
		t.Errorf("published %d times, the author has %v; want once or twice, and %d", published, refs, id)
	}
}

// registered says that a span may hold events.
func registered(t testing.TB, keyspace *space, id feed.PostID) (bucket int64) {
	t.Helper()
	_, bucket = cassandra.PlaceOf(id)
	must(t, keyspace.session.Query(`INSERT INTO outbox_spans (one, span) VALUES (0, ?)`, cassandra.SpanOf(bucket)).Exec())
	return bucket
}

// After a long time in which no process ran, only the parts of the outbox that may hold
// something are looked at; and a look that is interrupted is not begun anew.
func TestTheFirstLookAtTheOutbox(t *testing.T) {
	t.Parallel()
	keyspace := emptied(t)
	s := open(t, keyspace.url)
	now := time.Now()
	long := feed.IDAt(now.Add(-30 * 24 * time.Hour))
	first := registered(t, keyspace, long)
	buckets, err := cassandra.Buckets(s, bg, long, now)
	must(t, err)
	_, present := cassandra.PlaceOf(feed.IDAt(now))
	if len(buckets) > 64 || !slices.Contains(buckets, first) || !slices.Contains(buckets, present) {
		t.Errorf("%d buckets are looked at, from %d to %d; want those of the first span, and the present %d", len(buckets), buckets[0], buckets[len(buckets)-1], present)
	}
	ctx := stopAt(s, cassandra.StepEmpty)
	if _, err := s.OldestEvent(ctx); feed.CodeOf(err) != feed.CodeUnavailable {
		t.Fatalf("the look that was interrupted: %v", err)
	}
	for cassandra.SpanOf(first-1) == cassandra.SpanOf(first) { // to where the look began
		first--
	}
	low := cassandra.Low(s)
	if _, bucket := cassandra.PlaceOf(low); bucket <= first {
		t.Errorf("after a look at a part that is empty one would begin at bucket %d again", bucket)
	}
	// An event in a part that is not yet passed is found.
	late := low + 1<<22
	shard, bucket := cassandra.PlaceOf(late)
	must(t, keyspace.session.Query(`INSERT INTO outbox (shard, bucket, post, author) VALUES (?, ?, ?, 1)`, shard, bucket, int64(late)).Exec())
	s.OnStep(nil)
	if id := oldest(t, s); id != late {
		t.Errorf("the oldest event is %d, want %d", id, late)
	}
}

// Events of another process that publishes are not read again and again by one that has
// nothing to relay; when that process is gone they are taken.
func TestRelay_StepsOverOthersEvents(t *testing.T) {
	t.Parallel()
	keyspace := emptied(t)
	const parts, other = 8, 4711 // one in each shard
	must(t, keyspace.session.Query(`INSERT INTO relays (one, origin, failing) VALUES (0, ?, false)`, other).Exec())
	s := open(t, keyspace.url)
	for i := range feed.PostID(parts) {
		id := feed.IDAt(time.Now().Add(-time.Minute)) + i<<12
		registered(t, keyspace, id)
		shard, bucket := cassandra.PlaceOf(id)
		must(t, keyspace.session.Query(`INSERT INTO outbox (shard, bucket, post, author, origin) VALUES (?, ?, ?, 1, ?) USING TIMESTAMP ?`,
			shard, bucket, int64(id), other, cassandra.StampOf(id)).Exec())
		must(t, cassandra.WritePost(s, bg, feed.Post{ID: id, Author: 1}))
	}
	reads := 0
	s.OnStep(func(at cassandra.Step) {
		if at == cassandra.StepPartition {
			reads++
		}
	})
	for range 6 {
		if published := relay(t, s); len(published) > 0 {
			t.Fatalf("published %v, which are another living process's", published)
		}
	}
	if reads == 0 || reads > 2*parts {
		t.Errorf("%d partitions were read, want those of its shards, once in some seconds", reads)
	}
	must(t, keyspace.session.Query(`DELETE FROM relays WHERE one = 0 AND origin = ?`, other).Exec())
	taken := 0
	eventually(t, "they are taken", func() bool {
		taken += len(relay(t, s))
		return taken == parts
	})
}

// A process whose posts others relay does not forget for ever which ones are whole.
func TestOutbox_ForgetsWhatOthersRelayed(t *testing.T) {
	t.Parallel()
	for bucket, want := range map[int64]bool{1: false, 2: true} {
		if got := cassandra.Whole(cassandra.FirstOf(bucket)); got != want {
			t.Errorf("with no event below bucket %d it remembers the next post: %v, want %v", bucket, got, want)
		}
	}
}
