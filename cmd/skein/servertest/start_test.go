package servertest

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"skein/deploy/local/servers"
)

// startWithin is how long a start that cannot succeed may take to say so.
const startWithin = 10 * time.Second

// urls name the engines of one start.
type urls struct{ storage, log, timelines string }

func (u urls) migrate(t *testing.T, more ...string) *process {
	t.Helper()
	return launch(t, "migrate", ours.skein, nil, append([]string{"migrate", "--posts", u.storage, "--graph", u.storage, "--log", u.log}, more...)...)
}

func (u urls) serve(t *testing.T, role string) *process {
	t.Helper()
	return launch(t, "start-"+role, ours.skein, nil, "serve", "--role", role,
		"--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0",
		"--posts", u.storage, "--graph", u.storage, "--log", u.log, "--timelines", u.timelines)
}

// migrated are engines with all that they must have.
func migrated(t *testing.T, name string) urls {
	t.Helper()
	ours.begin(t, onServers)
	u := urls{ours.database(t, name), ours.url(servers.Kafka) + "/" + name, ours.url(servers.Redis)}
	if code, said := u.migrate(t).exit(t, patience); code != 0 {
		t.Fatalf("migrate: exit %d, %s", code, said)
	}
	return u
}

// A start that cannot succeed ends soon, with exit code 1 and one line that names
// the engine and says what to do. It says nothing of passwords.
func TestStartFails(t *testing.T) {
	longOnly(t)
	good := migrated(t, "start")
	newer, weak, other := migrated(t, "start_newer"), migrated(t, "start_weak"), migrated(t, "start_other")
	half, nameless := migrated(t, "start_half"), migrated(t, "start_nameless")
	ours.sql(t, "start_half", "DROP TABLE follows")
	ours.sql(t, "start_nameless", "UPDATE shared SET log_name = NULL")
	ours.sql(t, "start_newer", "INSERT INTO skein_schema (version_id, is_applied) VALUES (9000, true)")
	ours.sql(t, "start_weak", "ALTER DATABASE start_weak SET synchronous_commit = off")
	nobody, mute := silence(t)
	cases := []struct {
		what   string
		engine urls   // what is not good
		says   string // among others
	}{
		{"PostgreSQL is down", urls{storage: "postgres://skein:secret@" + nobody + "/skein"}, "PostgreSQL at " + nobody + " cannot be used (start it"},
		{"PostgreSQL hangs", urls{storage: "postgres://skein:secret@" + mute + "/skein?sslmode=disable"}, "PostgreSQL at " + mute + " cannot be used (start it"},
		{"PostgreSQL's URL is malformed", urls{storage: "postgres://skein:secret@%zz"}, "URL of PostgreSQL is malformed"},
		{"there is no such database", urls{storage: strings.Replace(good.storage, "/start", "/nonesuch", 1)}, "createdb"},
		{"there is no schema", urls{storage: ours.database(t, "start_empty")}, "run: skein migrate"},
		{"the schema is newer", newer, "run a newer skein"},
		{"a table is missing", half, "PostgreSQL: the schema is not whole, it lacks followers, follows ("},
		{"migrate did not come to its end", nameless, "knows no event log yet; run: skein migrate"},
		{"PostgreSQL may lose posts", weak, "synchronous_commit"},
		{"PostgreSQL does not sync", urls{storage: unsynced(t)}, "PostgreSQL may lose acknowledged posts: set to on: fsync"},
		{"Kafka is down", urls{log: "kafka://" + nobody}, "see that Kafka runs"},
		{"Kafka hangs", urls{log: "kafka://" + mute}, "see that Kafka runs"},
		{"Kafka's URL is malformed", urls{log: "kafka://"}, "event log's URL"},
		{"there are no topics", urls{log: good.log + "x"}, "run: skein migrate"},
		{"Kafka is another storage's", urls{log: other.log}, "correct --log"},
		{"Redis is down", urls{timelines: "redis://:secret@" + nobody}, "redis at " + nobody},
		{"Redis hangs", urls{timelines: "redis://:secret@" + mute}, "redis at " + mute},
		{"Redis's URL is malformed", urls{timelines: "redis://:secret@a:b:c"}, "URL of Redis is malformed"},
		{"the password is wrong", urls{timelines: strings.Replace(good.timelines, "//", "//skein:secret@", 1)}, "correct the user and password"},
	}
	began := time.Now()
	var starts []*process
	for i, c := range cases {
		u := good
		for _, part := range []struct{ to, from *string }{
			{&u.storage, &c.engine.storage}, {&u.log, &c.engine.log}, {&u.timelines, &c.engine.timelines},
		} {
			if *part.from != "" {
				*part.to = *part.from
			}
		}
		role := []string{"api", "worker"}[i%2]
		starts = append(starts, u.serve(t, role))
	}
	for i, p := range starts {
		code, said := p.exit(t, time.Until(began.Add(startWithin)))
		last := complaint(said)
		if says := cases[i].says; code != 1 || !strings.Contains(last, says) || strings.Contains(said, "secret") {
			t.Errorf("%s: exit %d, said %q; want exit 1, one line with %q, and no password", cases[i].what, code, said, says)
		}
		t.Logf("%s: after %v: %s", cases[i].what, time.Since(began).Round(time.Millisecond), last)
	}
}

// complaint returns the one line that is no record of the log, and comes last; ""
// if there is none such.
func complaint(said string) string {
	lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(said), "\n"), func(line string) bool {
		return strings.HasPrefix(line, "time=")
	})
	if len(lines) != 1 || !strings.HasSuffix(strings.TrimSpace(said), lines[0]) || !strings.HasPrefix(lines[0], "skein: ") {
		return ""
	}
	return lines[0]
}

// silence returns an address where nobody listens, and one where nobody answers.
func silence(t *testing.T) (nobody, mute string) {
	t.Helper()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, gone.Close())
	t.Cleanup(func() { _ = silent.Close() })
	return gone.Addr().String(), silent.Addr().String()
}

// unsynced returns a database, with the schema, of a PostgreSQL that may lose what
// it acknowledged.
func unsynced(t *testing.T) string {
	t.Helper()
	server, err := servers.StartPostgres(t.Context(), "", filepath.Join(ours.dir, "unsynced"), servers.NoSync())
	must(t, err)
	t.Cleanup(func() { must(t, server.Kill()) })
	u := urls{storage: server.URL(), log: ours.url(servers.Kafka) + "/unsynced"}
	// It makes topics, and so must open what storage is there.
	if code, said := u.migrate(t, "--allow-weak").exit(t, patience); code != 0 {
		t.Fatalf("migrate: exit %d, %s", code, said)
	}
	return server.URL()
}

// Two migrations at once both succeed, on engines with nothing on them, and so does
// one more; a server starts on what they made.
func TestMigrateTwiceAtOnce(t *testing.T) {
	longOnly(t)
	ours.begin(t, onServers)
	u := urls{ours.database(t, "twice"), ours.url(servers.Kafka) + "/twice", ours.url(servers.Redis)}
	for _, at := range [][]*process{{u.migrate(t), u.migrate(t)}, {u.migrate(t)}} {
		for _, p := range at {
			if code, said := p.exit(t, patience); code != 0 || strings.Count(said, "is up to date") != 2 {
				t.Errorf("migrate: exit %d, said %s", code, said)
			}
		}
	}
	p := serve(t, "twice", ours.skein, nil, "serve", "--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0",
		"--posts", u.storage, "--graph", u.storage, "--log", u.log, "--timelines", u.timelines)
	p.kill()
}
