package postgres

import "context"

// LogName implements storage.Shared.
func (s *Store) LogName(ctx context.Context) (name string, err error) {
	err = s.call(ctx, "read the log's name", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, `SELECT coalesce(log_name, '') FROM shared`).Scan(&name)
	})
	return name, err
}

// SetLogName implements storage.Shared.
func (s *Store) SetLogName(ctx context.Context, name string) error {
	return s.call(ctx, "store the log's name", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, `UPDATE shared SET log_name = $1`, name)
		return err
	})
}
