package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"skein/feed"
	"skein/storage"
)

const (
	// oldestEvent is a round trip of two snapshots: see the function. The
	// clock is read before it is run: a list is evaluated from left to right.
	oldestEvent = `SELECT clock_timestamp(), coalesce(oldest_event(), $1)`

	// takeEvents removes events until the transaction ends one way or the
	// other: till then others see them and cannot take them.
	takeEvents = `
DELETE FROM outbox WHERE post = ANY(ARRAY(
	SELECT post FROM outbox ORDER BY post LIMIT $1 FOR UPDATE SKIP LOCKED))
RETURNING post, author`
)

const readOutbox = "read the outbox"

// Relay implements storage.Outbox. A publish that takes longer than holdTimeout
// loses its hold: the events will be published again.
func (s *Store) Relay(ctx context.Context, limit int, publish func(oldest feed.PostID, events []storage.Event) error) (int, error) {
	var tx pgx.Tx
	var oldest feed.PostID
	var events []storage.Event
	err := s.call(ctx, readOutbox, func(ctx context.Context) (err error) {
		tx, oldest, events, err = s.take(ctx, limit)
		return err
	})
	if err != nil {
		return 0, err
	}
	defer s.rollback(ctx, tx)
	if len(events) == 0 {
		return 0, nil
	}
	if err := publish(oldest, events); err != nil {
		return 0, err
	}
	// What was published is worth a commit, also when the caller has left.
	err = s.call(context.WithoutCancel(ctx), "clear the outbox", tx.Commit)
	if err != nil {
		return 0, err
	}
	return len(events), nil
}

// rollback ends a transaction that was not committed. A failure closes its
// connection, and with it the transaction.
func (s *Store) rollback(ctx context.Context, tx pgx.Tx) {
	s.call(context.WithoutCancel(ctx), "give the events back", tx.Rollback)
}

// take begins a transaction and removes the lowest free events, for as long as it
// lives. The oldest is asked before. After an error there is no transaction.
func (s *Store) take(ctx context.Context, limit int) (tx pgx.Tx, oldest feed.PostID, events []storage.Event, err error) {
	tx, err = s.pool.Begin(ctx)
	if err != nil {
		return nil, 0, nil, err
	}
	defer func() {
		if err != nil {
			s.rollback(ctx, tx)
		}
	}()
	asked := s.opts.Clock()
	batch := &pgx.Batch{}
	// A removal that a crash undoes is repeated, so it need not wait for the
	// disk.
	batch.Queue(`SET LOCAL synchronous_commit = off`)
	batch.Queue(oldestEvent, feed.MaxPostID).QueryRow(func(row pgx.Row) (err error) {
		oldest, err = scanOldest(row, asked)
		return err
	})
	batch.Queue(takeEvents, limit).Query(func(rows pgx.Rows) error {
		var e storage.Event
		_, err := pgx.ForEachRow(rows, []any{(*int64)(&e.Post), (*int64)(&e.Author)}, func() error {
			events = append(events, e)
			return nil
		})
		return err
	})
	err = tx.SendBatch(ctx, batch).Close()
	slices.SortFunc(events, func(a, b storage.Event) int { return cmp.Compare(a.Post, b.Post) })
	return tx, oldest, events, err
}

// Now implements storage.Posts. It is this process's clock, which Open and OldestEvent
// hold against the server's.
func (s *Store) Now() time.Time { return s.opts.Clock() }

// OldestEvent implements storage.Outbox. See scanOldest for when it refuses.
func (s *Store) OldestEvent(ctx context.Context) (oldest feed.PostID, err error) {
	err = s.call(ctx, readOutbox, func(ctx context.Context) error {
		asked := s.opts.Clock()
		oldest, err = scanOldest(s.pool.QueryRow(ctx, oldestEvent, feed.MaxPostID), asked)
		return err
	})
	return oldest, err
}

// maxAhead is how far this process's clock may be ahead of the server's. Who asks
// for the oldest takes from this clock, before it asks, the time that it believes
// no new post to be older than: 2 × feed.MaxIDAge before now. A post that is not
// among those asked for looks at its age later than that, and by the server's clock
// is at most feed.MaxIDAge old then. So the belief holds while now, here, is at most
// feed.MaxIDAge later than the server's time. A clock that is behind only makes the
// asker more careful.
const maxAhead = feed.MaxIDAge

// scanOldest reads the answer to oldestEvent, asked for at that time of ours. It
// compares the clocks each time, since they may drift or be set: an answer by which
// a post could be missed is none. Then the top stands still, and readers pull.
func scanOldest(row pgx.Row, asked time.Time) (feed.PostID, error) {
	var server time.Time
	var oldest int64
	if err := row.Scan(&server, &oldest); err != nil {
		return 0, err
	}
	if ahead := asked.Sub(server); ahead > maxAhead {
		return 0, feed.Unavailable(readOutbox, fmt.Errorf(
			"the clock of this machine is %v ahead of PostgreSQL's, %v is the most (synchronise them, with NTP say)",
			ahead.Round(time.Millisecond), maxAhead))
	}
	return feed.PostID(oldest), nil
}

// countExactly is how many events are counted one by one; the fan-out asks often.
// Beyond it the server's running estimate does.
const countExactly = 100_000

// CountEvents implements storage.Outbox.
func (s *Store) CountEvents(ctx context.Context) (int64, error) {
	var count int64
	err := s.call(ctx, "count the outbox", func(ctx context.Context) error {
		err := s.pool.QueryRow(ctx, `SELECT count(*) FROM (SELECT FROM outbox LIMIT $1) AS events`, countExactly).Scan(&count)
		if err != nil || count < countExactly {
			return err
		}
		return s.pool.QueryRow(ctx, `SELECT greatest($1, pg_stat_get_live_tuples('outbox'::regclass))`, countExactly).Scan(&count)
	})
	return count, err
}
