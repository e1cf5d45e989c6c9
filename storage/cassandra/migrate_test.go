package cassandra_test

import (
	"strings"
	"sync"
	"testing"

	"skein/storage/cassandra"
)

// One keyspace goes through all of it, as making tables takes long: an old version is
// refused, two migrations at once bring it up to date, one more changes nothing; one that
// lacks a table is refused with its name, and a newer schema is left alone.
func TestMigrate(t *testing.T) {
	t.Parallel()
	url := newKeyspace(t)
	t.Cleanup(func() { dropKeyspace(url) })
	must(t, cassandra.MigrateTo(bg, url, 1))
	wantOneLine(t, openFails(t, url, cassandra.Options{}), "has version 1", "this program needs 4", "run: skein migrate")

	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if err := cassandra.Migrate(bg, url); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	must(t, cassandra.Migrate(bg, url))
	must(t, open(t, url).Close())

	session, err := cassandra.Session(url)
	must(t, err)
	defer session.Close()
	for _, table := range tables {
		var name string
		must(t, session.Query(`SELECT table_name FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?`, keyspaceOf(url), table).Scan(&name))
	}
	must(t, session.Query(`DROP TABLE leases`).Exec())
	wantOneLine(t, openFails(t, url, cassandra.Options{}), "not whole, it lacks leases (", "run: skein migrate")
	must(t, session.Query(`INSERT INTO skein_schema (one, version) VALUES (0, 99)`).Exec())
	wantOneLine(t, openFails(t, url, cassandra.Options{}), "version 99", "newer")
	wantOneLine(t, cassandra.Migrate(bg, url), "version 99", "newer")
}

// Every statement may be run again: a migration that died is.
func TestMigrate_StatementsMayBeRepeated(t *testing.T) {
	t.Parallel()
	all := cassandra.CQL()
	if len(all) < len(tables) {
		t.Errorf("%d statements, want one for each table at least", len(all))
	}
	for _, statement := range all {
		if !strings.Contains(statement, " IF NOT EXISTS ") || strings.ContainsAny(statement, ";\n") {
			t.Errorf("%q cannot be run again", statement)
		}
	}
}
