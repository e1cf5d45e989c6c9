package cassandra

import (
	"context"
	"crypto/sha256"
	"embed"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/gocql/gocql"
)

//go:embed migrations/*.cql
var migrations embed.FS

// bookkeeping makes what a migration itself needs: which versions were applied, and the
// lock. No lock protects that yet, so the tables' ids are ours: two who make a table at
// once make the same one.
func bookkeeping(keyspace string) []string {
	id := func(table string) gocql.UUID {
		sum := sha256.Sum256([]byte("skein " + keyspace + "." + table))
		id := gocql.UUID(sum[:16])
		id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // version 8 of RFC 9562: anybody's own
		return id
	}
	return []string{
		fmt.Sprint(`CREATE TABLE IF NOT EXISTS skein_schema (one tinyint, version int, PRIMARY KEY (one, version)) WITH id = `, id("skein_schema")),
		fmt.Sprint(`CREATE TABLE IF NOT EXISTS skein_lock (one tinyint PRIMARY KEY, owner bigint) WITH id = `, id("skein_lock")),
	}
}

// Migrate makes or updates the keyspace of url: from nothing, or from any earlier
// version. It may be run again, and by several at once: they take turns. It refuses a
// schema newer than this program. A keyspace that is there keeps its replication.
func Migrate(ctx context.Context, url string) error { return migrateTo(ctx, url, 0, nil) }

// migrateTo migrates up to version; 0 is the newest. onStep, in tests, is told how far
// it got.
func migrateTo(ctx context.Context, url string, version int, onStep func(step)) error {
	where, err := parse(url)
	if err != nil {
		return err
	}
	if err := makeKeyspace(ctx, where); err != nil {
		return err
	}
	// Migrations take turns also with those of another data centre.
	global := where
	global.consistency, global.serial = gocql.Quorum, gocql.Serial
	session, err := connect(global, where.keyspace, schemaTimeout)
	if err != nil {
		return explain(where, err)
	}
	defer session.Close()
	m := &migration{session: session, settings: where, owner: rand.Int64(), onStep: onStep}
	if err := m.run(ctx, version); err != nil {
		return fmt.Errorf("%s: cannot migrate the schema: %s", engine, oneLine(err))
	}
	found, err := m.version(ctx)
	if err != nil || version > 0 && version < newestVersion() {
		return err
	}
	return compareSchema(found, newestVersion())
}

// connect opens a session whose statements may take as long as timeout. The driver looks
// at no context meanwhile, but bounds each of its steps.
func connect(where settings, keyspace string, timeout time.Duration) (*gocql.Session, error) {
	cluster := where.cluster(keyspace, slog.New(slog.DiscardHandler))
	cluster.Timeout = timeout
	return cluster.CreateSession()
}

// makeKeyspace makes the keyspace, unless it is there, with copies in one data centre.
func makeKeyspace(ctx context.Context, where settings) error {
	session, err := connect(where, "", schemaTimeout)
	if err != nil {
		return explain(where, err)
	}
	defer session.Close()
	there, err := hasKeyspace(ctx, session, where.keyspace)
	if err != nil {
		return explain(where, err)
	}
	if there {
		return nil
	}
	datacenter, nodes := where.datacenter, 1
	var local, other string
	if err := session.Query(`SELECT data_center FROM system.local`).Consistency(gocql.One).WithContext(ctx).Scan(&local); err != nil {
		return explain(where, err)
	}
	if datacenter == "" {
		datacenter = local
	}
	err = each(session.Query(`SELECT data_center FROM system.peers`).Consistency(gocql.One).WithContext(ctx), []any{&other}, func() {
		if other == datacenter {
			nodes++
		}
	})
	if err != nil {
		return explain(where, err)
	}
	factor := where.copies
	if factor == 0 {
		factor = min(3, nodes)
	}
	if strings.ContainsAny(datacenter, "'\\") {
		return errURL
	}
	make := fmt.Sprintf(`CREATE KEYSPACE IF NOT EXISTS %s WITH replication = {'class': 'NetworkTopologyStrategy', '%s': %d}`, where.keyspace, datacenter, factor)
	if err := session.Query(make).WithContext(ctx).Exec(); err != nil {
		return explain(where, err)
	}
	return session.AwaitSchemaAgreement(ctx)
}

// migration is one run of Migrate.
type migration struct {
	session  *gocql.Session
	settings settings
	owner    int64
	// inDoubt: a change of the schema may still be under way.
	inDoubt bool
	onStep  func(step)
}

func (m *migration) after(at step) {
	if m.onStep != nil {
		m.onStep(at)
	}
}

func (m *migration) run(ctx context.Context, version int) error {
	for _, statement := range bookkeeping(m.settings.keyspace) {
		if err := m.apply(ctx, statement); err != nil {
			return err
		}
	}
	defer m.unlock(context.WithoutCancel(ctx)) // it may be ours though lock does not know
	if err := m.lock(ctx); err != nil {
		return err
	}
	found, err := m.version(ctx)
	if err != nil {
		return err
	}
	for _, file := range files() {
		if file.version <= found || version > 0 && file.version > version {
			continue
		}
		for _, statement := range file.statements {
			if err := m.renew(ctx); err != nil {
				return err
			}
			m.after(stepApplying)
			if err := m.apply(ctx, statement); err != nil {
				return fmt.Errorf("%s: %w", file.name, err)
			}
			m.after(stepApplied)
		}
		err := m.session.Query(`INSERT INTO skein_schema (one, version) VALUES (0, ?)`, file.version).
			WithContext(ctx).Idempotent(true).Consistency(gocql.EachQuorum).Exec()
		if err != nil {
			return err
		}
	}
	if version > 0 && version < newestVersion() {
		return nil
	}
	return m.agree(ctx)
}

// apply runs a statement that changes the schema, and waits until all nodes have it.
func (m *migration) apply(ctx context.Context, statement string) error {
	ctx, cancel := context.WithTimeout(ctx, schemaTimeout)
	defer cancel()
	err := m.session.Query(statement).WithContext(ctx).Exec()
	if err == nil {
		err = m.session.AwaitSchemaAgreement(ctx)
	}
	m.inDoubt = err != nil && !refused(err)
	return err
}

func (m *migration) version(ctx context.Context) (int, error) { return schemaVersion(ctx, m.session) }
