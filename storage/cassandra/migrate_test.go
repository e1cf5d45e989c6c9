package cassandra_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"skein/deploy/local/servers"
	"skein/storage/cassandra"
)

// One keyspace goes through all of it, as making tables takes long: an old version is
// refused, a migration waits for another and stops once it has lost the lock, two at
// once wait for one that died and bring it up to date, one more changes nothing; one that
// lacks a table is refused with its name, and a newer schema is left alone.
func TestMigrate(t *testing.T) {
	t.Parallel()
	url := newKeyspace(t)
	t.Cleanup(func() { dropKeyspace(url) })
	must(t, cassandra.MigrateTo(bg, url, 1, nil))
	wantOneLine(t, openFails(t, url, cassandra.Options{}), "has version 1", "this program needs 4", "run: skein migrate")
	session, err := cassandra.Session(url)
	must(t, err)
	defer session.Close()
	lockedOut(t, session, url)
	cutOff(t, session, url)

	const died = `INSERT INTO skein_lock (one, owner) VALUES (0, 1) IF NOT EXISTS USING TTL 1`
	lockAs(t, session, died)
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

// lockedOut has a migration wait for the lock of another, which takes the lock from it
// after its first statement.
func lockedOut(t *testing.T, session *gocql.Session, url string) {
	lockAs(t, session, `INSERT INTO skein_lock (one, owner) VALUES (0, 1) IF NOT EXISTS`)
	waits, applied := 0, 0
	err := cassandra.MigrateTo(bg, url, 0, func(at cassandra.Step) {
		switch at {
		case cassandra.StepLocked:
			if waits++; waits == 2 {
				lockAs(t, session, `DELETE FROM skein_lock WHERE one = 0 IF owner = 1`)
			}
		case cassandra.StepApplied:
			if applied++; applied == 1 {
				lockAs(t, session, `UPDATE skein_lock SET owner = 1 WHERE one = 0 IF EXISTS`)
			}
		}
	})
	wantOneLine(t, err, "the lock was lost", "run it again")
	if waits < 2 || applied != 1 {
		t.Errorf("a migration waited %d times for another, and applied %d statements before it lost the lock; want 2 times at least, and 1", waits, applied)
	}
	ctx, cancel := context.WithTimeout(bg, patience)
	defer cancel()
	must(t, cassandra.Lock(ctx, session, 1))                                // who has it already is told so
	lockAs(t, session, `DELETE FROM skein_lock WHERE one = 0 IF owner = 1`) // and the other did not remove it
}

// cutOff has a migration end in the middle of a statement, which may still be under way:
// the lock stays, and is left to end by itself.
func cutOff(t *testing.T, session *gocql.Session, url string) {
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	err := cassandra.MigrateTo(ctx, url, 0, func(at cassandra.Step) {
		if at == cassandra.StepApplying {
			cancel()
		}
	})
	wantOneLine(t, err, "cannot migrate", "cancel")
	lockAs(t, session, `DELETE FROM skein_lock WHERE one = 0 IF EXISTS`) // it is there
}

// A node stands still for longer than a statement may take, once while a migration asks
// for the lock, and once in a change of the schema. The migration does not know whether
// it had the lock, asks again, and finishes.
func TestMigrate_ANodeThatHangs(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a server of its own, and waits for it twice")
	}
	node, err := servers.StartCassandra(bg, "", t.TempDir(), servers.NoSync(), servers.Brief())
	servers.Require(t, err)
	t.Cleanup(func() { node.Kill() })
	must(t, cassandra.MigrateTo(bg, node.URL(), 1, nil))
	session, err := cassandra.Session(node.URL())
	must(t, err)
	defer session.Close()
	lockAs(t, session, `INSERT INTO skein_lock (one, owner) VALUES (0, 1) IF NOT EXISTS`)
	asked, changes := 0, 0
	must(t, cassandra.MigrateTo(bg, node.URL(), 0, func(at cassandra.Step) {
		switch at {
		case cassandra.StepLocked:
			switch asked++; asked {
			case 1:
				lockAs(t, session, `DELETE FROM skein_lock WHERE one = 0 IF owner = 1`)
				must(t, node.Pause())
			case 2:
				must(t, node.Resume())
			}
		case cassandra.StepApplying:
			if changes++; changes == 1 {
				must(t, node.Pause())
				// The driver asks first what the statement is, and goes on without an answer.
				time.AfterFunc(2*cassandra.CallTimeout+time.Second, func() {
					if err := node.Resume(); err != nil {
						t.Error(err)
					}
				})
			}
		}
	}))
	if asked < 2 || changes == 0 {
		t.Errorf("the lock was asked for %d times in vain, want 2 at least; %d statements, want some", asked, changes)
	}
}

// lockAs does to the lock what another migration would.
func lockAs(t *testing.T, session *gocql.Session, cql string) {
	t.Helper()
	if applied, err := session.Query(cql).MapScanCAS(map[string]any{}); err != nil || !applied {
		t.Fatalf("%s: applied %v, %v", cql, applied, err)
	}
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
