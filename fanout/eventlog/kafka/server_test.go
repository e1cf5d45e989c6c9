package kafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"skein/deploy/local/servers"
)

func TestMain(m *testing.M) {
	if playMember() {
		return
	}
	code := m.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// shared is the broker that tests share, unless SKEIN_TEST_KAFKA names one. It
// is started when the first asks for it.
var shared sharedServer

type sharedServer struct {
	once   sync.Once
	server *servers.Server
	dir    string
	err    error
}

func (s *sharedServer) start() (*servers.Server, error) {
	s.once.Do(func() {
		if s.dir, s.err = os.MkdirTemp("", "skein-kafka"); s.err == nil {
			s.server, s.err = servers.StartKafka(context.Background(), "", s.dir, servers.Brief())
		}
	})
	return s.server, s.err
}

func (s *sharedServer) stop() error {
	var err error
	if s.server != nil {
		err = s.server.Kill()
	}
	if s.dir != "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}

// brokers is the URL of the tests' cluster, without a prefix.
func brokers(t testing.TB) string {
	t.Helper()
	if url := os.Getenv("SKEIN_TEST_KAFKA"); url != "" {
		return url
	}
	server, err := shared.start()
	must(t, orSkip(t, err))
	return server.URL()
}

// ownBroker starts a broker that the test may stop and pause.
func ownBroker(t testing.TB) *servers.Server {
	t.Helper()
	server, err := servers.StartKafka(t.Context(), "", t.TempDir(), servers.Brief())
	must(t, orSkip(t, err))
	t.Cleanup(func() { must(t, server.Kill()) })
	return server
}

// orSkip skips a test where Kafka cannot be had, loudly, but not in CI.
func orSkip(t testing.TB, err error) error {
	t.Helper()
	missing := new(servers.MissingError)
	if errors.As(err, &missing) && os.Getenv("CI") != "true" {
		t.Skipf("NOT TESTED: %v, or name a cluster in SKEIN_TEST_KAFKA", missing)
	}
	return err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
