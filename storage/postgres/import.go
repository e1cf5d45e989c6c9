package postgres

import (
	"cmp"
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"skein/feed"
	"skein/storage"
)

// An import's statements, in the order of doc.go's locks. Each sees what the one
// before it waited for. Their arrays are sorted, and what is sorted is inserted,
// and locked, in that order.
const (
	importUsers = `
INSERT INTO users SELECT id, clock_timestamp() FROM unnest($1::bigint[]) AS id ON CONFLICT DO NOTHING`

	importViewers = `
INSERT INTO viewers (viewer) SELECT viewer FROM unnest($1::bigint[]) AS viewer ON CONFLICT DO NOTHING`

	lockViewers = `
SELECT FROM viewers WHERE viewer = ANY($1) ORDER BY viewer FOR UPDATE`

	// importEdges adds the new edges, one version for each viewer who has any,
	// and counts them.
	importEdges = `
WITH fresh AS (
	INSERT INTO follows
	SELECT e.viewer, e.author, v.version + 1, e.hash
	FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS e (viewer, author, hash)
		JOIN viewers AS v ON v.viewer = e.viewer
	ON CONFLICT DO NOTHING RETURNING viewer, author
), heads AS (
	UPDATE viewers AS v SET version = v.version + 1, count = v.count + f.more
	FROM (SELECT viewer, count(*) AS more FROM fresh GROUP BY viewer) AS f
	WHERE v.viewer = f.viewer
), counts AS (
	INSERT INTO follower_counts AS c
	SELECT author, 0, count(*) FROM fresh GROUP BY author ORDER BY author
	ON CONFLICT (author, slot) DO UPDATE SET count = c.count + excluded.count
)
SELECT count(*) FROM fresh`
)

// ImportFollows implements storage.Follows: one transaction, in one round trip.
func (s *Store) ImportFollows(ctx context.Context, edges []feed.Follow) (storage.Imported, error) {
	if len(edges) > storage.MaxImport {
		return storage.Imported{}, feed.Invalid(feed.Violation{Field: "follows", Description: "are too many for one import"})
	}
	if len(edges) == 0 {
		return storage.Imported{}, nil
	}
	edges = sortedOnce(edges)
	var imported storage.Imported
	err := s.callWithin(ctx, importTimeout, "import follows", func(ctx context.Context) (err error) {
		imported, err = s.importSorted(ctx, edges)
		return err
	})
	if err != nil {
		return storage.Imported{}, err
	}
	return imported, nil
}

func (s *Store) importSorted(ctx context.Context, edges []feed.Follow) (imported storage.Imported, err error) {
	viewers, authors, hashes := make([]int64, len(edges)), make([]int64, len(edges)), make([]int64, len(edges))
	for i, e := range edges {
		viewers[i], authors[i], hashes[i] = int64(e.Viewer), int64(e.Author), signed(e.Viewer.Hash())
	}
	users := slices.Concat(viewers, authors)
	slices.Sort(users)
	heads := slices.Compact(slices.Clone(viewers))

	// A batch is one transaction, which its last result commits.
	batch := &pgx.Batch{}
	created := batch.Queue(importUsers, slices.Compact(users))
	created.Fn = func(r pgx.BatchResults) error {
		tag, err := r.Exec()
		imported.UsersCreated = tag.RowsAffected()
		return err
	}
	batch.Queue(importViewers, heads)
	batch.Queue(lockViewers, heads)
	batch.Queue(importEdges, viewers, authors, hashes).QueryRow(func(row pgx.Row) error { return row.Scan(&imported.Added) })
	return imported, s.pool.SendBatch(ctx, batch).Close()
}

// sortedOnce returns the edges by viewer and author, each once.
func sortedOnce(edges []feed.Follow) []feed.Follow {
	sorted := slices.Clone(edges)
	slices.SortFunc(sorted, func(a, b feed.Follow) int {
		return cmp.Or(cmp.Compare(a.Viewer, b.Viewer), cmp.Compare(a.Author, b.Author))
	})
	return slices.Compact(sorted)
}
