package cassandra

import (
	"log/slog"

	"github.com/gocql/gocql"
)

// Session returns a session beside the store's.
func Session(url string) (*gocql.Session, error) {
	where, err := parse(url)
	if err != nil {
		return nil, err
	}
	return connect(where, where.keyspace, slog.New(slog.DiscardHandler))
}
