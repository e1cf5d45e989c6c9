package redis_test

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"skein/deploy/local/servers"
	"skein/timeline/redis"
)

// T7: all servers of a cluster come back under other addresses. Those that the URL
// names, such as the name of a service, are asked again.
func TestClusterElsewhere(t *testing.T) {
	first := ownCluster(t, servers.ClusterSpec{})
	var behind atomic.Value // the address of the server behind the name
	behind.Store(strings.TrimPrefix(first.Servers()[0].URL(), "redis://"))
	s := open(t, "redis-cluster://"+forward(t, &behind), redis.Options{Cap: 100, Prefix: "elsewhere"})
	build(t, s, 1, 3)
	shows(t, s, 1, 3, 2, 1)

	second := sharedCluster(t)
	at, _, _ := strings.Cut(strings.TrimPrefix(second, "redis-cluster://"), ",")
	behind.Store(at)
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "timelines can be built", func() bool {
		_, ok, err := s.Create(ctx, 1, 0)
		return err == nil && ok
	})
	if err := s.Drop(ctx, 1); err != nil {
		t.Fatal(err)
	}
	build(t, s, 1, 4)
	shows(t, s, 1, 4, 3, 2, 1)
}

// forward listens, and connects whoever comes to the address in behind. It ends with
// the test.
func forward(t *testing.T, behind *atomic.Value) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", behind.Load().(string))
			if err != nil {
				_ = client.Close()
				continue
			}
			pipe := func(to, from net.Conn) { _, _ = io.Copy(to, from); _ = to.Close() }
			go pipe(server, client)
			go pipe(client, server)
		}
	}()
	return l.Addr().String()
}
