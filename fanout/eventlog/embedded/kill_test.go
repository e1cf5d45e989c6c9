package embedded

import (
	"errors"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"time"

	"skein/fanout/eventlog"
)

// TestKill ends a real process with SIGKILL while it appends, reads and commits
// (W2, F2).
func TestKill(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	dir, known := t.TempDir(), newTruth()
	for range 10 {
		p := play(t, "load", dir)
		p.hear(known, 1+rng.IntN(1500))
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		p.hear(known, -1)
		_ = p.cmd.Wait()
		l := reopened(t, dir)
		known.hold(t, l)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(known.acked) == 0 || len(known.committed) == 0 {
		t.Errorf("the children promised nothing: %d records, %d commits", len(known.acked), len(known.committed))
	}
}

// exited waits for a child that ends itself, with status 1.
func (p *played) exited(known *truth) {
	p.t.Helper()
	p.hear(known, -1)
	err := p.cmd.Wait()
	if e, ok := errors.AsType[*exec.ExitError](err); !ok || e.ExitCode() != 1 {
		p.t.Errorf("the process ended with %v, want status 1; it said %q and logged:\n%s", err, p.said, p.log.String())
	}
}

// TestFullDisk: the process stops with one clear line, and what it acknowledged
// is there when the disk has room again.
func TestFullDisk(t *testing.T) {
	dir, known := t.TempDir(), newTruth()
	p := play(t, "full disk", dir)
	p.exited(known)
	if log := p.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, dir) || !strings.Contains(log, "no space left") {
		t.Errorf("the process should log one line that names %s, but logged:\n%s", dir, log)
	}
	if len(known.acked) < 100 {
		t.Errorf("%d records were acknowledged before the disk was full", len(known.acked))
	}
	p = play(t, "full disk at start", dir)
	p.exited(newTruth())
	if all := strings.Join(p.said, "\n") + p.log.String(); !strings.Contains(all, dir) || !strings.Contains(all, "no space left") {
		t.Errorf("started on a full disk, the process said %q", all)
	}
	l := reopened(t, dir)
	known.hold(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestFailedForGood: Pebble reports success after a failure whose handler
// returned. The log does not.
func TestFailedForGood(t *testing.T) {
	dir, known := t.TempDir(), newTruth()
	p := play(t, "full disk, OnFatal returns", dir)
	p.hear(known, -1)
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("%v, having logged:\n%s", err, p.log.String())
	}
	fatal, then := 0, 0
	for _, line := range p.said {
		if strings.HasPrefix(line, "fatal ") {
			fatal++
		}
		if strings.HasPrefix(line, "then ") && strings.Contains(line, "no space left") {
			then++
		}
	}
	if fatal != 1 || then != 3 {
		t.Errorf("want one call of OnFatal, and Pending, Append and Close to fail; the process said:\n%s", strings.Join(p.said, "\n"))
	}
	l := reopened(t, dir)
	known.hold(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestLocked: a second process is told so.
func TestLocked(t *testing.T) {
	dir := t.TempDir()
	l := reopened(t, dir)
	defer l.Close()
	p := play(t, "load", dir)
	p.exited(newTruth())
	if len(p.said) != 1 || !strings.Contains(p.said[0], dir) || !strings.Contains(p.said[0], "in use by another process") {
		t.Errorf("the second process said %q", p.said)
	}
	if _, err := Open(dir, []eventlog.Topic{posts}, Options{}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second Open in this process returned %v", err)
	}
}
