package servers

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
)

// cassandraSays is a statement that all copies carry out, and what its answer must
// hold, which is an error or not; with "" it must be none. It speaks protocol 4.
func cassandraSays(cql, want string) func(net.Conn) error {
	return func(connection net.Conn) error {
		options := append([]byte{0, 1}, "\x00\x0bCQL_VERSION\x00\x053.0.0"...)
		if opcode, body, err := cassandraAsks(connection, 1, options); err != nil || opcode != 2 {
			return fmt.Errorf("STARTUP: opcode %d, %q, %w", opcode, body, err)
		}
		query := binary.BigEndian.AppendUint32(nil, uint32(len(cql)))
		query = append(append(query, cql...), 0, 5, 0) // consistency ALL, no flags
		opcode, body, err := cassandraAsks(connection, 7, query)
		const failed = 0
		if err != nil || opcode == failed && want == "" || !strings.Contains(string(body), want) {
			return fmt.Errorf("%s: opcode %d, %q, %w", cql, opcode, body, err)
		}
		return nil
	}
}

func cassandraAsks(connection net.Conn, opcode byte, body []byte) (byte, []byte, error) {
	frame := binary.BigEndian.AppendUint32([]byte{4, 0, 0, 0, opcode}, uint32(len(body)))
	if _, err := connection.Write(append(frame, body...)); err != nil {
		return 0, nil, err
	}
	var head [9]byte
	if _, err := io.ReadFull(connection, head[:]); err != nil {
		return 0, nil, err
	}
	answer := make([]byte, binary.BigEndian.Uint32(head[5:]))
	_, err := io.ReadFull(connection, answer)
	return head[4], answer, err
}

// Nodes make one cluster: what one writes on all copies, another reads, also when one
// was killed and came back. Two of them show what three would, 15 s sooner.
func TestCassandraCluster(t *testing.T) {
	if os.Getenv("SKEIN_TEST_CLUSTERS") != "true" {
		t.Skip("NOT TESTED: nodes that are killed and return take minutes; run make test-cluster")
	}
	spec := Spec{Dir: t.TempDir(), Brief: true}
	r, err := StartCassandraCluster(t.Context(), spec, 2)
	Require(t, err)
	t.Cleanup(func() {
		if err := r.Kill(); err != nil {
			t.Error(err)
		}
	})
	port := r.nodes[0].state.Load().ports[0]
	if want := fmt.Sprintf("cassandra://127.0.0.1:%d,127.0.0.2:%d/skein", port, port); r.URL() != want {
		t.Errorf("URL: %s, want %s", r.URL(), want)
	}
	first, second := r.nodes[0], r.nodes[1]
	say(t, first, cassandraSays("CREATE KEYSPACE both WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 2}", ""))
	say(t, first, cassandraSays("CREATE TABLE both.kept (id int PRIMARY KEY, what text)", ""))
	// The other may not know the table yet.
	sayUntil(t, first, cassandraSays("INSERT INTO both.kept (id, what) VALUES (1, 'here it is')", ""))
	read := cassandraSays("SELECT what FROM both.kept WHERE id = 1", "here it is")
	sayUntil(t, second, read)

	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	again, err := StartCassandraCluster(t.Context(), spec, 2) // the second runs
	if err != nil {
		t.Fatal(err)
	}
	if again.URL() != r.URL() || again.nodes[0].Pid() == first.Pid() || again.nodes[1].Pid() != second.Pid() {
		t.Errorf("started again: %s, processes %d and %d; before %s, %d and %d",
			again.URL(), again.nodes[0].Pid(), again.nodes[1].Pid(), r.URL(), first.Pid(), second.Pid())
	}
	for _, s := range again.nodes {
		sayUntil(t, s, read)
	}
	found, err := OpenRing(spec.Dir)
	if err != nil || found.URL() != r.URL() || !found.Running() {
		t.Fatalf("found again: %v, %+v", err, found)
	}
	if err := errors.Join(found.Stop(t.Context()), again.Stop(t.Context()), r.Stop(t.Context())); err != nil || again.Running() || r.Running() {
		t.Errorf("stopped: %v, run: %t, %t", err, again.Running(), r.Running())
	}
}

// sayUntil says it until it works.
func sayUntil(t *testing.T, s *Server, what func(net.Conn) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var last error
	works := func() bool {
		err := ask(ctx, s.address(), what)
		if ctx.Err() == nil { // else it says only that time is over
			last = err
		}
		return err == nil
	}
	if err := until(ctx, works); err != nil {
		t.Fatalf("%v: %v", err, last)
	}
}
