package cassandra

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"github.com/gocql/gocql"
)

func schemaVersion(ctx context.Context, session *gocql.Session) (version int, err error) {
	err = session.Query(`SELECT max(version) FROM skein_schema WHERE one = 0`).WithContext(ctx).Idempotent(true).Scan(&version)
	var failure gocql.RequestError
	if errors.As(err, &failure) && failure.Code() == gocql.ErrCodeInvalid {
		return 0, nil // there is no such table
	}
	return version, err
}

// file is one migration.
type file struct {
	name       string
	version    int
	statements []string
}

// files returns the migrations in order. Their versions are 1, 2 and so on.
func files() (all []file) {
	names, err := fs.Glob(migrations, "migrations/*.cql")
	if err != nil {
		panic(err) // the pattern is malformed
	}
	for i, name := range names {
		text, err := migrations.ReadFile(name)
		if err != nil {
			panic(err) // it is part of the program
		}
		f := file{name: name, version: i + 1}
		for _, statement := range strings.SplitAfter(string(text), ";\n") {
			if statement = withoutComments(statement); statement != "" {
				f.statements = append(f.statements, statement)
			}
		}
		all = append(all, f)
	}
	return all
}

func withoutComments(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if code, _, _ := strings.Cut(line, "--"); strings.TrimSpace(code) != "" {
			lines = append(lines, strings.TrimSpace(code))
		}
	}
	return strings.TrimSuffix(strings.Join(lines, " "), ";")
}

func newestVersion() int { return len(files()) }

// compareSchema says what to do about a schema of another version.
func compareSchema(found, want int) error {
	switch {
	case found == 0:
		return fmt.Errorf("%s: the keyspace has no schema (run: skein migrate)", engine)
	case found < want:
		return fmt.Errorf("%s: the schema has version %d, this program needs %d (run: skein migrate)", engine, found, want)
	case found > want:
		return fmt.Errorf("%s: the schema has version %d, newer than this program's %d (run a newer skein)", engine, found, want)
	}
	return nil
}

// checkSchema compares the schema's version with this program's.
func (s *Store) checkSchema(ctx context.Context) error {
	found, err := schemaVersion(ctx, s.session)
	if err != nil {
		return explain(s.settings, err)
	}
	if err := compareSchema(found, newestVersion()); err != nil {
		return err
	}
	return s.checkWhole(ctx)
}

// creates finds what a migration makes. No later one removes any of it.
var creates = regexp.MustCompile(`^CREATE TABLE IF NOT EXISTS (\w+)`)

// checkWhole looks for all tables that the migrations make: a version that is noted
// does not prove that a restore came to its end, or that nobody removed one since.
func (s *Store) checkWhole(ctx context.Context) error {
	there := map[string]bool{}
	var table string
	tables := s.read(ctx, `SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?`, s.settings.keyspace).Consistency(gocql.One)
	if err := each(tables, []any{&table}, func() { there[table] = true }); err != nil {
		return explain(s.settings, err)
	}
	var missing []string
	for _, file := range files() {
		for _, statement := range file.statements {
			if made := creates.FindStringSubmatch(statement); made != nil && !there[made[1]] {
				missing = append(missing, made[1])
			}
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s: the schema is not whole, it lacks %s (restore the keyspace from a snapshot; or name an empty one and run: skein migrate)",
			engine, strings.Join(missing, ", "))
	}
	return nil
}
