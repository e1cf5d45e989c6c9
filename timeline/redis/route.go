package redis

import (
	"context"
	"net"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// redirection says to whom a server sends a command.
type redirection struct {
	address string
	// ask is that of a slot on its way: only this command, and announced.
	ask bool
}

// redirected reads the error by which a server sends a command elsewhere: "MOVED
// slot host:port", or ASK likewise.
func redirected(err error, from *node) (redirection, bool) {
	ask := goredis.HasErrorPrefix(err, "ASK")
	if !ask && !goredis.HasErrorPrefix(err, "MOVED") {
		return redirection{}, false
	}
	fields := strings.Fields(err.Error())
	if len(fields) < 3 {
		return redirection{}, false
	}
	host, _, _ := net.SplitHostPort(from.address())
	return redirection{address: completed(fields[len(fields)-1], net.JoinHostPort(host, "")), ask: ask}, true
}

// vanished reports the error of a script that rewrote a list whose slot is on its way
// to another master: between taking the old list away and putting the new one there,
// the server no longer holds the key to be its own. The list is gone, as a whole. Sent
// again, the script is sent on to the other master.
func vanished(err error) bool {
	return err != nil && strings.Contains(err.Error(), "non local key")
}

// atSlot sends what fill queues for a slot to its master, wherever that is, and
// returns who answered. The first command decides whether it was the right one. A
// master that does not answer is asked for no second time, but its successor is.
func (s *Store) atSlot(ctx context.Context, slot int, fill func(*node, goredis.Pipeliner)) (*node, []goredis.Cmder, error) {
	n, err := s.ownerOf(ctx, slot)
	if err != nil {
		return nil, nil, err
	}
	ask := false
	for round := 1; ; round++ {
		begun := time.Now()
		cmds, err := n.pipelined(ctx, ask, func(pipe goredis.Pipeliner) { fill(n, pipe) })
		if err == nil || !s.cluster || round == rounds || ctx.Err() != nil {
			return n, cmds, err
		}
		if to, ok := redirected(firstError(cmds), n); ok {
			if ask = to.ask; !ask {
				_, _ = s.reload(ctx, begun.Add(-settling)) // this call knows already
			}
			n = s.nodeAt(to.address)
			continue
		}
		if vanished(firstError(cmds)) {
			continue
		}
		if answered(err) {
			return n, cmds, err
		}
		v, reloadErr := s.reload(ctx, begun.Add(-settling))
		if reloadErr != nil || v.ownerOf(slot) == n || v.ownerOf(slot) == nil {
			return n, cmds, err
		}
		n, ask = v.ownerOf(slot), false
	}
}

func firstError(cmds []goredis.Cmder) error {
	if len(cmds) == 0 {
		return nil
	}
	return cmds[0].Err()
}

// ownerOf returns the master of a slot.
func (s *Store) ownerOf(ctx context.Context, slot int) (*node, error) {
	v := s.view.Load()
	if v.ownerOf(slot) == nil {
		var err error
		if v, err = s.reload(ctx, time.Now().Add(-settling)); err != nil {
			return nil, err
		}
	}
	if n := v.ownerOf(slot); n != nil {
		return n, nil
	}
	return nil, errNoOwner
}

// eval runs one script on one key of a slot.
func (s *Store) eval(ctx context.Context, slot int, script script, key string, args ...any) (*node, any, error) {
	n, cmds, err := s.atSlot(ctx, slot, func(_ *node, pipe goredis.Pipeliner) { script.queue(ctx, pipe, key, args...) })
	if err != nil {
		return n, nil, err
	}
	return n, cmds[0].(*goredis.Cmd).Val(), nil
}
