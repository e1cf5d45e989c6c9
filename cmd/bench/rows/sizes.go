package rows

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"skein/cmd/internal/capacity"
	"skein/deploy/local/servers"
)

// noteSizes has notes taken, when the row ends, of what posts, so many, took on the disk
// of each engine: beside the text, which stands in PostgreSQL as it is. Cassandra
// compresses it away, as it is always the same, and Kafka's events have none.
func (s *stores) noteSizes(ctx context.Context, row string, posts float64) error {
	of := map[string]float64{}
	if !s.on.has(servers.Cassandra) {
		size, err := s.tableSize(ctx, "posts")
		if err != nil {
			return err
		}
		of[servers.Postgres] = size/posts - float64(len(text))
	}
	s.stopped = func() error {
		for engine, files := range map[string][]string{
			servers.Kafka:     {"kafka/data/skein.*/*.log"},
			servers.Cassandra: {"cassandra/data/data/skein/posts-*/*", "cassandra/data/data/skein/posts_by_author-*/*"},
		} {
			if !s.on.has(engine) {
				continue
			}
			size, err := s.sizeOf(files)
			if err != nil {
				return err
			}
			of[engine] = size / posts
		}
		s.bench.note(row, capacity.PostBytes, of)
		return nil
	}
	return nil
}

// tableSize is what a table of PostgreSQL takes, indexes and all.
func (s *stores) tableSize(ctx context.Context, table string) (float64, error) {
	db, err := s.database(ctx)
	if err != nil {
		return 0, err
	}
	defer db.Close(context.WithoutCancel(ctx))
	var bytes int64
	err = db.QueryRow(ctx, `SELECT pg_total_relation_size($1::text::regclass)`, table).Scan(&bytes)
	return float64(bytes), err
}

// sizeOf is the size of files in the row's folder; an error if there are none.
func (s *stores) sizeOf(patterns []string) (sum float64, err error) {
	for _, pattern := range patterns {
		found, err := filepath.Glob(filepath.Join(s.dir, pattern))
		if err != nil {
			return 0, err
		}
		for _, path := range found {
			info, err := os.Stat(path)
			if err != nil {
				return 0, err
			}
			if info.Mode().IsRegular() {
				sum += float64(info.Size())
			}
		}
	}
	if sum == 0 {
		return 0, fmt.Errorf("there is nothing in %v of %s", patterns, s.dir)
	}
	return sum, nil
}
