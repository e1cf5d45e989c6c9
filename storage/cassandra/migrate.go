package cassandra

import (
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"

	"github.com/gocql/gocql"
)

//go:embed migrations/*.cql
var migrations embed.FS

const (
	// lockTime is how long the lock of one who died stays; it is renewed before each
	// statement. lockEvery is how often others look.
	lockTime  = 60 * time.Second
	lockEvery = 200 * time.Millisecond
	// Another Migrate is waited for this long.
	migrateWait = 5 * time.Minute
)

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

// lock waits for the lock. It ends by itself lockTime after the last renewal. An error
// leaves open who has it, and the next look tells; it is returned if there was nothing
// else for lockTime.
func (m *migration) lock(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, migrateWait)
	defer cancel()
	again := time.NewTicker(lockEvery)
	defer again.Stop()
	answered := time.Now()
	for {
		ours, err := m.tryLock(ctx)
		if err == nil {
			answered = time.Now()
		}
		if ours || refused(err) || time.Since(answered) > lockTime {
			return err
		}
		m.after(stepLocked)
		select {
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("the lock is not to be had, another migration may hold it: %w", ctx.Err())
		}
	}
}

// tryLock takes the lock if nobody has it, and reports whether it is ours, also from an
// earlier try.
func (m *migration) tryLock(ctx context.Context) (ours bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	holds := map[string]any{}
	ours, err = m.session.Query(`INSERT INTO skein_lock (one, owner) VALUES (0, ?) IF NOT EXISTS USING TTL ?`, m.owner, int(lockTime/time.Second)).
		WithContext(ctx).MapScanCAS(holds)
	return ours || holds["owner"] == m.owner, err
}

func (m *migration) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout) // what is left of it is for the change
	defer cancel()
	ours, err := m.session.Query(`UPDATE skein_lock USING TTL ? SET owner = ? WHERE one = 0 IF owner = ?`, int(lockTime/time.Second), m.owner, m.owner).
		WithContext(ctx).MapScanCAS(map[string]any{})
	if err == nil && !ours {
		err = errors.New("the lock was lost, as this took too long; run it again")
	}
	return err
}

// unlock gives the lock back. After a change of the schema in doubt it is left to end by
// itself: another migration would make the same table while the first is still under
// way, and the one table would have two ids.
func (m *migration) unlock(ctx context.Context) {
	if m.inDoubt {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	// If this fails the lock ends by itself.
	_, _ = m.session.Query(`DELETE FROM skein_lock WHERE one = 0 IF owner = ?`, m.owner).WithContext(ctx).MapScanCAS(map[string]any{})
}

func (m *migration) version(ctx context.Context) (int, error) { return schemaVersion(ctx, m.session) }

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
