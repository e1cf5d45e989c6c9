package fanout

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"skein/fanout/eventlog"
	"skein/fanout/eventlog/embedded"
	"skein/feed"
)

// asideLog is a log in which posts are set aside.
func asideLog(t *testing.T, posts ...feed.PostID) eventlog.Log {
	t.Helper()
	log, err := embedded.Open("log", Topics(), embedded.Options{FS: vfs.NewMem(), Logger: slog.New(slog.DiscardHandler), Retention: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, id := range posts {
		setAside(t, log, id)
	}
	return log
}

func setAside(t *testing.T, log eventlog.Log, id feed.PostID) {
	t.Helper()
	r := asideRecord(topicPosts, eventlog.Record{Key: []byte("x"), Post: id}, 7, errors.New("a reason"))
	if err := log.Append(t.Context(), topicAside, r); err != nil {
		t.Fatal(err)
	}
}

// F5: where the topic was made again, what is set aside now is listed, whether the topic
// is shorter than it was, as long, or longer; and what was replayed of the old one hides
// nothing. What retention removes, as it was replayed, is not missed.
func TestAsideOfATopicMadeAgain(t *testing.T) {
	t.Parallel()
	first := asideLog(t, 1, 2, 3)
	if err := first.Append(t.Context(), topicAside, replayedRecord(0)); err != nil {
		t.Fatal(err)
	}
	list := asideList{log: first}
	want := func(posts ...feed.PostID) {
		t.Helper()
		refs, err := list.refresh(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []feed.PostID
		for _, r := range refs {
			got = append(got, r.Post)
		}
		if !slices.Equal(got, posts) {
			t.Errorf("listed are %v, want %v", got, posts)
		}
	}
	want(3, 2)
	for _, posts := range [][]feed.PostID{{11}, {}, {21, 22, 23, 24}, {31, 32, 33, 34, 35}, {41, 42}} {
		list.log = asideLog(t, posts...)
		slices.Reverse(posts)
		want(posts...)
		want(posts...)
	}
	setAside(t, list.log, 43)
	want(43, 42, 41)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := list.log.Consume(ctx, groupReplay, topicAside, func(ctx context.Context, p eventlog.Partition) error {
		defer cancel()
		return p.Commit(ctx, 3)
	})
	records, readErr := list.log.Read(t.Context(), topicAside, 0, 0, 1)
	if err = errors.Join(err, readErr); err != nil || len(records) > 0 {
		t.Fatalf("retention left %v, %v", records, err)
	}
	want()
	setAside(t, list.log, 44)
	want(44)
}

// behind is a log that has less than it says.
type behind struct{ eventlog.Log }

func (behind) Read(context.Context, string, int, int64, int) ([]eventlog.Record, error) {
	return nil, nil
}

// A record that should be there and cannot be read holds the list up, as a new leader
// may not show it yet, but not for ever.
func TestAsideOfALogThatIsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := asideLog(t, 1, 2)
		list := asideList{log: log}
		if refs, err := list.refresh(t.Context()); err != nil || len(refs) != 2 {
			t.Fatalf("listed %v, %v", refs, err)
		}
		list.log = behind{log}
		began := time.Now()
		for time.Since(began) < unreadableFor {
			if refs, err := list.refresh(t.Context()); feed.CodeOf(err) != feed.CodeUnavailable {
				t.Fatalf("after %v: listed %v, %v", time.Since(began), refs, err)
			}
			time.Sleep(time.Second) // of a clock that only this test has
		}
		if refs, err := list.refresh(t.Context()); err != nil || len(refs) != 0 {
			t.Errorf("in the end listed %v, %v", refs, err)
		}
	})
}
