package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"skein/feed"
)

// leaseTime is how far ahead of the server's clock a grant ends.
const leaseTime = 5 * time.Second

// grant takes the node whose last interval ended first, if it has ended. Those
// that others are taking are passed over, and the row's lock makes whoever comes
// next see the new end: the interval from the time of the statement on was never
// granted. A clock set back finds no node, until it has caught up.
const grant = `
UPDATE leases SET until = statement_timestamp() + $1::interval
WHERE node = (
	SELECT node FROM leases WHERE until <= statement_timestamp()
	ORDER BY until LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING node, statement_timestamp(), until`

// Grant implements feed.Granter.
func (s *Store) Grant(ctx context.Context) (feed.Grant, error) {
	var g feed.Grant
	var node int16
	err := s.call(ctx, "lease time for post ids", func(ctx context.Context) error {
		err := s.pool.QueryRow(ctx, grant, leaseTime).Scan(&node, &g.From, &g.Until)
		if errors.Is(err, pgx.ErrNoRows) {
			return feed.Exhausted(leaseTime, "every node is leased; wait, and look whether the server's clock was set back")
		}
		return err
	})
	if err != nil {
		return feed.Grant{}, err
	}
	g.Node = uint16(node)
	return g, nil
}
