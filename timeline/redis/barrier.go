package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"skein/timeline"
)

// barrier is what a store knows of a master between barriers.
type barrier struct {
	stamp string
	// replicas is how many must acknowledge: 1 once the master was seen with a
	// replica, and from then on. A master that has lost all of them may have
	// been deposed, and what it acknowledges may be lost.
	replicas int
}

// waitTime is how long a barrier waits for a replica; less than ioTimeout.
const waitTime = time.Second

var (
	errOtherServer = errors.New("the server was restarted, or another one is master now")
	errNoReplica   = errors.New("no replica has acknowledged the deliveries; the server may have been deposed")
)

var errLost = errors.New("a server was found to have lost deliveries meanwhile")

// Mark is how often a loss was found.
func (s *Store) Mark() timeline.Mark { return timeline.Mark(s.losses.Load()) }

// Barrier makes sure of each master that it still is one, the same one, and that
// a replica, if it has or had any, has all that was delivered: a write of this
// connection comes after every earlier delivery, and WAIT waits for that.
//
// A server that lost deliveries by a restart has lost their timelines with them,
// as these bear its former stamp. It fails here all the same, once.
func (s *Store) Barrier(ctx context.Context, mark timeline.Mark) error {
	err := s.each(ctx, func(ctx context.Context, n *node) error { return n.barrier(ctx) })
	if err != nil && ctx.Err() == nil {
		s.losses.Add(1)
	}
	if err == nil && s.Mark() != mark {
		err = errLost
	}
	if err != nil {
		return unavailable("secure deliveries", err)
	}
	return nil
}

func (n *node) barrier(ctx context.Context) error {
	for {
		n.mu.Lock()
		before := n.mu.barrier
		n.mu.Unlock()
		now, acknowledged, err := n.wait(ctx, before.replicas)
		if err != nil {
			return err
		}
		n.mu.Lock()
		n.mu.stamp = now.stamp
		n.mu.replicas = max(n.mu.replicas, now.replicas)
		n.mu.Unlock()
		switch {
		case now.stamp != before.stamp:
			return errOtherServer
		case acknowledged < before.replicas:
			return errNoReplica
		case now.replicas <= before.replicas:
			return nil
		} // else a first replica has joined: wait for it
	}
}

// wait writes, waits for replicas, and says what the server is then. A server
// that is a replica itself refuses the WAIT, also where it takes writes.
func (n *node) wait(ctx context.Context, replicas int) (barrier, int, error) {
	cmds, err := n.pipelined(ctx, func(pipe goredis.Pipeliner) {
		pipe.Set(ctx, n.proof, 1, 0)
		pipe.Do(ctx, "WAIT", replicas, waitTime.Milliseconds())
		pipe.Info(ctx, "replication")
	})
	if err != nil {
		return barrier{}, 0, err
	}
	now, err := parseBarrier(cmds[2].(*goredis.StringCmd).Val())
	if err != nil {
		return barrier{}, 0, err
	}
	acknowledged, err := cmds[1].(*goredis.Cmd).Int()
	return now, acknowledged, err
}

// parseBarrier reads INFO replication.
func parseBarrier(info string) (barrier, error) {
	fields := parseInfo(info)
	b := barrier{stamp: fields["master_replid"]}
	if len(b.stamp) != stampSize {
		return barrier{}, fmt.Errorf("INFO replication tells no master_replid: %q", b.stamp)
	}
	if fields["connected_slaves"] != "0" {
		b.replicas = 1
	}
	return b, nil
}
