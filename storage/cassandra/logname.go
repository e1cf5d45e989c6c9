package cassandra

import (
	"context"
	"errors"

	"github.com/gocql/gocql"
)

// LogName implements storage.Shared.
func (s *Store) LogName(ctx context.Context) (string, error) {
	var name string
	err := s.readSerial(ctx, `SELECT log_name FROM shared WHERE one = 0 LIMIT 1`).Scan(&name)
	if errors.Is(err, gocql.ErrNotFound) {
		return "", nil
	}
	return name, translate("read the log's name", err)
}

// SetLogName implements storage.Shared. It is a transaction, as all that is written to
// this partition, with a condition that always holds.
func (s *Store) SetLogName(ctx context.Context, name string) error {
	_, _, err := s.decide(ctx, `UPDATE shared SET log_name = ? WHERE one = 0 IF log_name != ?`, name, name)
	return translate("store the log's name", err)
}
