package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

const (
	// askTime bounds how long one server is asked about the cluster.
	askTime = 500 * time.Millisecond
	// settling is how old a view may be to be left as it is though a master does not
	// answer, or a command was sent elsewhere: many tell of the same event.
	settling = 100 * time.Millisecond
	// rounds is how often a command or a delivery is sent on.
	rounds = 5
)

var errNoOwner = errors.New("no master serves this part of the cluster")

// nodeAt returns the node at an address, which is made if it is not there.
func (s *Store) nodeAt(address string) *node {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.mu.nodes[address]
	if n == nil {
		o := *s.options
		o.Addr = address
		n = newNode(goredis.NewClient(&o), s)
		if s.mu.closed {
			_ = n.client.Close() // it has no connection yet
			return n
		}
		s.mu.nodes[address] = n
	}
	return n
}

func (s *Store) seedNodes() (seeds []*node) {
	for _, address := range s.seeds {
		seeds = append(seeds, s.nodeAt(address))
	}
	return seeds
}

// reload returns a view whose servers were asked after notBefore: the present one,
// or one that it loads. One loads at a time, the others wait for what it finds.
func (s *Store) reload(ctx context.Context, notBefore time.Time) (*view, error) {
	if !s.cluster {
		return s.view.Load(), nil
	}
	select {
	case s.loading <- struct{}{}:
		defer func() { <-s.loading }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	v := s.view.Load()
	if v.begun.After(notBefore) {
		return v, nil
	}
	v, err := s.load(ctx, v.nodes)
	if err != nil { // all may have come back under other addresses
		v, err = s.load(ctx, s.seedNodes())
	}
	if err != nil {
		return nil, err
	}
	s.view.Store(v)
	s.prune(v)
	return v, nil
}

// load asks servers, and all those that they name; most masters must answer.
func (s *Store) load(ctx context.Context, nodes []*node) (*view, error) {
	for range rounds {
		begun := time.Now()
		answers, answered, err := askAll(ctx, nodes)
		if len(answers) == 0 {
			return nil, err
		}
		v := merge(answers, s.nodeAt)
		v.begun = begun
		count := 0
		for _, n := range v.masters {
			if slices.Contains(answered, n) {
				count++
			}
		}
		if len(v.masters) == 0 {
			return nil, errors.New("no slot of the cluster is served")
		}
		if slices.ContainsFunc(v.nodes, func(n *node) bool { return !slices.Contains(nodes, n) }) {
			nodes = v.nodes
			continue
		}
		if 2*count <= len(v.masters) {
			return nil, fmt.Errorf("%w: %d of %d do; %w", errNoMajority, count, len(v.masters), err)
		}
		return v, nil
	}
	return nil, errors.New("the servers of the cluster do not agree on who belongs to it")
}

// askAll asks servers at once what they know of the cluster. The error is that of
// one that did not tell.
func askAll(ctx context.Context, nodes []*node) (answers [][]member, answered []*node, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	told, errs := make([][]member, len(nodes)), make([]error, len(nodes))
	var all sync.WaitGroup
	for i, n := range nodes {
		all.Go(func() {
			cmds, err := n.send(ctx, func(pipe goredis.Pipeliner) { pipe.ClusterNodes(ctx) })
			if err == nil {
				told[i], err = parseMembers(cmds[0].(*goredis.StringCmd).Val(), n.address())
			}
			errs[i] = err
		})
	}
	all.Wait()
	for i := range nodes {
		if errs[i] == nil {
			answers, answered = append(answers, told[i]), append(answered, nodes[i])
		} else {
			err = errs[i]
		}
	}
	return answers, answered, err
}

// prune closes the connections to servers that the cluster does not know any more.
func (s *Store) prune(v *view) {
	var gone []*node
	s.mu.Lock()
	for address, n := range s.mu.nodes {
		if !slices.Contains(v.nodes, n) {
			delete(s.mu.nodes, address)
			if s.mu.used[n] {
				s.loseLocked(n)
			}
			gone = append(gone, n)
		}
	}
	s.mu.Unlock()
	for _, n := range gone {
		_ = n.client.Close() // what is on its way fails, and is sent elsewhere
	}
}
