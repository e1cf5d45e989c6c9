package servers

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	if what := os.Getenv(asStarter); what != "" {
		starter(what)
	}
	if os.Getenv("SKEIN_TEST_ENGINES") == "none" {
		fmt.Println("SKIP, NOT TESTED: SKEIN_TEST_ENGINES is none")
		return
	}
	goleak.VerifyTestMain(m)
}

// conversation is how a test writes to a server, and reads that back.
type conversation struct {
	spec        Spec
	write, read func(net.Conn) error
}

var conversations = []conversation{
	{Spec{Engine: Redis, Args: []string{"--appendonly", "yes", "--appendfsync", "always"}}, redisSays("SET k 1", "+OK"), redisSays("STRLEN k", ":1")},
	{Spec{Engine: Postgres}, postgresSays("CREATE TABLE kept (id int)"), postgresSays("SELECT id FROM kept")},
	{Spec{Engine: Kafka, Brief: true}, makeTopic(0), makeTopic(36)}, // 36: it exists
	{
		Spec{Engine: Cassandra, Brief: true},
		cassandraSays("CREATE KEYSPACE kept WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}", ""),
		cassandraSays("CREATE KEYSPACE kept WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}", "existing keyspace"),
	},
}

// TestLife takes each engine through everything that a test does with one.
func TestLife(t *testing.T) {
	for _, c := range conversations {
		t.Run(c.spec.Engine, func(t *testing.T) {
			if testing.Short() && c.spec.Engine != Redis {
				t.Skip("takes seconds to start")
			}
			t.Parallel()
			c.spec.Dir = t.TempDir()
			s := launchServer(t, c.spec)
			url := s.URL()
			say(t, s, c.write)

			if err := s.Start(t.Context()); err == nil {
				t.Error("started twice in one folder")
			}
			if err := s.Kill(); err != nil || s.Running() {
				t.Fatalf("killed: %v, runs: %t", err, s.Running())
			}
			if err := s.Start(t.Context()); err != nil || s.URL() != url {
				t.Fatalf("started again: %v, at %s after %s", err, s.URL(), url)
			}
			say(t, s, c.read)

			if err := s.Pause(); err != nil {
				t.Fatal(err)
			}
			for _, member := range s.state.Load().process.family() {
				if !isStopped(member.pid) {
					t.Errorf("process %d goes on while the server is paused", member.pid)
				}
			}
			if err := s.Resume(); err != nil {
				t.Fatal(err)
			}
			say(t, s, c.read)

			found, err := Open(s.Dir())
			if err != nil || found.Pid() != s.Pid() || found.URL() != url || found.Version() != s.Version() || found.Memory() == 0 {
				t.Fatalf("found again: %v, %+v", err, found)
			}
			// As another process would stop it, and while it is paused.
			if err := found.Pause(); err != nil {
				t.Fatal(err)
			}
			if err := found.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := s.Stop(t.Context()); err != nil || s.Running() || found.Running() {
				t.Errorf("stopped: %v, runs: %t", err, s.Running())
			}
			found.spec.Brief = false // as it starts for users
			if err := found.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			say(t, found, c.read)
			if err := found.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// launchServer starts a server that the test's end kills.
func launchServer(t *testing.T, spec Spec) *Server {
	t.Helper()
	s, err := Start(t.Context(), spec)
	Require(t, err)
	t.Cleanup(func() {
		if err := s.Kill(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func say(t *testing.T, s *Server, what func(net.Conn) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	connection, err := new(net.Dialer).DialContext(ctx, "tcp", s.spec.address(s.state.Load().ports[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	deadline, _ := ctx.Deadline()
	if err := errors.Join(connection.SetDeadline(deadline), what(connection)); err != nil {
		t.Fatal(err)
	}
}

func redisSays(command, want string) func(net.Conn) error {
	return func(connection net.Conn) error {
		fmt.Fprintf(connection, "%s\r\n", command)
		line, err := bufio.NewReader(connection).ReadString('\n')
		if got := strings.TrimSpace(line); err != nil || got != want {
			return fmt.Errorf("%s: %q, %w", command, got, err)
		}
		return nil
	}
}

// postgresSays runs one statement, in the simple form of the protocol.
func postgresSays(statement string) func(net.Conn) error {
	return func(connection net.Conn) error {
		hello := "\x00\x03\x00\x00user\x00" + postgresName + "\x00database\x00" + postgresName + "\x00\x00"
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
	}
}

// makeTopic makes a topic, and fails unless the answer is the code want.
func makeTopic(want int16) func(net.Conn) error {
	return func(connection net.Conn) error {
		request := kmsg.NewPtrCreateTopicsRequest()
		request.Version = 4
		request.TimeoutMillis = 10_000
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "kept", 1, 1
		request.Topics = append(request.Topics, topic)
		if _, err := connection.Write(kmsg.NewRequestFormatter().AppendRequest(nil, request, 7)); err != nil {
			return err
		}
		var head struct{ Length, Correlation int32 }
		if err := binary.Read(connection, binary.BigEndian, &head); err != nil {
			return err
		}
		body := make([]byte, head.Length-4)
		if _, err := io.ReadFull(connection, body); err != nil {
			return err
		}
		answer := request.ResponseKind()
		if err := answer.ReadFrom(body); err != nil {
			return err
		}
		if got := answer.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode; got != want {
			return fmt.Errorf("making a topic: code %d, want %d", got, want)
		}
		return nil
	}
}

// TestPortTaken: a server that was away finds its port taken. The same Server
// cannot move, a new one in the folder can.
func TestPortTaken(t *testing.T) {
	s := launchServer(t, Spec{Engine: Redis, Dir: t.TempDir()})
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("tcp", strings.TrimPrefix(s.URL(), "redis://"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := s.Start(t.Context()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("started on a port that is taken: %v", err)
	}
	moved := launchServer(t, s.spec)
	if moved.URL() == s.URL() {
		t.Errorf("both are at %s", s.URL())
	}
}

// asStarter has the test binary start a server and wait to be killed. Its value
// is the engine, a colon, and the folder.
const asStarter = "TEST_BINARY_STARTS"

func starter(what string) {
	engine, dir, _ := strings.Cut(what, ":")
	if _, err := Start(context.Background(), Spec{Engine: engine, Dir: dir}); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("started")
	select {}
}
