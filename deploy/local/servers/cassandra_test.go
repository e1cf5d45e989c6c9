package servers

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

// cassandraSays is a statement, and what its error must say; "" for none. It speaks
// protocol 4.
func cassandraSays(cql, failure string) func(net.Conn) error {
	return func(connection net.Conn) error {
		options := append([]byte{0, 1}, "\x00\x0bCQL_VERSION\x00\x053.0.0"...)
		if opcode, body, err := cassandraAsks(connection, 1, options); err != nil || opcode != 2 {
			return fmt.Errorf("STARTUP: opcode %d, %q, %w", opcode, body, err)
		}
		query := binary.BigEndian.AppendUint32(nil, uint32(len(cql)))
		query = append(append(query, cql...), 0, 1, 0) // consistency ONE, no flags
		opcode, body, err := cassandraAsks(connection, 7, query)
		const failed = 0
		if err != nil || (opcode == failed) != (failure != "") || !strings.Contains(string(body), failure) {
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

// Three nodes make one cluster: a keyspace with a copy on each can be made.
func TestCassandraCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute to start")
	}
	all, err := StartCassandraCluster(t.Context(), "", t.TempDir(), 2)
	Require(t, err)
	for _, s := range all {
		t.Cleanup(func() {
			if err := s.Kill(); err != nil {
				t.Error(err)
			}
		})
	}
	for i, s := range all {
		want := fmt.Sprintf("cassandra://127.0.0.%d:", i+1)
		if !strings.HasPrefix(s.URL(), want) {
			t.Errorf("node %d is at %s, want %s…", i+1, s.URL(), want)
		}
		if err := ask(t.Context(), s.spec.address(s.state.Load().ports[0]), cassandraSays("SELECT host_id FROM system.peers", "")); err != nil {
			t.Error(err)
		}
	}
}
