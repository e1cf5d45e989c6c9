package fanout_test

import (
	"testing"
	"testing/synctest"
	"time"

	"skein/feed"
)

// A start that cannot succeed says so within 10 s, also where an engine was opened and
// then hangs.
func TestStartWhileTheLogHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.log.hung.Store(true)
		f, _ := r.prepare()
		began := time.Now()
		err := f.Start()
		if took := time.Since(began); feed.CodeOf(err) != feed.CodeUnavailable || took > 9*time.Second {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

// Trap "the relay that skips": a commit wakes the relay; a poll only sweeps up.
func TestACommitWakesTheRelay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sweep = time.Hour
	viewers := r.followers(author, 1)
	f, _ := r.start()
	for range 3 { // the first may be found by the look at the outbox that a start takes
		id := r.post(author)
		f.Wake()
		r.eventually("it is delivered", func() bool { return r.missing(id, viewers) == 0 })
	}
}
