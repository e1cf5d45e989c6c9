package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// One line on stderr, and the exit code says whose fault it was.
func TestExitCodes(t *testing.T) {
	notAFolder := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(notAFolder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, c := range []struct {
		args []string
		code int
		want string // on stderr, or on stdout when code is 0
	}{
		{[]string{"version"}, exitOK, "skein " + version},
		{[]string{"completion", "bash"}, exitOK, "__start_skein"},
		{[]string{"--version"}, exitOK, "skein " + version},
		{[]string{"completion", "ksh"}, exitUsage, `no completion for "ksh"`},
		{[]string{"post", "1", "-5"}, exitUsage, "goes a --"},
		{[]string{"serve", "--help"}, exitOK, "--data-dir"},
		{[]string{"version", "--json"}, exitOK, `"version": "` + version},
		{[]string{"__complete", "serve", "--role", ""}, exitOK, "all\napi\nworker\n"},
		{[]string{"__complete", "policy", "set", "--mode", ""}, exitOK, "push\npull\nhybrid\n"},
		{[]string{"nonsense"}, exitUsage, "unknown command"},
		{[]string{"polic"}, exitUsage, `unknown command "polic" for "skein"; Did you mean this? policy (see skein --help)`},
		{[]string{"help", "nonsense"}, exitUsage, "unknown command"},
		{[]string{"serve", "extra"}, exitUsage, `"skein serve" wants no arguments, not 1 argument`},
		{[]string{"backup"}, exitUsage, `"skein backup" wants DIR, not 0 arguments`},
		{[]string{"serve", "--drain=soon"}, exitUsage, `--drain is "soon"; say a time like 5s or 1m30s`},
		{[]string{"serve", "--log-level=loud"}, exitUsage, `--log-level is "loud"; say debug, info, warn or error`},
		{[]string{"home", "1", "--posts=many"}, exitUsage, `--posts is "many"; say a whole number`},
		{[]string{"deadletters", "replay", "3", "--all"}, exitUsage, "not both"},
		{[]string{"serve", "--data-dir", filepath.Join(dir, "c"), "--listen=127.0.0.1:0", "--metrics-listen=", "--address-file", filepath.Join(dir, "no", "x")}, exitError, "no folder for the address file"},
		{[]string{"serve", "--nope"}, exitUsage, "--nope"},
		{[]string{"serve", "--log=rabbit://host"}, exitUsage, `no engine "rabbit"`},
		{[]string{"policy"}, exitUsage, "show or set"},
		{[]string{"policy", "set"}, exitUsage, "--mode, --loud-at or both"},
		{[]string{"policy", "set", "--mode=shout"}, exitUsage, "shout"},
		{[]string{"policy", "set", "--loud-at=0"}, exitUsage, "loud-at is 0"},
		{[]string{"restore", dir}, exitUsage, "restore wants --data-dir"},
		{[]string{"policy", "show", "--data-dir", filepath.Join(dir, "none")}, exitError, "no data"},
		{[]string{"serve", "--data-dir", notAFolder}, exitError, notAFolder},
		{[]string{"serve", "--data-dir", filepath.Join(dir, "a"), "--listen=256.0.0.1:1"}, exitError, "cannot listen for the API"},
		{[]string{"serve", "--data-dir", filepath.Join(dir, "b"), "--listen=127.0.0.1:0", "--metrics-listen=256.0.0.1:1"}, exitError, "cannot listen for metrics"},
	} {
		p := command(t, c.args...)
		code, stderr := p.exit(t)
		said := stderr
		if c.code == exitOK {
			said = p.stdout.String()
		}
		if code != c.code || !strings.Contains(said, c.want) {
			t.Errorf("skein %v: exit %d, said %q; want %d and %q", c.args, code, said, c.code, c.want)
		}
		if c.code != exitOK && strings.Count(stderr, "\n") != 1 {
			t.Errorf("skein %v said more than one line: %q", c.args, stderr)
		}
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	first := serve(t, dir)
	for _, args := range [][]string{{"serve", "--listen", "127.0.0.1:0"}, {"policy", "show"}} {
		code, stderr := command(t, append(args, "--data-dir", dir)...).exit(t)
		if code != exitError || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "is in use by another skein (process ") {
			t.Errorf("skein %v beside another: exit %d, %q", args, code, stderr)
		}
	}
	// The lock ends with its holder, however that ends.
	first.signal(t, syscall.SIGKILL)
	first.exit(t)
	serve(t, dir)
}

func TestPolicyIsKept(t *testing.T) {
	dir := t.TempDir()
	server := serve(t, dir)
	server.signal(t, syscall.SIGINT)
	server.exit(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"show"}, "mode hybrid, loud at 10000 followers"},
		{[]string{"set", "--loud-at=500"}, "mode hybrid, loud at 500 followers, quiet again below 400"},
		{[]string{"set", "--mode=pull"}, "mode pull, loud at 500 followers"},
		{[]string{"show"}, "mode pull, loud at 500 followers"},
		{[]string{"show", "--json"}, `"mode": "pull"`},
	} {
		p := command(t, append([]string{"policy", "--data-dir", dir}, c.args...)...)
		if code, _ := p.exit(t); code != exitOK || !strings.Contains(p.stdout.String(), c.want) {
			t.Errorf("policy %v: exit %d, %q; want %q", c.args, code, p.stdout.String(), c.want)
		}
	}
}

// A damaged store is one line and exit 1, never a panic.
func TestDamagedStore(t *testing.T) {
	for _, folder := range []string{"storage", "log"} {
		dir := t.TempDir()
		server := serve(t, dir)
		server.signal(t, syscall.SIGTERM)
		server.exit(t)
		manifests, err := filepath.Glob(filepath.Join(dir, folder, "MANIFEST-*"))
		if err != nil || len(manifests) == 0 {
			t.Fatalf("no manifest in %s (%v)", folder, err)
		}
		for _, manifest := range manifests {
			if err := os.WriteFile(manifest, []byte("not a manifest"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		code, stderr := command(t, "serve", "--data-dir", dir, "--listen=127.0.0.1:0", "--metrics-listen=").exit(t)
		if code != exitError || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, dir) {
			t.Errorf("damaged %s: exit %d, %q", folder, code, stderr)
		}
	}
}
