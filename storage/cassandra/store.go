package cassandra

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gocql/gocql"

	"skein/storage"
)

var (
	_ storage.Posts = (*Store)(nil)
	_ storage.Graph = (*Store)(nil)
)

// Store is storage.Posts and storage.Graph in one keyspace. It is safe for concurrent
// use, and starts no goroutine but the driver's.
type Store struct {
	session  *gocql.Session
	settings settings
	opts     Options
	second   gocql.SpeculativeExecutionPolicy
	// origin is this process among those that relay, home its shard of the outbox.
	origin   int64
	home     int
	clock    clock
	outbox   outbox
	presence presence
	numbers  numbers
	// viewers keeps this process from competing with itself for a follow set, and
	// facts for the shared facts.
	viewers [256]turn
	facts   turn
	// onStep, in tests, is told how far a call got.
	onStep func(step)
	// wideFrom is how many followers an author has whose next ones are spread.
	wideFrom int64
	closing  sync.Once
}

// step is a place between two writes that belong together, where tests stop a process.
type step int

const (
	stepEvent     step = iota // the event is written, the post is not
	stepPost                  // the post is written, not acknowledged
	stepLooked                // a call looked what became of its key's post, which is not there
	stepUnlisted              // a deleted post is off its author's page, its own row is still there
	stepFollower              // the follower is written, the edge is not
	stepUnedged               // the edge has ended, the follower is still there
	stepAnnounced             // a change of the shared facts is announced
	stepEmpty                 // a part of the outbox was looked at, and held nothing
	stepLocked                // another migration holds the lock, or no answer came
	stepApplying              // a statement of a migration is next, under the lock
	stepApplied               // a statement of a migration is applied
	stepPartition             // a partition of the outbox is read for events to relay
)

// after tells tests how far a call got.
func (s *Store) after(at step) {
	if s.onStep != nil {
		s.onStep(at)
	}
}

// turn is held by one at a time, also over I/O: a channel, so that who waits can leave.
type turn chan struct{}

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) give() { <-t }

// Open connects to the keyspace that url names and checks that it has the schema of
// this program and keeps what it acknowledges, and asks it for the time. It changes
// nothing. Its errors are one line each, name the engine and say what
// to do, never with the password, and come within 10 s.
func Open(ctx context.Context, url string, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	where, err := parse(url)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	cluster := where.cluster(where.keyspace, opts.Logger)
	session, err := cluster.CreateSession()
	if err != nil {
		return nil, explainOpen(ctx, where, err)
	}
	s := newStore(session, where, opts)
	s.second = cluster.PoolConfig.HostSelectionPolicy.(*second)
	for _, check := range []func(context.Context) error{s.checkSchema, s.checkPlace, s.CheckDurability, s.readClock} {
		if err := check(ctx); err != nil {
			session.Close()
			return nil, err
		}
	}
	return s, nil
}

func newStore(session *gocql.Session, where settings, opts Options) *Store {
	s := &Store{
		session: session, settings: where, opts: opts,
		origin: rand.Int64(), home: rand.IntN(shards), wideFrom: wideFrom,
		clock: clock{asking: make(turn, 1)}, outbox: newOutbox(), facts: make(turn, 1), numbers: numbers{turn: make(turn, 1)},
	}
	now := opts.Clock()
	s.clock.told.Store(&told{now.Round(0), now})
	for i := range s.viewers {
		s.viewers[i] = make(turn, 1)
	}
	return s
}

// Close says that this process relays no more, so that others take its events, and
// closes the connections. Calls in flight, and later ones, are feed.CodeUnavailable. A
// second Close does nothing. It always returns nil.
func (s *Store) Close() error {
	s.closing.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		s.leave(ctx)
		s.session.Close()
	})
	return nil
}
