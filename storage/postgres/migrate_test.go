package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"skein/storage/postgres"
)

// schema describes all that a migration makes.
func schema(t *testing.T, url string) string {
	t.Helper()
	return value[string](t, connect(t, url), `
		SELECT string_agg(line, chr(10) ORDER BY line) FROM (
			SELECT format('%s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default) AS line
				FROM information_schema.columns WHERE table_schema = 'public'
			UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
			UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
			UNION ALL SELECT format('%s %s', relname, reloptions) FROM pg_class WHERE relnamespace = 'public'::regnamespace
		) AS lines`)
}

func TestMigrate_FromEmptyAndFromEachVersion(t *testing.T) {
	const newest = 5
	want := schema(t, database(t))
	if !strings.Contains(want, "outbox") {
		t.Fatalf("the schema has no outbox:\n%s", want)
	}
	for from := int64(1); from <= newest; from++ {
		url := emptyDatabase(t)
		must(t, postgres.MigrateTo(bg, url, from))
		if from < newest {
			wantOneLine(t, openFails(t, url, postgres.Options{}), fmt.Sprintf("this program needs %d", newest), "run: skein migrate")
		}
		must(t, postgres.Migrate(bg, url))
		must(t, postgres.Migrate(bg, url))
		if got := schema(t, url); got != want {
			t.Errorf("from version %d the schema becomes\n%s\nwant\n%s", from, got, want)
		}
		must(t, open(t, url).Close())
	}
}

func TestMigrate_TwiceAtOnce(t *testing.T) {
	url := emptyDatabase(t)
	one := start(func() (struct{}, error) { return struct{}{}, postgres.Migrate(bg, url) })
	two := start(func() (struct{}, error) { return struct{}{}, postgres.Migrate(bg, url) })
	receive(t, "the first migration", one)
	receive(t, "the second migration", two)
	must(t, open(t, url).Close())
}

func TestMigrate_SaysWhatToDo(t *testing.T) {
	url := emptyDatabase(t)
	must(t, execute(url, `CREATE TABLE posts ()`)) // somebody else's
	wantOneLine(t, postgres.Migrate(bg, url), `"posts" already exists`, "run skein migrate again")
	must(t, execute(url, `DROP TABLE posts`))
	must(t, postgres.Migrate(bg, url))
}

// A database whose schema has a version and not all that belongs to it is refused,
// with what is missing.
func TestOpen_HalfASchema(t *testing.T) {
	for _, c := range []struct{ drop, lacks string }{
		{"TABLE posts", "posts, posts_by_author ("},
		{"INDEX followers", "followers ("},
		{"SEQUENCE user_ids", "user_ids ("},
		{"FUNCTION oldest_event", "oldest_event ("},
	} {
		url := database(t)
		must(t, execute(url, "DROP "+c.drop))
		wantOneLine(t, openFails(t, url, postgres.Options{}), "not whole, it lacks "+c.lacks, "run: skein migrate")
	}
}

func TestMigrate_RefusesANewerSchema(t *testing.T) {
	url := database(t)
	must(t, execute(url, `INSERT INTO skein_schema (version_id, is_applied) VALUES (99, true)`))
	wantOneLine(t, openFails(t, url, postgres.Options{}), "version 99", "newer")
	wantOneLine(t, postgres.Migrate(bg, url), "version 99", "newer")
}
