package rows

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"

	"skein/cmd/internal/capacity"
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
const thisProcess = "skein"

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

// micros is the processor time of each process for one unit, in microseconds.
func (c *costs) micros() map[string]float64 {
	of := map[string]float64{}
	for name, spent := range c.spent {
		of[name] = spent.Seconds() * 1e6 / c.units
	}
	return of
}

// String tells the microseconds of each process for one unit.
func (c *costs) String() string {
	var each []string
	of := c.micros()
	for _, name := range slices.Sorted(maps.Keys(of)) {
		each = append(each, fmt.Sprintf("%s %.1f µs", name, of[name]))
	}
	return "processor time for each, clients included: " + strings.Join(each, ", ")
}

// note keeps what a unit takes of each engine, for who plans with it.
func (b *Bench) note(row, unit string, of map[string]float64) {
	b.Costs = append(b.Costs, capacity.Cost{Row: row, Unit: unit, Of: of})
}
