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

// ours is what all tests share: the engines, which they may break and must mend,
// the program, and the fleets.
var ours shared

type shared struct {
	once                   sync.Once
	err                    error
	dir                    string
	skein                  string // the program
	postgres, kafka, redis *servers.Server
	fleets                 map[string]*fleet
}

// begin starts the engines and builds skein, or skips the test.
func (s *shared) begin(t *testing.T) {
	t.Helper()
	s.once.Do(func() { s.err = s.start() })
	servers.Require(t, s.err)
	for _, engine := range s.engines() {
		if !engine.Running() { // left by a test that failed
			must(t, engine.Start(t.Context()))
		}
	}
}

func (s *shared) engines() []*servers.Server {
	return []*servers.Server{s.postgres, s.kafka, s.redis}
}

func (s *shared) start() (err error) {
	if s.dir, err = os.MkdirTemp("", "skein-servers-"); err != nil {
		return err
	}
	s.fleets = map[string]*fleet{}
	ctx := context.Background()
	var starting sync.WaitGroup
	errs := make([]error, 4)
	for i, start := range []func() error{
		func() (err error) {
			s.postgres, err = servers.StartPostgres(ctx, "", filepath.Join(s.dir, "postgres"))
			return err
		},
		func() (err error) {
			s.kafka, err = servers.StartKafka(ctx, "", filepath.Join(s.dir, "kafka"))
			return err
		},
		func() (err error) {
			s.redis, err = servers.StartRedis(ctx, "", filepath.Join(s.dir, "redis"))
			return err
		},
		s.build,
	} {
		starting.Go(func() { errs[i] = start() })
	}
	starting.Wait()
	return errors.Join(errs...)
}

func (s *shared) build() error {
	s.skein = filepath.Join(s.dir, "skein")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", s.skein, "skein/cmd/skein")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as ever, also in a test for races
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build skein: %w\n%s", err, out)
	}
	return nil
}

// end leaves nothing running and no file.
func (s *shared) end() error {
	for _, f := range s.fleets {
		f.kill()
	}
	var errs []error
	for _, engine := range s.engines() {
		if engine != nil {
			errs = append(errs, engine.Kill())
		}
	}
	if s.dir != "" {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	return errors.Join(errs...)
}

// database makes an empty database and returns its URL. One of that name, of a test
// that ran before, goes.
func (s *shared) database(t *testing.T, name string) string {
	t.Helper()
	s.sql(t, "skein", "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	s.sql(t, "skein", "CREATE DATABASE "+name)
	u, err := url.Parse(s.postgres.URL())
	must(t, err)
	u.Path = "/" + name
	return u.String()
}

// sql runs one statement, in the simple form of PostgreSQL's protocol.
func (s *shared) sql(t *testing.T, database, statement string) {
	t.Helper()
	ask(t, s.postgres, func(connection net.Conn) error {
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

// command has Redis carry out a command that answers OK.
func (s *shared) command(t *testing.T, command string) {
	t.Helper()
	ask(t, s.redis, func(connection net.Conn) error {
		fmt.Fprintf(connection, "%s\r\n", command)
		line, err := bufio.NewReader(connection).ReadString('\n')
		if got := strings.TrimSpace(line); err != nil || got != "+OK" {
			return fmt.Errorf("%s: %q, %w", command, got, err)
		}
		return nil
	})
}

// redisData is the folder from which Redis starts.
func (s *shared) redisData(t *testing.T) string {
	t.Helper()
	s.begin(t)
	return filepath.Join(s.redis.Dir(), "data")
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
