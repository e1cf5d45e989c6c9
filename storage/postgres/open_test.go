package postgres_test

import (
	"bytes"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"skein/storage/postgres"
)

const secret = "s3cr3t/pa%ss"

// openFails opens with a password in the URL, and returns the error, which came in
// time and does not tell the password.
func openFails(t *testing.T, url string, opts postgres.Options) error {
	t.Helper()
	url = strings.Replace(url, "skein@", "skein:s3cr3t%2Fpa%25ss@", 1)
	began := time.Now()
	opts.Logger = silent
	s, err := postgres.Open(bg, url, opts)
	if err == nil {
		s.Close()
		t.Fatal("it opens")
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("%q came after %v", err, took)
	}
	if strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("%q tells the password", err)
	}
	return err
}

func TestOpen_SaysWhatToDo(t *testing.T) {
	server := serverURL(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, closed.Close())
	down, _ := withHost(server, closed.Addr().String())
	mute, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never answers
	must(t, err)
	defer mute.Close()
	silentHost, _ := withHost(server, mute.Addr().String())

	wantOneLine(t, openFails(t, down, postgres.Options{}), closed.Addr().String(), "connection refused", "start it")
	wantOneLine(t, openFails(t, silentHost, postgres.Options{}), mute.Addr().String(), "no answer in time", "start it")
	wantOneLine(t, openFails(t, withDatabase(server, "nowhere"), postgres.Options{}), `no database "nowhere"`, "createdb nowhere")
	wantOneLine(t, openFails(t, "postgres://skein:"+secret+"@/%zz:x", postgres.Options{}), "malformed", "postgres://user")
	wantOneLine(t, openFails(t, withOption(server, "pool_max_conns", "few"), postgres.Options{}), "malformed")
	wantOneLine(t, openFails(t, emptyDatabase(t), postgres.Options{}), "no schema", "run: skein migrate")

	wantOneLine(t, openFails(t, withOption(server, "no_such_setting", "1"), postgres.Options{}), "no_such_setting", "correct")

	ahead := func() time.Time { return time.Now().Add(3 * time.Second) }
	wantOneLine(t, openFails(t, database(t), postgres.Options{Clock: ahead}), "clocks", "synchronise")
}

func TestOpen_OldServer(t *testing.T) {
	wantOneLine(t, postgres.CompareVersion(139999), "version 13", "14 is the oldest", "upgrade")
	must(t, postgres.CompareVersion(140000))
}

// The server asks for a password, and gets a wrong one.
func TestOpen_WrongPassword(t *testing.T) {
	server := ownServer(t)
	must(t, execute(server.URL(), `ALTER USER skein PASSWORD 'right'`))
	rules := []byte("host all all 127.0.0.1/32 scram-sha-256\n")
	must(t, os.WriteFile(filepath.Join(server.Dir(), "data", "pg_hba.conf"), rules, 0o600))
	must(t, execute(server.URL(), `SELECT pg_reload_conf()`))
	eventually(t, "the server asks for passwords", func() bool { return execute(server.URL(), `SELECT`) != nil })
	wantOneLine(t, openFails(t, server.URL(), postgres.Options{}), `refuses user "skein"`, "password")
	right := strings.Replace(server.URL(), "skein@", "skein:right@", 1)
	must(t, postgres.Migrate(bg, right))
	must(t, open(t, right).Close())
}

// What weakens W2 is refused, and named; or allowed, loudly.
func TestOpen_WeakSettings(t *testing.T) {
	server := ownServer(t)
	must(t, postgres.Migrate(bg, server.URL()))
	c := connect(t, server.URL())
	for _, setting := range []string{"fsync", "full_page_writes", "synchronous_commit"} {
		exec(t, c, "ALTER SYSTEM SET "+setting+" = off")
		exec(t, c, `SELECT pg_reload_conf()`)
		eventually(t, setting+" is off", func() bool { return value[string](t, c, "SHOW "+setting) == "off" })
		wantOneLine(t, openFails(t, server.URL(), postgres.Options{}), "set to on: "+setting)

		var log bytes.Buffer
		s, err := postgres.Open(bg, server.URL(), postgres.Options{AllowWeak: true, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		must(t, err)
		s.Close()
		if !strings.Contains(log.String(), "WARN") || !strings.Contains(log.String(), setting) {
			t.Errorf("the warning that %s is off: %q", setting, log.String())
		}
		exec(t, c, "ALTER SYSTEM RESET "+setting)
		exec(t, c, `SELECT pg_reload_conf()`)
		eventually(t, setting+" is on", func() bool { return value[string](t, c, "SHOW "+setting) == "on" })
	}
	must(t, open(t, server.URL()).Close())
}

// Reads decide what is shown next: a standby, which lags, is refused.
func TestOpen_Standby(t *testing.T) {
	server := ownServer(t)
	must(t, postgres.Migrate(bg, server.URL()))
	must(t, server.Stop(bg))
	must(t, os.WriteFile(filepath.Join(server.Dir(), "data", "standby.signal"), nil, 0o600))
	must(t, server.Start(bg))
	wantOneLine(t, openFails(t, server.URL(), postgres.Options{}), "standby")
}
