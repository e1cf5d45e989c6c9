package rows

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"
)

// costs is the processor time that turns took, by process: this one, clients
// included, and each server. Capacity is planned with it (docs/capacity.md).
type costs struct {
	servers running
	units   float64
	spent   map[string]time.Duration
}

func (s *stores) costs() *costs { return &costs{servers: s.servers, spent: map[string]time.Duration{}} }

// thisProcess is the bench, with the part of Skein that a row runs in it.
const thisProcess = "this process"

// now is what each process has taken since it began.
func (c *costs) now() map[string]time.Duration {
	used := map[string]time.Duration{}
	for name, server := range c.servers {
		used[name] = server.CPU()
	}
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err == nil {
		used[thisProcess] = time.Duration(own.Utime.Nano() + own.Stime.Nano())
	}
	return used
}

// add counts units of work, done since before.
func (c *costs) add(units float64, before map[string]time.Duration) {
	c.units += units
	for name, used := range c.now() {
		c.spent[name] += used - before[name]
	}
}

// closedLoop is closedLoop, and adds what it took.
func (c *costs) closedLoop(ctx context.Context, clients int, length time.Duration, call func(ctx context.Context, client int) error) (float64, error) {
	before := c.now()
	rate, err := closedLoop(ctx, clients, length, call)
	c.add(rate*length.Seconds(), before)
	return rate, err
}

// String tells the microseconds of each process for one unit.
func (c *costs) String() string {
	var each []string
	for _, name := range slices.Sorted(maps.Keys(c.spent)) {
		each = append(each, fmt.Sprintf("%s %.1f µs", name, c.spent[name].Seconds()*1e6/c.units))
	}
	return "processor time for each, clients included: " + strings.Join(each, ", ")
}
