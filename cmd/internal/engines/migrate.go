package engines

import (
	"context"
	"errors"
	"slices"

	"skein/fanout/eventlog/kafka"
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
		life := func(ctx context.Context, _ []string) error { return beginLife(ctx, c, o) }
		if err := kafka.Migrate(ctx, c.Log, o.Topics, kafka.MigrateOptions{Logger: o.Logger, BeforeMaking: life}); err != nil {
			return err
		}
		done("Kafka")
	}
	return nil
}

// beginLife begins a new life of the log: topics that are made may stand for others
// that were lost, with records that nobody had read.
func beginLife(ctx context.Context, c Config, o Options) (err error) {
	s, err := OpenGraph(ctx, c, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	tiers, err := s.Graph.GetTiers(ctx, 0)
	if err != nil {
		return err
	}
	_, err = s.Graph.BeginLife(ctx, tiers.Life)
	return err
}
