package fanout

import (
	sched "runtime/metrics"
	"sync/atomic"
	"time"
)

const (
	// rest is how long a worker of bulk pauses. One that merely yields is scheduled
	// again at once, without a look at what is stranded elsewhere: goroutines in the
	// queue of a processor whose thread waits for the disk are found only by a processor
	// that has nothing to do, or after 10 ms.
	rest = time.Millisecond
	// company is how long others who were seen at work count as being there: far longer
	// than the time between two requests that would feel it.
	company = 50 * time.Millisecond
)

// giveWay leaves processors to those who have nothing to do with a celebrity (F3): its
// workers rest after each page of followers, unless nobody else is there. Others are
// there when more goroutines of the process run, or could, than there are workers that do
// not rest. With timelines on a server workers wait more than they run, so that they
// hardly ever see others, and need not: it is not this process's processors that
// deliveries take. A nil giveWay does nothing.
type giveWay struct {
	runnable func() int64
	atWork   atomic.Int64 // workers that do not rest
	seen     atomic.Int64 // when others were last seen: nanoseconds since 1970
}

// begin counts a worker in; call end when it is done.
func (g *giveWay) begin() {
	if g != nil {
		g.atWork.Add(1)
	}
}

func (g *giveWay) end() {
	if g != nil {
		g.atWork.Add(-1)
	}
}

// pause lets a worker rest.
func (g *giveWay) pause() {
	if g == nil {
		return
	}
	if now := time.Now().UnixNano(); g.runnable() > g.atWork.Load() {
		g.seen.Store(now)
	} else if now-g.seen.Load() > int64(company) {
		return
	}
	g.end()
	time.Sleep(rest)
	g.begin()
}

// runnable is how many goroutines of the process run or could run: of the moment, and
// about. It costs a tenth of a microsecond.
func runnable() int64 {
	samples := [...]sched.Sample{
		{Name: "/sched/goroutines/running:goroutines"},
		{Name: "/sched/goroutines/runnable:goroutines"},
	}
	sched.Read(samples[:])
	return int64(samples[0].Value.Uint64() + samples[1].Value.Uint64())
}
