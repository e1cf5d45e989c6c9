package cassandra_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"skein/feed"
	"skein/storage/cassandra"
)

// W4: the time is Cassandra's, for a process whose clock is 5 s ahead or behind when it
// starts, and for one whose clock is set later; its ids are as young as everybody's.
func TestW4_TheClockIsCassandras(t *testing.T) {
	url := emptied(t)
	for _, off := range []time.Duration{5 * time.Second, -5 * time.Second} {
		var log bytes.Buffer
		c := &clock{}
		c.set(off)
		s, err := cassandra.Open(bg, url.url, cassandra.Options{Clock: c.now, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		must(t, err)
		defer s.Close()
		if said := log.String(); !strings.Contains(said, "synchronise") {
			t.Errorf("a clock that is off by %v is not warned of: %q", off, said)
		}
		ids := feed.NewIDs(s, s.Now)
		for _, set := range []time.Duration{off, 0, -off} {
			c.set(set)
			if set > off {
				if _, err := s.OldestEvent(bg); feed.CodeOf(err) != feed.CodeUnavailable {
					t.Errorf("set ahead by %v, unnoticed yet: OldestEvent %v, want feed.CodeUnavailable (I6)", set-off, err)
				}
			}
			oldest(t, s) // as is asked all the time
			before := time.Now()
			id, err := ids.Next(bg)
			must(t, err)
			// This machine's clock is Cassandra's too.
			if at := id.Time(); at.Before(before.Add(-time.Second)) || at.After(time.Now().Add(time.Second)) {
				t.Errorf("a clock off by %v gives an id that is off by %v", set, at.Sub(before))
			}
			eventually(t, "a post commits before its id is late", func() bool {
				id, err := ids.Next(bg)
				must(t, err)
				_, err = s.CreatePost(bg, draft(id, 1, ""))
				return err == nil
			})
			off = set
		}
	}
}
