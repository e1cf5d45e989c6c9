package embedded

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"skein/fanout/eventlog"
)

// The test binary runs itself as a child that uses the log in childDir, when
// childRole is set.
const (
	childRole = "SKEIN_EVENTLOG_TEST_ROLE"
	childDir  = "SKEIN_EVENTLOG_TEST_DIR"
)

// child plays the role, if this process is one, and reports that it did.
func child() bool {
	role, dir := os.Getenv(childRole), os.Getenv(childDir)
	opts := Options{}
	var full atomic.Bool
	var matches func(path string) bool
	switch role {
	case "":
		return false
	case "load":
	case "full disk", "full disk, OnFatal returns":
		// The log is full some time after it was opened.
		matches = func(path string) bool { return full.Load() && strings.HasSuffix(path, ".log") }
	case "full disk at start":
		matches = func(path string) bool { return strings.HasSuffix(path, ".sst") }
	}
	if matches != nil {
		opts.FS = errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && matches(op.Path) {
				return syscall.ENOSPC
			}
			return nil
		}))
	}
	if strings.HasSuffix(role, "returns") {
		opts.OnFatal = func(err error) { fmt.Println("fatal", err) }
	}
	l, err := Open(dir, []eventlog.Topic{posts}, opts)
	if err != nil {
		fmt.Println("refused", err)
		os.Exit(1)
	}
	acks := 0
	var mu sync.Mutex
	load(context.Background(), l, fmt.Sprint(os.Getpid()), watcher{
		acked: func(value string) {
			mu.Lock()
			defer mu.Unlock()
			fmt.Println("acked", value)
			if acks++; acks == 100 {
				full.Store(true)
			}
		},
		seen:      func(p place, value string) { fmt.Println("seen", p.partition, p.offset, value) },
		committed: func(p int, offset int64) { fmt.Println("committed", p, offset) },
	})
	// Only a log that has failed, with an OnFatal that returns, gets here.
	_, err = l.Pending(context.Background(), planner, posts.Name)
	fmt.Println("then", err)
	fmt.Println("then", l.Append(context.Background(), posts.Name, eventlog.Record{Value: []byte("late")}))
	fmt.Println("then", l.Close())
	return true
}

// played is a child at work.
type played struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines *bufio.Scanner
	said  []string // lines that are no promises
	log   strings.Builder
}

func play(t *testing.T, role, dir string) *played {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &played{t: t, cmd: exec.CommandContext(t.Context(), exe)}
	p.cmd.Env = append(os.Environ(), childRole+"="+role, childDir+"="+dir)
	p.cmd.Stderr = &p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.lines = bufio.NewScanner(out)
	return p
}

// hear adds up to n lines to what is known; all that are left for n < 0. The
// last line of one that was killed may be cut off.
func (p *played) hear(known *truth, n int) {
	for ; n != 0 && p.lines.Scan(); n-- {
		var where place
		var value string
		line := p.lines.Text()
		if strings.HasPrefix(line, "acked ") {
			known.acked[line[len("acked "):]] = true
		} else if n, _ := fmt.Sscanf(line, "seen %d %d %s", &where.partition, &where.offset, &value); n == 3 {
			known.seen[where] = value
		} else if n, _ := fmt.Sscanf(line, "committed %d %d", &where.partition, &where.offset); n == 2 {
			known.committed[where.partition] = where.offset
		} else {
			p.said = append(p.said, line)
		}
	}
}

// reopened opens the folder without faults.
func reopened(t *testing.T, dir string) *Log {
	t.Helper()
	l, err := Open(dir, []eventlog.Topic{posts}, Options{OnFatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	return l
}
