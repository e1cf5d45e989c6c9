package cassandra_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"skein/deploy/local/servers"
	"skein/storage/cassandra"
	"skein/storage/storagetest"
)

var bg = context.Background()

// silent keeps the store's few lines out of the tests' output.
var silent = slog.New(slog.NewTextHandler(io.Discard, nil))

// ours is the server of all tests that do not break theirs: the one that
// SKEIN_TEST_CASSANDRA names, else one that is started for them, of three nodes if
// SKEIN_TEST_CLUSTERS is "true". Making a keyspace
// takes seconds, so there are as many with the schema as tests ran at once, and each is
// emptied before the next test gets it.
var ours struct {
	sync.Once
	server string // the URL of another keyspace
	err    error
	stop   []func()
	spaces struct {
		sync.Mutex
		free []*space
	}
}

// space is a keyspace with the schema, which one test has at a time.
type space struct {
	url     string
	session *gocql.Session
}

func TestMain(m *testing.M) {
	if url := os.Getenv(asPoster); url != "" {
		poster(url)
	}
	code := m.Run()
	for _, s := range ours.spaces.free {
		s.session.Close()
		dropKeyspace(s.url)
	}
	for _, stop := range slices.Backward(ours.stop) {
		stop()
	}
	// A closed session may still wait for its nodes to agree on a schema, for a minute at
	// most; the driver has no way to stop that.
	waits := goleak.IgnoreTopFunction("github.com/gocql/gocql.(*Conn).awaitSchemaAgreement")
	if err := goleak.Find(waits); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func startOurs() error {
	if ours.server = os.Getenv("SKEIN_TEST_CASSANDRA"); ours.server != "" {
		return nil
	}
	dir, err := os.MkdirTemp("", "skein-cassandra-")
	if err != nil {
		return err
	}
	ours.stop = append(ours.stop, func() { os.RemoveAll(dir) })
	nodes := 1
	if os.Getenv(clusterTests) == "true" {
		nodes = 3
	}
	started, err := servers.StartCassandraCluster(bg, servers.Spec{Dir: dir, NoSync: true, Brief: true}, nodes)
	if err != nil {
		return err
	}
	ours.stop = append(ours.stop, func() { started.Kill() })
	ours.server = started.URL()
	return nil
}

// newKeyspace is the URL of a keyspace that is not there.
func newKeyspace(t testing.TB) string {
	t.Helper()
	ours.Do(func() { ours.err = startOurs() })
	servers.Require(t, ours.err)
	return withKeyspace(ours.server, fmt.Sprintf("skein_test_%x", rand.Uint64()))
}

// withKeyspace returns the URL with another keyspace.
func withKeyspace(url, name string) string {
	slash := strings.Index(url, "://") + 3
	slash += strings.IndexByte(url[slash:], '/') + 1
	rest := ""
	if option := strings.IndexByte(url, '?'); option > 0 {
		rest = url[option:]
	}
	return url[:slash] + name + rest
}

func keyspaceOf(url string) string {
	name, _, _ := strings.Cut(url[strings.LastIndexByte(url, '/')+1:], "?")
	return name
}

// dropKeyspace has the server drop a keyspace, which takes it seconds, and does not
// wait for it.
func dropKeyspace(url string) {
	if session, err := cassandra.Session(withKeyspace(url, "system")); err == nil {
		ctx, cancel := context.WithTimeout(bg, 100*time.Millisecond)
		defer cancel()
		_ = session.Query("DROP KEYSPACE IF EXISTS " + keyspaceOf(url)).WithContext(ctx).Exec()
		session.Close()
	}
}

// tables are those of the schema that a test may fill.
var tables = []string{
	"posts", "posts_by_author", "outbox", "outbox_spans", "relays", "decisions", "deletes", "requests", "leases",
	"users", "numbers", "follows", "followers", "wide_authors", "follower_counts", "shared", "agreement",
}

// emptied returns a keyspace with nothing in it, for this test alone.
func emptied(t testing.TB) *space {
	t.Helper()
	s := takeSpace(t)
	t.Cleanup(func() {
		ours.spaces.Lock()
		defer ours.spaces.Unlock()
		ours.spaces.free = append(ours.spaces.free, s)
	})
	var all errgroup.Group
	for _, table := range tables {
		all.Go(func() error {
			some := s.session.Query("SELECT * FROM " + table + " LIMIT 1").Iter()
			rows := some.NumRows()
			// What was removed with a stamp is there, with it, though no row is.
			stamped := table == "followers" || table == "outbox" || table == "outbox_spans"
			if err := some.Close(); err != nil || rows == 0 && !stamped {
				return err
			}
			return s.session.Query("TRUNCATE " + table).Exec()
		})
	}
	must(t, all.Wait())
	return s
}

func takeSpace(t testing.TB) *space {
	t.Helper()
	url := newKeyspace(t)
	ours.spaces.Lock()
	if n := len(ours.spaces.free); n > 0 {
		s := ours.spaces.free[n-1]
		ours.spaces.free = ours.spaces.free[:n-1]
		ours.spaces.Unlock()
		return s
	}
	ours.spaces.Unlock()
	must(t, cassandra.Migrate(bg, url))
	session, err := cassandra.Session(url)
	must(t, err)
	// No node of ours is killed, and emptying is cheap where nothing goes to the disk. Of
	// several nodes Open demands it.
	if hosts, _, _, _, _ := cassandra.ParseURL(url); len(hosts) == 1 {
		must(t, session.Query("ALTER KEYSPACE "+keyspaceOf(url)+" WITH durable_writes = false").Exec())
	}
	return &space{url, session}
}

func open(t testing.TB, url string) *cassandra.Store {
	t.Helper()
	s, err := cassandra.Open(bg, url, cassandra.Options{Logger: silent})
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func stores(t testing.TB, url string) storagetest.Stores {
	s := open(t, url)
	hosts, _, _, _, err := cassandra.ParseURL(url)
	must(t, err)
	return storagetest.Stores{Posts: s, Graph: s, InDoubt: len(hosts) > 1, Reopen: func(t testing.TB) storagetest.Stores {
		must(t, s.Close())
		return stores(t, url)
	}}
}

func TestSuite(t *testing.T) {
	storagetest.Run(t, func(t testing.TB) storagetest.Stores { return stores(t, emptied(t).url) })
}

func BenchmarkSuite(b *testing.B) {
	storagetest.Benchmark(b, func(b testing.TB) storagetest.Stores { return stores(b, emptied(b).url) })
}
