package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// callTimeout bounds a call, the wait for a connection included, whatever
	// its caller allows: a server that hangs, or a commit that waits for a lost
	// standby, must not hang callers without a deadline.
	callTimeout = 5 * time.Second
	// importTimeout is for an import, which writes thousands of rows.
	importTimeout = time.Minute
	// maxTries bounds how often a transaction is tried that collides with others.
	maxTries = 5
)

// call runs a call of the store within callTimeout, and translates its error. What
// the server undid because of others is run again, so run must be repeatable. After
// an error of feed.CodeUnavailable the outcome is unknown, as after every cut.
func (s *Store) call(ctx context.Context, doing string, run func(ctx context.Context) error) error {
	return s.callWithin(ctx, callTimeout, doing, run)
}

func (s *Store) callWithin(ctx context.Context, limit time.Duration, doing string, run func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for try := 1; ; try++ {
		err := run(ctx)
		pg, ok := errors.AsType[*pgconn.PgError](err)
		if !ok || try == maxTries || pg.Code != codeDeadlock && pg.Code != codeConflict {
			return translate(doing, err)
		}
	}
}

// awaitStandbys returns when the synchronous standbys have all that is visible now.
// A commit becomes visible before they have it when its wait is cut short, by a
// caller who leaves or by a restart; and a transaction that writes nothing does not
// wait. So every answer that rests on what is there already, and promises that it
// stays, comes after this.
func (s *Store) awaitStandbys(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, `SELECT await_standbys()`)
	return err
}
