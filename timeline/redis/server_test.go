package redis_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"skein/deploy/local/servers"
	"skein/feed"
	"skein/timeline"
	"skein/timeline/redis"
)

const life = 3

var ctx = context.Background()

// common is the server of those tests that leave a server as it is.
var common struct {
	once   sync.Once
	server *servers.Server
	err    error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if commonCluster.cluster != nil {
		commonCluster.cluster.Kill()
		os.RemoveAll(commonCluster.dir)
	}
	if common.server != nil {
		common.server.Stop(ctx)
		os.RemoveAll(common.server.Dir())
	}
	if code == 0 {
		// The driver looks each second whether a server that refused many
		// connections takes them again, or its client was closed.
		dialling := goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial")
		if err := goleak.Find(dialling); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			code = 1
		}
	}
	os.Exit(code)
}

// shared returns the URL of SKEIN_TEST_REDIS, or of a server that all tests of
// this package share. Keys have prefixes, so nobody meets another's.
func shared(t testing.TB) string {
	t.Helper()
	if url := os.Getenv("SKEIN_TEST_REDIS"); url != "" {
		return url
	}
	common.once.Do(func() {
		var dir string
		if dir, common.err = os.MkdirTemp("", "skein-redis"); common.err == nil {
			common.server, common.err = servers.StartRedis(ctx, "", dir)
		}
	})
	return must(t, common.server, common.err).URL()
}

// own starts a server for a test that kills, stops or empties it.
func own(t testing.TB, args ...string) *servers.Server {
	t.Helper()
	server, err := servers.StartRedis(ctx, "", t.TempDir(), args...)
	must(t, server, err)
	t.Cleanup(func() {
		if err := server.Kill(); err != nil {
			t.Errorf("kill redis: %v", err)
		}
	})
	return server
}

// must skips a test, loudly, where no Redis can be had; in CI it fails.
func must(t testing.TB, server *servers.Server, err error) *servers.Server {
	t.Helper()
	if _, missing := errors.AsType[*servers.MissingError](err); missing && os.Getenv("CI") != "true" {
		t.Skipf("NOT TESTED: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// open opens a store under a prefix that nobody else has.
func open(t testing.TB, url string, opts redis.Options) *redis.Store {
	t.Helper()
	if opts.Prefix == "" {
		opts.Prefix = "test" + rand.Text() + ":"
	}
	opts.Logger = slog.New(slog.DiscardHandler)
	s, err := redis.Open(ctx, url, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// raw returns a client that sees what the store wrote.
func raw(t testing.TB, url string) *goredis.Client {
	t.Helper()
	o, err := goredis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := goredis.NewClient(o)
	t.Cleanup(func() { c.Close() })
	return c
}

// build makes a live timeline with posts 1 to n.
func build(t testing.TB, s *redis.Store, v feed.UserID, n int) timeline.Token {
	t.Helper()
	token, ok, err := s.Create(ctx, v, life)
	if err != nil || !ok {
		t.Fatalf("Create(%d): %v, %v", v, ok, err)
	}
	scan := make([]timeline.Entry, n)
	for i := range scan {
		scan[i] = timeline.Rebuilt(feed.PostID(n - i))
	}
	if ok, err := s.Finish(ctx, v, token, scan, 0, 1); err != nil || !ok {
		t.Fatalf("Finish(%d): %v, %v", v, ok, err)
	}
	return token
}

func deliver(t testing.TB, s *redis.Store, post feed.PostID, viewers ...feed.UserID) timeline.Outcome {
	t.Helper()
	out, err := s.Deliver(ctx, []timeline.Delivery{{Post: post, Viewers: viewers}})
	if len(out.Undelivered) > 0 {
		err = out.Undelivered[0].Err
	}
	if err != nil {
		t.Fatalf("Deliver: %v", err)
	}
	return out
}

func read(t testing.TB, s *redis.Store, v feed.UserID) timeline.Page {
	t.Helper()
	page, err := s.Read(ctx, timeline.Query{Viewer: v, Before: feed.MaxPostID, Limit: 1000, Life: life})
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// shows fails unless v's timeline is live with just these posts.
func shows(t testing.TB, s *redis.Store, v feed.UserID, posts ...feed.PostID) {
	t.Helper()
	page := read(t, s, v)
	ok := page.State == timeline.Live && len(page.Entries) == len(posts)
	for i := range posts {
		ok = ok && page.Entries[i].ID() == posts[i]
	}
	if !ok {
		t.Fatalf("timeline of %d: %+v; want live with %v", v, page, posts)
	}
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			t.Fatalf("still not so: %s", what)
		case <-tick.C:
		}
	}
}

// keyOf is the key of v's timeline.
func keyOf(prefix string, v feed.UserID) string {
	return prefix + "t:{" + strconv.FormatInt(int64(v), 36) + "}"
}

// infoNumber is a number that the server tells of itself.
func infoNumber(t testing.TB, c *goredis.Client, name string) int64 {
	t.Helper()
	info, err := c.Info(ctx).Result()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(info, "\n"+name+":")
	text, _, _ := strings.Cut(rest, "\r")
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatalf("INFO tells no %s: %v", name, err)
	}
	return n
}
