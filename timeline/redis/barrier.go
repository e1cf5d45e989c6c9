package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"skein/timeline"
)

// barrier is what a store knows of a master between barriers.
type barrier struct {
	stamp string
	// replicas is how many must acknowledge. Of a single server: 1 once it was
	// seen with a replica, and from then on. Of a master of a cluster: as many as
	// were in step when it was last asked.
	replicas int
}

// standing is what a server says of itself as a master: its stamp, how many replicas
// are attached to it, and how many of these are in step.
type standing struct {
	stamp            string
	attached, inStep int
}

// wanted is how many replicas must acknowledge, seen from this standing.
func (st standing) wanted(cluster bool) int {
	if cluster {
		return st.inStep
	}
	return min(st.attached, 1)
}

// waitTime is how long a barrier waits for replicas; less than ioTimeout.
const waitTime = time.Second

// viewAge is how old a view a barrier may go by: less than it takes a replica to join,
// to be given the data, and to be promoted.
const viewAge = time.Second

// proofs is how often one barrier asks a master: replicas come and go, slots move.
const proofs = 5

var (
	errOtherServer = errors.New("the server was restarted, or another one is master now")
	errNoReplica   = errors.New("no replica has acknowledged the deliveries, so the server may have been deposed; bring its replica back, or restart the workers if that is gone for good")
	errNoMaster    = errors.New("the server serves no slots any more; it may have been deposed")
	errLost        = errors.New("a server was found to have lost deliveries meanwhile")
)

// Mark is how often a loss was found.
func (s *Store) Mark() timeline.Mark {
	s.mu.Lock()
	defer s.mu.Unlock()
	return timeline.Mark(s.mu.losses)
}

// Barrier has every master that acknowledged a delivery prove that it still is one,
// the same one, and that its replicas have all that was delivered. What a master
// says of itself is not enough: one that was deposed may not know it yet. But its
// replicas know: one that was promoted acknowledges nothing to its former master,
// and what is acknowledged after a delivery tells that it was not, then.
//
// A server that lost deliveries by a restart has lost their timelines with them,
// as these bear its former stamp. It fails here all the same, once.
//
// A master that fails is used no more until it acknowledges another delivery, so
// that one that is away does not stop the work for others; those whose marks are
// older fail too. See the package comment for the interleavings.
func (s *Store) Barrier(ctx context.Context, mark timeline.Mark) error {
	begun := time.Now()
	err := s.prove(ctx, s.usedNodes(), begun)
	if err == nil && s.Mark() != mark {
		err = errLost
	}
	if err != nil {
		return unavailable("secure deliveries", err)
	}
	return nil
}

// usedNodes returns the masters that a Barrier is about. A single server is asked
// in any case.
func (s *Store) usedNodes() []*node {
	if !s.cluster {
		return s.view.Load().masters
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	nodes := make([]*node, 0, len(s.mu.used))
	for n := range s.mu.used {
		nodes = append(nodes, n)
	}
	return nodes
}

// use notes that a master has acknowledged a delivery, before Deliver returns.
func (s *Store) use(n *node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.used[n] = true
}

// loseLocked is one step: who takes a mark after it, and finds n used, has used it
// since.
func (s *Store) loseLocked(n *node) {
	s.mu.losses++
	delete(s.mu.used, n)
	n.forget()
}

// prove asks masters at once. Those that fail are lost, unless the caller gave up.
func (s *Store) prove(ctx context.Context, nodes []*node, begun time.Time) error {
	return each(len(nodes), func(i int) error {
		err := s.proveOne(ctx, nodes[i], begun)
		if err != nil && ctx.Err() == nil {
			s.mu.Lock()
			s.loseLocked(nodes[i])
			s.mu.Unlock()
		}
		return err
	})
}

// proveOne returns nil if a master was one after begun.
func (s *Store) proveOne(ctx context.Context, n *node, begun time.Time) error {
	for range proofs {
		v := s.view.Load()
		following := v.follow[n]
		slot := v.anySlot(n)
		// A replica that has failed cannot tell whether it was promoted; then
		// the others must be asked, after the delivery. Of one that has joined
		// an old view does not know.
		doubtful := following.failed > 0 || slot < 0 || begun.Sub(v.begun) > viewAge
		if s.cluster && doubtful && !v.begun.After(begun) {
			if _, err := s.reload(ctx, begun); err != nil {
				return err
			}
			continue
		}
		if slot < 0 {
			return errNoMaster
		}
		if err := n.ready(ctx); err != nil { // after a loss it has another stamp
			return err
		}
		n.mu.Lock()
		before := n.mu.barrier
		n.mu.Unlock()
		now, acknowledged, err := s.wait(ctx, n, slot, before.replicas)
		if _, elsewhere := redirected(err, n); elsewhere { // the slot has moved, or is about to
			if _, err := s.reload(ctx, time.Now().Add(-settling)); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		wanted := now.wanted(s.cluster)
		if !s.cluster {
			wanted = max(wanted, before.replicas)
		}
		n.mu.Lock()
		n.mu.replicas = wanted
		n.mu.Unlock()
		switch {
		case now.stamp != before.stamp:
			return errOtherServer
		case s.cluster && (now.attached != following.healthy || now.inStep < following.healthy) && !v.begun.After(begun):
			if _, err := s.reload(ctx, begun); err != nil {
				return err
			}
		case now.attached < following.healthy:
			return errNoReplica
		case acknowledged < min(wanted, before.replicas):
			return errNoReplica
		case wanted <= before.replicas:
			return nil
		} // else another replica has joined: wait for it
	}
	return errNoReplica
}

// wait writes, waits for replicas, and says what the server is then. A server
// that is a replica itself refuses the WAIT, also where it takes writes.
func (s *Store) wait(ctx context.Context, n *node, slot, replicas int) (standing, int, error) {
	cmds, err := n.pipelined(ctx, false, func(pipe goredis.Pipeliner) {
		pipe.Set(ctx, s.keyIn(slot, "barrier"), 1, 0)
		pipe.Do(ctx, "WAIT", replicas, waitTime.Milliseconds())
		pipe.Info(ctx, "replication")
	})
	if err != nil {
		return standing{}, 0, err
	}
	now, err := parseBarrier(cmds[2].(*goredis.StringCmd).Val())
	if err != nil {
		return standing{}, 0, err
	}
	acknowledged, err := cmds[1].(*goredis.Cmd).Int()
	return now, acknowledged, err
}

// parseBarrier reads INFO replication.
func parseBarrier(info string) (standing, error) {
	fields := parseInfo(info)
	st := standing{stamp: fields["master_replid"]}
	if len(st.stamp) != stampSize {
		return st, fmt.Errorf("INFO replication tells no master_replid: %q", st.stamp)
	}
	for i := 0; ; i++ {
		replica, ok := fields[fmt.Sprintf("slave%d", i)]
		if !ok {
			return st, nil
		}
		st.attached++
		if strings.Contains(replica, "state=online") {
			st.inStep++
		}
	}
}
