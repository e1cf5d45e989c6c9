package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// Each value is there with where it came from, and what is printed is a
// configuration file that says the same.
func TestPrintConfig(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) (path string) {
		path = filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file, secret := write("skein.yaml", "drain: 5s\nlisten: :1\n"), write("secret", "/a folder # with \"marks\"\n")
	var stdout, stderr bytes.Buffer
	p := &program{environ: []string{"SKEIN_LISTEN=:2", "SKEIN_DATA_DIR_FILE=" + secret, "SKEIN_TARGET=elsewhere:1"}, stdout: &stdout, stderr: &stderr}
	if code := p.run([]string{"serve", "--print-config", "--config", file, "--log-format=json"}); code != exitOK {
		t.Fatalf("exit %d, %s", code, stderr.String())
	}
	printed := map[string]string{}
	for line := range strings.Lines(stdout.String()) {
		name, rest, _ := strings.Cut(strings.TrimPrefix(line, "# "), ": ")
		printed[name] = strings.Join(strings.Fields(rest), " ")
	}
	for name, want := range map[string]string{
		"drain":          `"5s" # file ` + file,
		"listen":         `":2" # environment SKEIN_LISTEN`,
		"data-dir":       `"/a folder # with \"marks\"" # file of environment SKEIN_DATA_DIR_FILE`,
		"log-format":     `"json" # flag --log-format`,
		"config":         `"` + file + `" # flag --config`,
		"timeline-bytes": `"1GiB" # default`,
	} {
		if printed[name] != want {
			t.Errorf("%s: %s, want %s", name, printed[name], want)
		}
	}
	config := DefaultConfig()
	config.settings().VisitAll(func(f *pflag.Flag) {
		if printed[f.Name] == "" {
			t.Errorf("%s is not printed", f.Name)
		}
	})

	want := DefaultConfig()
	want.Drain, want.Listen, want.LogFormat, want.Engines.DataDir = 5e9, ":2", "json", `/a folder # with "marks"`
	if got, err := loaded(t, nil, nil, stdout.String()); err != nil || got != want {
		t.Errorf("as a file, it makes %+v (%v), want %+v", got, err, want)
	}
}

// What is wrong is an error, as it is for serve itself, and nothing is opened.
func TestPrintConfigChecks(t *testing.T) {
	var stdout, stderr bytes.Buffer
	p := &program{stdout: &stdout, stderr: &stderr}
	if code := p.run([]string{"serve", "--print-config", "--drain=0s"}); code != exitUsage || stdout.Len() > 0 {
		t.Errorf("exit %d, %s%s", code, stdout.String(), stderr.String())
	}
}

func TestPasswordsAreNotPrinted(t *testing.T) {
	for value, want := range map[string]string{
		"postgres://me:secret@host/db":                    "postgres://me:xxxxx@host/db",
		"redis://host":                                    "redis://host",
		"redis-cluster://me:secret@h1:1,h2:2":             "redis-cluster://me:xxxxx@h1:1,h2:2",
		"cassandra://me:secret@h1:1,h2:2/keyspace":        "cassandra://me:xxxxx@h1:1,h2:2/keyspace",
		"cassandra://h1:1,h2:2/keyspace":                  "cassandra://h1:1,h2:2/keyspace",
		"./skein-data":                                    "./skein-data",
		"postgres://h/db?password=secret&sslmode=disable": "postgres://h/db?password=xxxxx&sslmode=disable",
	} {
		if got := redacted(value); got != want {
			t.Errorf("%s is shown as %s, want %s", value, got, want)
		}
	}
	var stdout, stderr bytes.Buffer
	p := &program{environ: []string{"SKEIN_GRAPH=postgres://me:secret@h/db"}, stdout: &stdout, stderr: &stderr}
	code := p.run([]string{"serve", "--print-config"})
	line := strings.Join(strings.Fields(stdout.String()[max(0, strings.Index(stdout.String(), "graph:")-2):]), " ")
	if want := `# graph: "postgres://me:xxxxx@h/db" # environment SKEIN_GRAPH; its password is left out`; code != exitOK || !strings.HasPrefix(line, want) {
		t.Errorf("exit %d, %s, want %s, which no file sets; %s", code, line, want, stderr.String())
	}
}
