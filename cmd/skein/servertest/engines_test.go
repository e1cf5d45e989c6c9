package servertest

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"skein/deploy/local/servers"
)

// stack is what fleets run over: engines, by their names in package servers, beside
// Kafka.
type stack struct {
	name, posts, graph, timelines string
	// rate is the calls a second of a load on an intact fleet.
	rate float64
}

var (
	onServers = stack{"servers", servers.Postgres, servers.Postgres, servers.Redis, 100}
	onCluster = stack{"cluster", servers.Cassandra, servers.Cassandra, servers.RedisCluster, 15}
	onBoth    = stack{"both", servers.Cassandra, servers.Postgres, servers.RedisCluster, 30}
)

// clusters says whether there are clusters, whose nodes can fail: three of Cassandra, and
// a replica for each master of Redis. See make test-cluster.
var clusters = os.Getenv("SKEIN_TEST_CLUSTERS") == "true"

// ours is what all tests share: the engines, which they may break and must mend,
// the program, and the fleets.
var ours shared

type shared struct {
	once    sync.Once
	err     error
	dir     string
	skein   string // the program
	bent    string // its test binary, which is the program with a clock that is off
	engines map[string]*engine
	fleets  map[string]*fleet
}

// engine is one that was started, or could not be.
type engine struct {
	servers []*servers.Server
	cluster *servers.Cluster // of RedisCluster
	url     string           // of all its servers
	err     error
}

// begin starts the engines of a stack and builds skein, or skips the test.
func (s *shared) begin(t *testing.T, on stack) {
	t.Helper()
	s.once.Do(func() {
		s.engines, s.fleets = map[string]*engine{}, map[string]*fleet{}
		s.dir, s.err = os.MkdirTemp("", "skein-servers-")
	})
	must(t, s.err)
	var starting sync.WaitGroup
	for _, name := range []string{servers.Kafka, on.posts, on.graph, on.timelines} {
		if s.engines[name] == nil {
			e := &engine{}
			s.engines[name] = e
			starting.Go(func() { e.err = e.start(name, filepath.Join(s.dir, name)) })
		}
	}
	if s.skein == "" {
		starting.Go(func() { s.err = s.build() })
	}
	starting.Wait()
	must(t, s.err)
	for _, e := range s.engines {
		servers.Require(t, e.err)
		for _, server := range e.servers { // as a test that failed left it
			must(t, server.Resume())
			if !server.Running() {
				must(t, server.Start(t.Context()))
			}
		}
	}
}

func (e *engine) start(name, dir string) (err error) {
	ctx := context.Background()
	switch name {
	case servers.RedisCluster:
		if e.cluster, err = servers.StartRedisCluster(ctx, servers.ClusterSpec{Dir: dir, Replicas: true}); err == nil {
			e.servers, e.url = e.cluster.Servers(), e.cluster.URL()
		}
	case servers.Cassandra:
		var ring *servers.Ring
		if ring, err = servers.StartCassandraCluster(ctx, servers.Spec{Dir: dir, Brief: true}, 3); err == nil {
			e.servers, e.url = ring.Servers(), ring.URL()
		}
	default:
		var one *servers.Server
		if one, err = servers.Start(ctx, servers.Spec{Engine: name, Dir: dir, Brief: true}); err == nil {
			e.servers, e.url = []*servers.Server{one}, one.URL()
		}
	}
	return err
}

func (s *shared) url(engine string) string { return s.engines[engine].url }

func (s *shared) servers(engine string) []*servers.Server { return s.engines[engine].servers }

func (s *shared) postgres() *servers.Server { return s.servers(servers.Postgres)[0] }
func (s *shared) kafka() *servers.Server    { return s.servers(servers.Kafka)[0] }
func (s *shared) redis() *servers.Server    { return s.servers(servers.Redis)[0] }

func (s *shared) build() (err error) {
	s.skein, err = s.compile("skein", "build", "-buildvcs=false")
	return err
}

// compile makes a program of package cmd/skein.
func (s *shared) compile(name string, how ...string) (program string, err error) {
	program = filepath.Join(s.dir, name)
	build := exec.Command("go", append(how, "-o", program, "skein/cmd/skein")...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as ever, also in a test for races
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return program, nil
}

// end leaves nothing running and no file.
func (s *shared) end() error {
	for _, f := range s.fleets {
		f.kill()
	}
	var errs []error
	for _, e := range s.engines {
		for _, server := range e.servers {
			errs = append(errs, server.Kill())
		}
	}
	if s.dir != "" {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	return errors.Join(errs...)
}

// storage returns the URL of an empty database or keyspace.
func (s *shared) storage(t *testing.T, engine, name string) string {
	t.Helper()
	if engine == servers.Postgres {
		return s.database(t, name)
	}
	return strings.TrimSuffix(s.url(engine), "skein") + name // migrate makes it
}

// database makes an empty database and returns its URL. One of that name, of a test
// that ran before, goes.
func (s *shared) database(t *testing.T, name string) string {
	t.Helper()
	s.sql(t, "skein", "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	s.sql(t, "skein", "CREATE DATABASE "+name)
	u, err := url.Parse(s.url(servers.Postgres))
	must(t, err)
	u.Path = "/" + name
	return u.String()
}

// sql runs one statement, in the simple form of PostgreSQL's protocol.
func (s *shared) sql(t *testing.T, database, statement string) {
	t.Helper()
	ask(t, s.postgres(), func(connection net.Conn) error {
		hello := "\x00\x03\x00\x00user\x00skein\x00database\x00" + database + "\x00\x00"
		query := statement + "\x00"
		_, _ = connection.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(hello)+4)), hello...))
		_, _ = connection.Write(append(binary.BigEndian.AppendUint32([]byte{'Q'}, uint32(len(query)+4)), query...))
		for ready := 0; ready < 2; { // once for the session, once for the statement
			var head struct {
				Kind   byte
				Length int32
			}
			if err := binary.Read(connection, binary.BigEndian, &head); err != nil {
				return err
			}
			body := make([]byte, head.Length-4)
			if _, err := io.ReadFull(connection, body); err != nil {
				return err
			}
			switch head.Kind {
			case 'E':
				return fmt.Errorf("%s: %q", statement, body)
			case 'Z':
				ready++
			}
		}
		return nil
	})
}

// redisSays has a Redis carry out a command, and returns its answer, a string.
func redisSays(t *testing.T, server *servers.Server, command string) (answer string) {
	t.Helper()
	ask(t, server, func(connection net.Conn) error {
		fmt.Fprintf(connection, "%s\r\n", command)
		from := bufio.NewReader(connection)
		line, err := from.ReadString('\n')
		answer = strings.TrimSpace(line)
		if length, ok := strings.CutPrefix(answer, "$"); ok {
			var n int
			_, err = fmt.Sscan(length, &n)
			text := make([]byte, max(n, 0))
			if err == nil {
				_, err = io.ReadFull(from, text)
			}
			answer = string(text)
		}
		if err == nil && strings.HasPrefix(answer, "-") {
			err = fmt.Errorf("%s: %s", command, answer)
		}
		return err
	})
	return answer
}

// ask has a conversation with a server.
func ask(t *testing.T, server *servers.Server, question func(net.Conn) error) {
	t.Helper()
	u, err := url.Parse(server.URL())
	must(t, err)
	connection, err := net.Dial("tcp", u.Host)
	must(t, err)
	defer connection.Close()
	must(t, connection.SetDeadline(time.Now().Add(patience)))
	must(t, question(connection))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
