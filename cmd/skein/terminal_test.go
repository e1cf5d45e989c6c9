package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"skein/cmd/internal/engines"
)

var rewrite = flag.Bool("rewrite", false, "write the transcripts in testdata afresh; read what changed before you believe it")

// startApp starts an App that a test may break; it ends with the test.
func startApp(t *testing.T, change func(*Config), alter func(*engines.Set)) *App {
	t.Helper()
	config := DefaultConfig()
	config.Engines.DataDir = t.TempDir()
	config.Listen, config.MetricsListen = "127.0.0.1:0", ""
	change(&config)
	app, err := newApp(config, slog.New(slog.DiscardHandler), alter)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- errors.Join(app.Run(ctx), app.Close()) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the App ended with %v", err)
		}
	})
	return app
}

func asItIs(*Config) {}

// typed runs the program in this process with SKEIN_TARGET set to target.
func typed(target, stdin string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	p := &program{environ: []string{"SKEIN_TARGET=" + target}, stdin: strings.NewReader(stdin), stdout: &out, stderr: &errs}
	code = p.run(args)
	return code, out.String(), errs.String()
}

// masks gives everything that differs from run to run a name as wide as itself,
// so that tables keep their shape, and takes the names back.
type masks struct{ real, masked []string }

var (
	postIDs  = regexp.MustCompile(`\b[1-9]\d{17,18}\b`)
	tokens   = regexp.MustCompile(`(?:--page |"nextPageToken": ")([\w-]{8,})`)
	clocks   = regexp.MustCompile(`20\d\d-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}`)
	instants = regexp.MustCompile(`20\d\d-\d\d-\d\dT[0-9:.]+Z`)
	seconds  = regexp.MustCompile(`("seconds": |done in )[0-9.]+`)
)

func (m *masks) mask(text string) string {
	for _, id := range postIDs.FindAllString(text, -1) {
		if strings.HasPrefix(id, "9223372036854775") {
			continue // a bound, which never changes
		}
		m.name(id, fmt.Sprintf("%0*d", len(id), len(m.real)+1))
	}
	for _, found := range tokens.FindAllStringSubmatch(text, -1) {
		m.name(found[1], fmt.Sprint("TOKEN-", len(m.real)+1))
	}
	for i, real := range m.real {
		text = strings.ReplaceAll(text, real, m.masked[i])
	}
	text = clocks.ReplaceAllString(text, "2006-01-02 15:04:05 -0700")
	text = instants.ReplaceAllString(text, "2006-01-02T15:04:05Z")
	return seconds.ReplaceAllString(text, "${1}0")
}

func (m *masks) name(real, masked string) {
	for _, known := range append(m.real, m.masked...) {
		if known == real {
			return
		}
	}
	m.real, m.masked = append(m.real, real), append(m.masked, masked)
}

func (m *masks) unmask(text string) string {
	for i, masked := range m.masked {
		text = strings.ReplaceAll(text, masked, m.real[i])
	}
	return text
}

var word = regexp.MustCompile(`'[^']*'|[^\s']+`)

// replay types each command of a transcript, a line that starts with $, and
// returns the transcript with what was answered: stdout, then stderr, then the
// exit code if it is not 0. "$ text | skein …" puts text on stdin.
func replay(target string, transcript []byte) string {
	var out strings.Builder
	m := &masks{real: []string{target}, masked: []string{"127.0.0.1:7460"}}
	for line := range strings.Lines(string(transcript)) {
		if strings.HasPrefix(line, "#") {
			out.WriteString(line)
			continue
		}
		typing, isCommand := strings.CutPrefix(strings.TrimSpace(line), "$ ")
		if !isCommand {
			continue
		}
		stdin, call, piped := strings.Cut(typing, " | ")
		if !piped {
			stdin, call = "", typing
		}
		args := word.FindAllString(m.unmask(call), -1)
		for i := range args {
			args[i] = strings.Trim(args[i], "'")
		}
		code, stdout, stderr := typed(target, stdin+"\n", args[1:]...)
		fmt.Fprintf(&out, "\n$ %s\n%s%s", typing, m.mask(stdout), m.mask(stderr))
		if code != 0 {
			fmt.Fprintf(&out, "exit %d\n", code)
		}
	}
	return out.String()
}

// Every command against a real server, as people see it.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.transcript")
	if err != nil || len(files) < 3 {
		t.Fatalf("%d transcripts (%v)", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := replay(startApp(t, asItIs, intact).Addresses().GRPC, want)
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(want) {
				t.Errorf("%s is no longer what happens; look at the difference after go test -run TestTranscripts -rewrite. It is now:\n%s", file, got)
			}
		})
	}
}

// Every command says what it does and shows how it is called.
func TestEveryCommandHasAnExample(t *testing.T) {
	var visit func(c *cobra.Command)
	seen := 0
	visit = func(c *cobra.Command) {
		for _, below := range c.Commands() {
			if below.Name() == "help" || below.Name() == "completion" {
				continue // cobra's own
			}
			seen++
			if !strings.Contains(below.Example, below.CommandPath()) || below.Short == "" {
				t.Errorf("%s: its help has no example that calls it, or no short line", below.CommandPath())
			}
			visit(below)
		}
	}
	visit((&program{}).command())
	if seen < 10 {
		t.Errorf("only %d commands", seen)
	}
}
