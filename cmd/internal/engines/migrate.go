package engines

import (
	"context"
	"errors"
	"slices"
	"time"

	"skein/fanout/eventlog/kafka"
	"skein/feed/policy"
	"skein/storage"
	"skein/storage/cassandra"
	"skein/storage/postgres"
)

// Migrate makes or updates what the servers that c names must have before Open:
// schemas and topics. It may be run again, and by several at once. Each server that
// it has prepared it tells to done.
func Migrate(ctx context.Context, c Config, o Options, done func(server string)) error {
	storages := slices.Compact([]string{c.Graph, c.Posts})
	for _, url := range storages {
		if url == nameEmbedded {
			continue
		}
		server, migrate := "PostgreSQL", postgres.Migrate
		if Scheme(url) == nameCassandra {
			server, migrate = "Cassandra", cassandra.Migrate
		}
		if err := migrate(ctx, url); err != nil {
			return err
		}
		done(server)
	}
	if c.Log != nameEmbedded {
		if err := migrateLog(ctx, c, o); err != nil {
			return err
		}
		done("Kafka")
	}
	return nil
}

// migrateLog makes the topics and tells storage which log it has. To another log than
// before it moves with a new life, as what the old one holds is not in it.
//
// Embedded storage is opened only if topics are missing: a server may have it, and no
// other can, with another log.
func migrateLog(ctx context.Context, c Config, o Options) (err error) {
	if c.Graph == nameEmbedded {
		return kafka.Migrate(ctx, c.Log, o.Topics, kafka.MigrateOptions{Logger: o.Logger, BeforeMaking: func(ctx context.Context, _ []string) error {
			s, err := OpenGraph(ctx, c, o)
			if err != nil {
				return err
			}
			return errors.Join(beginLife(ctx, s.Graph), s.Close())
		}})
	}
	s, err := OpenGraph(ctx, c, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	known, err := s.Graph.LogName(ctx)
	if err != nil {
		return err
	}
	began := false
	begin := func(ctx context.Context, _ []string) error {
		began = true
		return beginLife(ctx, s.Graph)
	}
	if err := kafka.Migrate(ctx, c.Log, o.Topics, kafka.MigrateOptions{Logger: o.Logger, BeforeMaking: begin}); err != nil {
		return err
	}
	name, err := kafka.Name(ctx, c.Log)
	if err != nil {
		return err
	}
	if known != "" && known != name && !began {
		if err := beginLife(ctx, s.Graph); err != nil {
			return err
		}
	}
	return s.Graph.SetLogName(ctx, name)
}

// beginLife begins a new life of the log: topics that are made may stand for others
// that were lost, with records that nobody had read. Where there was a life before, it
// waits until no server works with it any more, as a top of the new topics says nothing
// of what the old ones held.
func beginLife(ctx context.Context, graph storage.Shared) error {
	tiers, err := graph.GetTiers(ctx, 0)
	if err != nil {
		return err
	}
	if _, err := graph.BeginLife(ctx, tiers.Life); err != nil || tiers.Life == 0 {
		return err
	}
	select {
	case <-time.After(policy.MaxAge):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
