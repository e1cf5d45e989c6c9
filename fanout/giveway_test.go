package fanout

import (
	"testing"
	"testing/synctest"
	"time"
)

// F3: a worker of bulk rests while others are there, and for a while after they were
// seen; alone, or with other workers only, it does not.
func TestGiveWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running int64
		g := &giveWay{runnable: func() int64 { return running }}
		check := func(when string, others int64, want time.Duration) {
			t.Helper()
			running = g.atWork.Load() + others
			before := time.Now()
			if g.pause(); time.Since(before) != want {
				t.Errorf("%s it rests for %v, want %v", when, time.Since(before), want)
			}
		}
		g.begin()
		check("alone", 0, 0)
		g.begin()
		check("beside another worker", 0, 0)
		g.end()
		check("while others run", 1, rest)
		time.Sleep(company - rest)
		check("just after others were seen", 0, rest)
		time.Sleep(company)
		check("long after others were seen", 0, 0)
		if g.end(); g.atWork.Load() != 0 {
			t.Errorf("%d workers are counted when none is there", g.atWork.Load())
		}
	})
	var none *giveWay
	none.begin()
	none.pause()
	none.end()
}
