package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"regexp"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	// schemaTable names the versions that were applied. Not goose's default,
	// which another program in the same database may use.
	schemaTable = "skein_schema"
	// Another Migrate is waited for this long, asked once a second.
	migrateWaitSeconds = 300
)

// Migrate makes or updates the schema of the database at url: from nothing, or
// from any earlier version. It may be run again, and by several at once: they take
// turns. It refuses a schema newer than this program. Stop what writes before a
// migration that says so. Only ctx bounds how long it takes: a change of large
// tables may need hours.
func Migrate(ctx context.Context, url string) error {
	return migrateTo(ctx, url, 0)
}

// migrateTo migrates up to version; 0 is the newest.
func migrateTo(ctx context.Context, url string, version int64) error {
	config, err := configure(url, Options{})
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*config.ConnConfig)
	defer db.Close()
	if err := db.PingContext(ctx); err != nil {
		return explain(config.ConnConfig, err)
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, migrateWaitSeconds))
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithSessionLocker(locker), goose.WithTableName(schemaTable), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	sources := provider.ListSources()
	newest := sources[len(sources)-1].Version
	if version == 0 {
		version = newest
	}
	if _, err := provider.UpTo(ctx, version); err != nil {
		return fmt.Errorf("PostgreSQL: cannot migrate the schema (correct what it says, as the rights of the URL's user, and run skein migrate again: a version that failed left nothing): %s", oneLine(err))
	}
	// Goose passes over versions that it does not know.
	found, err := provider.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("PostgreSQL: cannot read the version of the schema (run skein migrate again): %s", oneLine(err))
	}
	if version < newest {
		return nil
	}
	return compareSchema(found, newest)
}

// compareSchema says what to do about a schema of another version.
func compareSchema(found, want int64) error {
	switch {
	case found == 0:
		return errors.New("PostgreSQL: the database has no schema (run: skein migrate)")
	case found < want:
		return fmt.Errorf("PostgreSQL: the schema has version %d, this program needs %d (run: skein migrate)", found, want)
	case found > want:
		return fmt.Errorf("PostgreSQL: the schema has version %d, newer than this program's %d (run a newer skein)", found, want)
	}
	return nil
}

// checkSchema compares the schema's version with this program's.
func (s *Store) checkSchema(ctx context.Context) error {
	var found int64
	err := s.pool.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM `+schemaTable+` WHERE is_applied`).Scan(&found)
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == codeNoTable {
		err = nil
	}
	if err != nil {
		return explain(s.pool.Config().ConnConfig, err)
	}
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	if err := compareSchema(found, int64(len(names))); err != nil {
		return err
	}
	return s.checkWhole(ctx, names)
}

// creates finds what a migration makes. No later one removes any of it.
var creates = regexp.MustCompile(`(?m)^CREATE (?:OR REPLACE |UNIQUE )?(?:TABLE|INDEX|SEQUENCE|FUNCTION) (\w+)`)

// checkWhole looks for all that the migrations make: a version that is noted does not
// prove that a restore came to its end, or that nobody removed a table since.
func (s *Store) checkWhole(ctx context.Context, files []string) error {
	var objects []string
	for _, file := range files {
		text, err := migrations.ReadFile(file)
		if err != nil {
			return err
		}
		for _, made := range creates.FindAllSubmatch(text, -1) {
			objects = append(objects, string(made[1]))
		}
	}
	var missing string
	err := s.pool.QueryRow(ctx, `SELECT coalesce(string_agg(DISTINCT name, ', '), '') FROM unnest($1::text[]) AS name
		WHERE to_regclass(name) IS NULL AND NOT EXISTS (SELECT FROM pg_proc WHERE proname = name AND pg_function_is_visible(oid))`,
		objects).Scan(&missing)
	if err != nil {
		return explain(s.pool.Config().ConnConfig, err)
	}
	if missing != "" {
		return fmt.Errorf("PostgreSQL: the schema is not whole, it lacks %s (restore the database from a backup; or name an empty one and run: skein migrate)", missing)
	}
	return nil
}
