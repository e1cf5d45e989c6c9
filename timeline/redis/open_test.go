package redis_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"skein/deploy/local/servers"
	"skein/feed"
	"skein/timeline"
	"skein/timeline/redis"
)

// A server that cannot be used is refused within ten seconds, in one line that
// names it and says what to do, and no password.
func TestOpenRefuses(t *testing.T) {
	locked := own(t, "--requirepass", "right")
	master, replica, cluster := own(t), own(t), ownNode(t)
	if err := raw(t, replica.URL()).ReplicaOf(ctx, "127.0.0.1", port(master.URL())).Err(); err != nil {
		t.Fatal(err)
	}
	stalled := own(t)
	if err := stalled.Pause(); err != nil {
		t.Fatal(err)
	}
	defer stalled.Resume()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "redis://" + listener.Addr().String()
	listener.Close()
	for name, c := range map[string]struct{ url, says string }{
		"down":           {nobody, "start it"},
		"stalled":        {stalled.URL(), "start it"},
		"no password":    {locked.URL(), "password"},
		"wrong password": {strings.Replace(locked.URL(), "//", "//:secret@", 1), "correct the user and password"},
		"a replica":      {replica.URL(), "use its master"},
		"a cluster":      {cluster.URL(), "redis-cluster://"},
		"no cluster":     {"redis-cluster" + strings.TrimPrefix(master.URL(), "redis"), "use a redis:// URL"},
		"cluster down":   {"redis-cluster" + strings.TrimPrefix(nobody, "redis"), "start it"},
		"cluster locked": {strings.Replace(locked.URL(), "redis://", "redis-cluster://:secret@", 1), "correct the user and password"},
		"half a cluster": {"redis-cluster" + strings.TrimPrefix(cluster.URL(), "redis"), "no slot of the cluster is served"},
		"cluster of two": {"redis-cluster://:secret@h:port:port,g", "redis-cluster://host:6379,host:6379"},
		"database of it": {"redis-cluster://h:1,g:2/3", "no databases"},
		"no database":    {master.URL() + "/99", "database"},
		"another scheme": {"http://localhost", "redis://host:6379"},
		"no URL at all":  {"redis://:secret@host:port:port", "redis://host:6379"},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := redis.Open(ctx, c.url, redis.Options{})
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "secret") {
				t.Errorf("Open: %v; want one line with %q", err, c.says)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// ownNode starts a server in cluster mode. It takes a second port, 10,000 above
// the first, which may be in use.
func ownNode(t *testing.T) (server *servers.Server) {
	t.Helper()
	var err error
	for range 10 {
		if server, err = servers.StartRedis(ctx, "", t.TempDir(), "--cluster-enabled", "yes"); err == nil {
			break
		}
	}
	must(t, server, err)
	t.Cleanup(func() { server.Kill() })
	return server
}

func port(url string) string { return url[strings.LastIndex(url, ":")+1:] }

// Settings that make Redis evict the wrong timelines are said loudly.
func TestOpenWarns(t *testing.T) {
	for _, c := range []struct {
		policy string
		warns  bool
	}{{"volatile-ttl", false}, {"allkeys-lru", true}, {"noeviction", true}} {
		server := own(t, "--maxmemory", "100mb", "--maxmemory-policy", c.policy)
		var log bytes.Buffer
		s, err := redis.Open(ctx, server.URL(), redis.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		if got := strings.Contains(log.String(), "level=WARN"); got != c.warns {
			t.Errorf("%s: %q", c.policy, log.String())
		}
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		opts  redis.Options
		field string // the one that is wrong
	}{
		{redis.Options{}, ""},
		{redis.Options{Cap: 1 << 14, Idle: time.Second, Prefix: "skein:"}, ""},
		{redis.Options{Cap: -1}, "Cap"},
		{redis.Options{Cap: 1<<14 + 1}, "Cap"},
		{redis.Options{Idle: 1}, "Idle"},
		{redis.Options{Prefix: "{"}, "Prefix"},
	} {
		err := c.opts.Validate()
		if c.field == "" {
			if err != nil {
				t.Errorf("%+v: %v", c.opts, err)
			}
			continue
		}
		wrong, ok := errors.AsType[*feed.Error](err)
		if !ok || wrong.Code != feed.CodeInvalid || len(wrong.Fields) != 1 || wrong.Fields[0].Field != c.field {
			t.Errorf("%+v: %v, want a violation of %s", c.opts, err, c.field)
		}
	}
}

func TestClosedIsUnavailable(t *testing.T) {
	s := open(t, shared(t), redis.Options{})
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	for name, call := range map[string]func() error{
		"Read":         func() error { _, err := s.Read(ctx, timeline.Query{Viewer: 1}); return err },
		"Create":       func() error { _, _, err := s.Create(ctx, 1, life); return err },
		"Finish":       func() error { _, err := s.Finish(ctx, 1, 1, nil, 0, 1); return err },
		"Fold":         func() error { _, err := s.Fold(ctx, 1, 1, 1, 2, nil); return err },
		"Barrier":      func() error { return s.Barrier(ctx, s.Mark()) },
		"Drop":         func() error { return s.Drop(ctx, 1) },
		"Announce":     func() error { return s.Announce(ctx, timeline.Act{Viewer: 1, Deleted: 1}) },
		"DeletedSince": func() error { _, err := s.DeletedSince(ctx, 0, 0); return err },
		"Stats":        func() error { _, err := s.Stats(ctx); return err },
	} {
		if err := call(); feed.CodeOf(err) != feed.CodeUnavailable || !strings.Contains(err.Error(), "closed") {
			t.Errorf("%s after Close: %v, want UNAVAILABLE", name, err)
		}
	}
}
