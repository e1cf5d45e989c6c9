package timelinetest

import (
	"sync"
	"time"
)

// clock is a clock that moves when told.
type clock struct {
	mu struct {
		sync.Mutex
		now time.Time
	}
}

func newClock() *clock {
	c := new(clock)
	c.mu.now = time.Now()
	return c
}

// Now tells the time.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.now = c.mu.now.Add(d)
}
