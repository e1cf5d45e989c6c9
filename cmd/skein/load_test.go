package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"skein/feed/policy"
	"skein/feed/server"
)

// loaded gives a Config what the command line, the environment and a YAML file
// say; file is its content, "" for none.
func loaded(t *testing.T, args, environ []string, file string) (Config, error) {
	t.Helper()
	config := DefaultConfig()
	settings := config.settings()
	if file != "" {
		path := filepath.Join(t.TempDir(), "skein.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", path)
	}
	if err := settings.Parse(args); err != nil {
		return config, err
	}
	return config, config.load(settings, environ)
}

// Flag > environment > file > default.
func TestPrecedence(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("/from/secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	flag, env, file := []string{"--data-dir=/from/flag"}, []string{"SKEIN_DATA_DIR=/from/env"}, "data-dir: /from/file"
	for _, c := range []struct {
		name       string
		args, env  []string
		file, want string
	}{
		{"default", nil, nil, "", "./skein-data"},
		{"file", nil, nil, file, "/from/file"},
		{"environment", nil, env, "", "/from/env"},
		{"environment over file", nil, env, file, "/from/env"},
		{"secret file", nil, []string{"SKEIN_DATA_DIR_FILE=" + secret}, file, "/from/secret"},
		{"flag over all", flag, env, file, "/from/flag"},
		{"flag over secret file", flag, []string{"SKEIN_DATA_DIR_FILE=" + secret}, "", "/from/flag"},
		{"flag that repeats the default", []string{"--data-dir=./skein-data"}, env, file, "./skein-data"},
		{"foreign variables", nil, []string{"DATA_DIR=x", "SKEIN_TEST_REDIS=redis://x", "SKEIN_ENGINES_CACHE=/x", "SKEINX=1"}, "", "./skein-data"},
	} {
		config, err := loaded(t, c.args, c.env, c.file)
		if err != nil || config.Engines.DataDir != c.want {
			t.Errorf("%s: data-dir %q (%v), want %q", c.name, config.Engines.DataDir, err, c.want)
		}
	}
}

// Every setting has the same form in all three places.
func TestEverySettingEverywhere(t *testing.T) {
	values := map[string]string{
		"data-dir": "/d", "posts": "embedded", "graph": "embedded", "log": "embedded", "timelines": "memory",
		"timeline-bytes": "512MiB", "timeline-idle": "48h0m0s", "listen": ":1", "metrics-listen": "localhost:2",
		"address-file": "/a", "lag-bound": "4s", "max-in-flight": "7", "max-connections": "9", "drain": "8s", "no-reflection": "true",
		"log-level": "warn", "log-format": "json", "config": "", "role": "all", "allow-weak": "true",
	}
	var args, environ, file []string
	for name, value := range values {
		if name != "config" {
			args = append(args, "--"+name+"="+value)
			environ = append(environ, variableOf(name)+"="+value)
			file = append(file, name+": \""+value+"\"")
		}
	}
	byFlag, err := loaded(t, args, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"environment", "file"} {
		from, yaml := environ, ""
		if name == "file" {
			from, yaml = nil, strings.Join(file, "\n")
		}
		if got, err := loaded(t, nil, from, yaml); err != nil || got != byFlag {
			t.Errorf("%s: %+v (%v), want what the flags say: %+v", name, got, err, byFlag)
		}
	}
	for name, value := range values {
		if got := byFlag.settings().Lookup(name); got == nil || got.DefValue != value {
			t.Errorf("%s: a flag said %q and it is %v", name, value, got)
		}
	}
	if count := len(strings.Split(byFlag.settings().FlagUsages(), "\n      --")); count != len(values) {
		t.Errorf("there are %d settings and this test knows %d", count, len(values))
	}
}

func TestWrongSettings(t *testing.T) {
	for _, c := range []struct {
		name      string
		args, env []string
		file      string
		// want must be in the error.
		want string
	}{
		{"unknown flag", []string{"--nope"}, nil, "", "--nope"},
		{"unknown key", nil, nil, "data_dir: /x", `no setting "data_dir"`},
		{"nested key", nil, nil, "listen: {host: x}", `no setting "listen.host"`},
		{"config in the file", nil, nil, "config: /y", `no setting "config"`},
		{"no value", nil, nil, "metrics-listen:", "metrics-listen has no value"},
		{"broken YAML", nil, nil, "a: b: c", "cannot read the configuration file"},
		{"no file", []string{"--config=/does/not/exist"}, nil, "", "/does/not/exist"},
		{"unknown variable", nil, []string{"SKEIN_DATADIR=/x"}, "", "SKEIN_DATADIR"},
		{"unknown secret", nil, []string{"SKEIN_NOPE_FILE=/x"}, "", "SKEIN_NOPE_FILE"},
		{"no secret", nil, []string{"SKEIN_POSTS_FILE=/does/not/exist"}, "", "SKEIN_POSTS_FILE"},
		{"twice", nil, []string{"SKEIN_POSTS=embedded", "SKEIN_POSTS_FILE=/x"}, "", "both SKEIN_POSTS and SKEIN_POSTS_FILE"},
		{"bad variable", nil, []string{"SKEIN_DRAIN=soon"}, "", `SKEIN_DRAIN is "soon"; say a time like 5s`},
		{"bad key", nil, nil, "max-in-flight: many", `max-in-flight is "many"; say a whole number`},
		{"variable out of range", nil, []string{"SKEIN_DRAIN=0s"}, "", "drain is 0s; more than 0 (from environment SKEIN_DRAIN)"},
		{"key out of range", nil, nil, "max-in-flight: 0", "max-in-flight is 0; at least 1 (from file "},
		{"no port", []string{"--listen=:99999"}, nil, "", "99999"},
		{"no data directory", []string{"--data-dir="}, nil, "", "data-dir is empty"},
		{"unknown engine", []string{"--posts=mysql://me:secret@host/db"}, nil, "", `posts: there is no engine "mysql"`},
		{"engine of another kind", []string{"--timelines=postgres://host"}, nil, "", `timelines: there is no engine "postgres"`},
		{"size", []string{"--timeline-bytes=lots"}, nil, "", "lots"},
		{"small timelines", []string{"--timeline-bytes=1MiB"}, nil, "", "timeline-bytes is 1MiB; at least 16MiB"},
		{"short idle", []string{"--timeline-idle=1s"}, nil, "", "timeline-idle is 1s"},
		{"address", []string{"--listen=7460"}, nil, "", "listen"},
		{"metrics address", []string{"--metrics-listen=x"}, nil, "", "metrics-listen"},
		{"lag bound", []string{"--lag-bound=1ms"}, nil, "", "lag-bound is 1ms; at least"},
		{"no calls", []string{"--max-in-flight=0"}, nil, "", "max-in-flight is 0"},
		{"no drain", []string{"--drain=0s"}, nil, "", "drain is 0s"},
		{"log level", []string{"--log-level=loud"}, nil, "", "loud"},
		{"log format", []string{"--log-format=xml"}, nil, "", `log-format is "xml"`},
	} {
		_, err := loaded(t, c.args, c.env, c.file)
		switch {
		case err == nil:
			t.Errorf("%s: no error", c.name)
		case !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: %q does not say %q", c.name, err, c.want)
		case strings.Contains(err.Error(), "secret@"):
			t.Errorf("%s: %q tells a password", c.name, err)
		}
	}
}

// The flags' defaults are the libraries' own.
func TestDefaults(t *testing.T) {
	config, err := loaded(t, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if config != DefaultConfig() || config.LagBound != server.DefaultLagBound {
		t.Errorf("without settings: %+v", config)
	}
	set, _, err := (&program{}).command().Find([]string{"policy", "set"})
	if err != nil {
		t.Fatal(err)
	}
	mode := set.Flags().Lookup("mode").DefValue
	if mode != policy.DefaultSettings.Mode.String() {
		t.Errorf("policy set --mode is %s by default", mode)
	}
}
