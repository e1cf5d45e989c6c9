package postgres_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"skein/feed"
	"skein/storage"
	"skein/storage/postgres"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// stall makes transactions stop at a place that the test chooses, until release:
// those that write to table, in rows of which when (SQL, of NEW) is true. At "AFTER"
// they stop in their commit, when all their statements are done and nothing of them
// is visible: as a commit stalls that waits for the disk or for a standby. At
// "BEFORE" they stop in the statement itself. waiting returns when one stands there.
func stall(t *testing.T, url, at, table, when string) (waiting, release func()) {
	t.Helper()
	trigger, deferred, result := "TRIGGER", "", "NEW"
	if at == "AFTER" {
		trigger, deferred, result = "CONSTRAINT TRIGGER", "DEFERRABLE INITIALLY DEFERRED", "NULL"
	}
	c := connect(t, url)
	exec(t, c, `SELECT pg_advisory_lock(1, 1)`)
	exec(t, c, `CREATE FUNCTION stall() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN PERFORM pg_advisory_xact_lock_shared(1, 1); RETURN `+result+`; END $$`)
	exec(t, c, fmt.Sprintf(`CREATE %s stall %s INSERT OR UPDATE ON %s %s FOR EACH ROW WHEN (%s) EXECUTE FUNCTION stall()`,
		trigger, at, table, deferred, when))
	waiting = func() {
		t.Helper()
		eventually(t, "a transaction stalls", func() bool {
			return value[bool](t, c, `SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = 1 AND objsubid = 2 AND NOT granted
				AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`)
		})
	}
	release = sync.OnceFunc(func() { exec(t, c, `SELECT pg_advisory_unlock(1, 1)`) })
	t.Cleanup(release)
	return waiting, release
}

func exec(t testing.TB, c *pgx.Conn, sql string, args ...any) {
	t.Helper()
	_, err := c.Exec(bg, sql, args...)
	must(t, err)
}

func value[T any](t testing.TB, c *pgx.Conn, sql string, args ...any) (v T) {
	t.Helper()
	must(t, c.QueryRow(bg, sql, args...).Scan(&v))
	return v
}

// eventually asks until it is so; what is asked takes its time.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !so(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v until %s", patience, what)
		}
	}
}

// outcome is how a call in another goroutine ended.
type outcome[T any] struct {
	value T
	err   error
}

func start[T any](call func() (T, error)) <-chan outcome[T] {
	done := make(chan outcome[T], 1)
	go func() {
		v, err := call()
		done <- outcome[T]{v, err}
	}()
	return done
}

// receive waits for a call, but not for ever.
func receive[T any](t testing.TB, what string, c <-chan outcome[T]) T {
	t.Helper()
	select {
	case o := <-c:
		must(t, o.err)
		return o.value
	case <-time.After(patience):
		t.Fatalf("waited %v until %s", patience, what)
		panic("unreachable")
	}
}

// takeID returns an id taken now under a grant, as the write path's are.
func takeID(t testing.TB, s *postgres.Store) feed.PostID {
	t.Helper()
	id, err := feed.NewIDs(s, time.Now).Next(bg)
	must(t, err)
	return id
}

func draft(id feed.PostID, author feed.UserID, key string) storage.Draft {
	return storage.Draft{Post: feed.Post{ID: id, Author: author, Text: fmt.Sprint("post of ", author)}, RequestID: key}
}

func create(s *postgres.Store, d storage.Draft) <-chan outcome[feed.Post] {
	return start(func() (feed.Post, error) { return s.CreatePost(bg, d) })
}

func oldest(t testing.TB, s *postgres.Store) feed.PostID {
	t.Helper()
	id, err := s.OldestEvent(bg)
	must(t, err)
	return id
}

// relay publishes to a list.
func relay(t testing.TB, s *postgres.Store, limit int) (oldest feed.PostID, published []feed.PostID) {
	t.Helper()
	_, err := s.Relay(bg, limit, func(o feed.PostID, events []storage.Event) error {
		oldest = o
		for _, e := range events {
			published = append(published, e.Post)
		}
		return nil
	})
	must(t, err)
	return oldest, published
}

func wantOneLine(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that says %q", parts)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%q has more than one line", err)
	}
	for _, part := range append(parts, "PostgreSQL") {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}
