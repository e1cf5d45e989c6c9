package postgres

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"skein/storage"
)

var (
	_ storage.Posts = (*Store)(nil)
	_ storage.Graph = (*Store)(nil)
)

// Store is storage.Posts and storage.Graph in one database. It is safe for
// concurrent use, and starts no goroutine but the pool's.
type Store struct {
	pool     *pgxpool.Pool
	opts     Options
	requests requests
}

// Open connects to the database at url and checks that it is the primary, not
// too old, has the schema of this program, keeps what it acknowledges, and agrees with this process
// about the time. It changes nothing. Its errors are one line each, name the
// engine and say what to do, never with the password, and come within 10 s.
func Open(ctx context.Context, url string, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	config, err := configure(url, opts)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, explain(config.ConnConfig, err)
	}
	s := &Store{pool: pool, opts: opts}
	if err := s.check(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return s, nil
}

func (s *Store) check(ctx context.Context) error {
	if err := s.pool.Ping(ctx); err != nil {
		return explain(s.pool.Config().ConnConfig, err)
	}
	for _, check := range []func(context.Context) error{s.checkVersion, s.checkSchema, s.CheckDurability, s.checkClock} {
		if err := check(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Close waits for the calls in flight, among them what Relay publishes, and closes
// the connections. Later calls are feed.CodeUnavailable. A second Close does
// nothing. It always returns nil.
func (s *Store) Close() error {
	s.pool.Close()
	return nil
}
