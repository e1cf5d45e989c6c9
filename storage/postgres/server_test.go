package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"skein/deploy/local/servers"
	"skein/storage/postgres"
	"skein/storage/storagetest"
)

var bg = context.Background()

// silent keeps the store's few lines out of the tests' output.
var silent = slog.New(slog.NewTextHandler(io.Discard, nil))

// ours is the server of all tests that do not break theirs: the one that
// SKEIN_TEST_POSTGRES names (its user must be allowed to make databases), else one
// that is started for them.
var ours struct {
	sync.Once
	url      string
	template string // a database with the schema, to be copied
	err      error
	stop     []func()
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, stop := range ours.stop {
		stop()
	}
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func startOurs() error {
	ours.url = os.Getenv("SKEIN_TEST_POSTGRES")
	if ours.url == "" {
		dir, err := os.MkdirTemp("", "skein-postgres-")
		if err != nil {
			return err
		}
		ours.stop = append(ours.stop, func() { os.RemoveAll(dir) })
		server, err := servers.StartPostgres(bg, "", dir)
		if err != nil {
			return err
		}
		ours.stop = append([]func(){func() { server.Kill() }}, ours.stop...)
		ours.url = server.URL()
	}
	ours.template = fmt.Sprintf("skein_template_%x", rand.Uint32())
	if err := execute(ours.url, "CREATE DATABASE "+ours.template); err != nil {
		return err
	}
	ours.stop = append([]func(){func() { execute(ours.url, "DROP DATABASE "+ours.template+" WITH (FORCE)") }}, ours.stop...)
	return postgres.Migrate(bg, withDatabase(ours.url, ours.template))
}

// serverURL returns the server that tests share.
func serverURL(t testing.TB) string {
	t.Helper()
	ours.Do(func() { ours.err = startOurs() })
	if ours.err != nil {
		noServer(t, ours.err)
	}
	return ours.url
}

// ownServer starts a server that the test may break.
func ownServer(t testing.TB) *servers.Server {
	t.Helper()
	server, err := servers.StartPostgres(bg, "", t.TempDir())
	if err != nil {
		noServer(t, err)
	}
	t.Cleanup(func() { server.Kill() })
	return server
}

// noServer skips when no server can be had, except where all must be tested.
func noServer(t testing.TB, err error) {
	t.Helper()
	var missing *servers.MissingError
	if os.Getenv("CI") == "true" || !errors.As(err, &missing) {
		t.Fatal(err)
	}
	t.Skipf("NOT TESTED ON POSTGRESQL: %v", err)
}

var databases atomic.Int64

// database returns the URL of a database with the schema and nothing in it.
func database(t testing.TB) string {
	t.Helper()
	server := serverURL(t)
	return copyOf(t, server, ours.template)
}

// emptyDatabase returns the URL of a database without the schema.
func emptyDatabase(t testing.TB) string {
	t.Helper()
	return copyOf(t, serverURL(t), "template1")
}

func copyOf(t testing.TB, server, template string) string {
	t.Helper()
	name := fmt.Sprintf("%s_%d", ours.template, databases.Add(1))
	must(t, execute(server, fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s", name, template)))
	if os.Getenv("SKEIN_TEST_POSTGRES") != "" { // our own server goes as a whole
		t.Cleanup(func() { execute(server, "DROP DATABASE "+name+" WITH (FORCE)") })
	}
	return withDatabase(server, name)
}

// withDatabase returns the URL with another database.
func withDatabase(server, name string) string {
	u, err := url.Parse(server)
	if err != nil {
		panic(err) // of SKEIN_TEST_POSTGRES, which the tests have used by now
	}
	u.Path = "/" + name
	return u.String()
}

// withOption returns the URL with another option.
func withOption(server, name, value string) string {
	u, err := url.Parse(server)
	if err != nil {
		panic(err)
	}
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return u.String()
}

func execute(server, sql string) error {
	c, err := pgx.Connect(bg, server)
	if err != nil {
		return err
	}
	defer c.Close(bg)
	_, err = c.Exec(bg, sql)
	return err
}

// connect returns a connection beside the store's.
func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(bg, url)
	must(t, err)
	t.Cleanup(func() { c.Close(bg) })
	return c
}

func open(t testing.TB, url string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(bg, url, postgres.Options{Logger: silent})
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
	return storagetest.Stores{Posts: s, Graph: s, Reopen: func(t testing.TB) storagetest.Stores {
		must(t, s.Close())
		return stores(t, url)
	}}
}

func TestSuite(t *testing.T) {
	storagetest.Run(t, func(t testing.TB) storagetest.Stores { return stores(t, database(t)) })
}

func BenchmarkSuite(b *testing.B) {
	storagetest.Benchmark(b, func(b testing.TB) storagetest.Stores { return stores(b, database(b)) })
}

// withHost returns the URL with another host, and the host that it had.
func withHost(server, host string) (changed, was string) {
	u, err := url.Parse(server)
	if err != nil {
		panic(err)
	}
	was, u.Host = u.Host, host
	return u.String(), was
}
