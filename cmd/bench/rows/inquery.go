package rows

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"skein/deploy/local/servers"
	"skein/feed"
)

// inQuery is a home timeline without Skein: a query for the newest posts of those
// followed, which the driver prepares once on each connection.
type inQuery struct {
	pool      *pgxpool.Pool
	following [][]int64
	plan      string
}

const homeQuery = `SELECT id, author, text FROM posts WHERE author = ANY($1) ORDER BY id DESC LIMIT 50`

// plans are settings, each of which leads the planner another way: the index on
// (author, id), by way of a bitmap or not, or the newest posts until enough are by
// those followed. The one that is fastest here counts.
var plans = []struct {
	name     string
	settings map[string]string
}{
	{"the planner's own plan", nil},
	{"a bitmap of the index on (author, id)", map[string]string{"enable_indexscan": "off", "enable_seqscan": "off"}},
	{"the index on (author, id)", map[string]string{"enable_bitmapscan": "off", "enable_seqscan": "off", "random_page_cost": "1"}},
	{"the primary key backwards", map[string]string{"enable_bitmapscan": "off", "enable_seqscan": "off", "enable_sort": "off"}},
}

// inQuery tries all plans for a moment and takes the fastest. Each runs for a moment
// before that, so that none pays for what the others then find in memory.
func (s *stores) inQuery(ctx context.Context, following [][]feed.UserID, clients int) (best *inQuery, err error) {
	authors := make([][]int64, len(following))
	for i := range following {
		for _, author := range following[i] {
			authors[i] = append(authors[i], int64(author))
		}
	}
	fastest := 0.0
	for _, plan := range plans {
		q, err := s.planned(ctx, plan.settings, clients)
		if err != nil {
			return nil, err
		}
		q.plan, q.following = plan.name, authors
		rate := 0.0
		for range 2 {
			rate, err = closedLoop(ctx, clients, time.Second, func(ctx context.Context, _ int) error {
				_, err := q.read(ctx, feed.UserID(rand.IntN(len(following))+1))
				return err
			})
			if err != nil {
				return nil, err
			}
		}
		s.bench.say("%s by %s: %.4g pages/s", homeQuery, plan.name, rate)
		if rate > fastest {
			best, q, fastest = q, best, rate
		}
		if q != nil {
			q.pool.Close()
		}
	}
	return best, nil
}

func (s *stores) planned(ctx context.Context, settings map[string]string, clients int) (*inQuery, error) {
	config, err := pgxpool.ParseConfig(s.servers[servers.Postgres].URL())
	if err != nil {
		return nil, err
	}
	config.MaxConns = int32(clients)
	maps.Copy(config.ConnConfig.RuntimeParams, settings)
	config.ConnConfig.RuntimeParams["jit"] = "off" // it pays for long queries only
	pool, err := pgxpool.NewWithConfig(ctx, config)
	return &inQuery{pool: pool}, err
}

// read reads the posts of a page, and returns their ids.
func (q *inQuery) read(ctx context.Context, viewer feed.UserID) (ids []int64, err error) {
	rows, err := q.pool.Query(ctx, homeQuery, q.following[viewer-1])
	if err != nil {
		return nil, err
	}
	var id, author int64
	var body []byte
	_, err = pgx.ForEachRow(rows, []any{&id, &author, &body}, func() error {
		ids = append(ids, id)
		return nil
	})
	if err == nil && len(ids) != pageSize {
		err = fmt.Errorf("PostgreSQL found %d posts, not %d, for user %d", len(ids), pageSize, viewer)
	}
	return ids, err
}

func (q *inQuery) name() string {
	return fmt.Sprintf("PostgreSQL: %s, prepared, all in memory, by %d connections; fastest of %d plans: %s",
		homeQuery, q.pool.Config().MaxConns, len(plans), q.plan)
}
