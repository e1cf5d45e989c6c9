// Package servertest holds tests of Skein as fleets: real skein processes, API
// servers and workers, over PostgreSQL, Kafka and Redis that it starts, kills and
// restarts while the load generator's oracle looks on. It has no code but tests,
// and looks at skein from outside alone.
//
// All tests share one set of engines, one after the other. On it live three
// fleets that see nothing of each other: an intact one of two API servers and two
// workers, and two broken builds, which the oracle must find guilty of what
// happens to all three.
package servertest

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long a test waits for what must happen.
const patience = time.Minute

func TestMain(m *testing.M) {
	if flaw := os.Getenv(asBrokenWorker); flaw != "" {
		fmt.Fprintln(os.Stderr, brokenWorker(flaw, os.Args[1:]))
		os.Exit(1)
	}
	code := m.Run()
	if err := ours.end(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// eventually waits until condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	late := time.After(patience)
	for !condition() {
		select {
		case <-again.C:
		case <-late:
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}
