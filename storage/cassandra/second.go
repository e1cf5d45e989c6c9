package cassandra

import (
	"sync"
	"time"

	"github.com/gocql/gocql"
)

const (
	// secondAfter is how long a node may take for a statement that may be repeated,
	// before another is asked too: more than one that is well ever takes.
	secondAfter = 300 * time.Millisecond
	// secondNodes is how many nodes must be up for that. With fewer all that are may
	// have been asked, and the driver takes "no node is left" for the answer, though
	// one is under way.
	secondNodes = 3
)

// second has the driver ask a second node, so that nobody waits callTimeout for one that
// hangs. It is a gocql.SpeculativeExecutionPolicy, which the driver heeds for statements
// that are marked as idempotent alone, and the host policy that it learns the nodes by.
type second struct {
	gocql.HostSelectionPolicy
	mu    sync.Mutex
	nodes map[string]*gocql.HostInfo // by id
}

func newSecond(hosts gocql.HostSelectionPolicy) *second {
	return &second{HostSelectionPolicy: hosts, nodes: map[string]*gocql.HostInfo{}}
}

// AddHost implements gocql.HostStateNotifier.
func (s *second) AddHost(node *gocql.HostInfo) {
	s.mu.Lock()
	s.nodes[node.HostID()] = node
	s.mu.Unlock()
	s.HostSelectionPolicy.AddHost(node)
}

// RemoveHost implements gocql.HostStateNotifier.
func (s *second) RemoveHost(node *gocql.HostInfo) {
	s.mu.Lock()
	delete(s.nodes, node.HostID())
	s.mu.Unlock()
	s.HostSelectionPolicy.RemoveHost(node)
}

// Attempts implements gocql.SpeculativeExecutionPolicy: how many beside the first.
func (s *second) Attempts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	up := 0
	for _, node := range s.nodes {
		if node.IsUp() {
			if up++; up == secondNodes {
				return 1
			}
		}
	}
	return 0
}

// Delay implements gocql.SpeculativeExecutionPolicy.
func (s *second) Delay() time.Duration { return secondAfter }
