package rows

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
)

// say tells what a row is at.
func (b *Bench) say(format string, args ...any) {
	if b.Progress != nil {
		b.Progress(fmt.Sprintf(format, args...))
	}
}

// alternate gives value and ceiling turns: one each for warm-up, then Rounds
// each, and returns the medians. ceiling may be nil.
func (b *Bench) alternate(ctx context.Context, name string, value, ceiling func() (float64, error)) (v, c float64, err error) {
	var values, ceilings []float64
	for round := -1; round < b.Rounds; round++ {
		turn := value
		if round == b.Rounds-1 {
			turn = func() (float64, error) { return b.profiled(name, value) }
		}
		runtime.GC() // no turn collects what the last one left
		v, err := turn()
		if err != nil {
			return 0, 0, err
		}
		if ceiling != nil {
			runtime.GC()
			if c, err = ceiling(); err != nil {
				return 0, 0, err
			}
		}
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
		b.say("%s", progress(name, round, b.Rounds, v, c))
		if round >= 0 {
			values, ceilings = append(values, v), append(ceilings, c)
		}
	}
	return median(values), median(ceilings), nil
}

// progress is a line about one round; c is 0 when there is no ceiling.
func progress(name string, round, rounds int, v, c float64) string {
	line := fmt.Sprintf("%s: round %d of %d: %.4g", name, round+1, rounds, v)
	if round < 0 {
		line = fmt.Sprintf("%s: warm-up: %.4g", name, v)
	}
	if c != 0 {
		line += fmt.Sprintf(", ceiling %.4g", c)
	}
	return line
}

// profiled runs a turn under the profiler, if profiles are wanted.
func (b *Bench) profiled(name string, turn func() (float64, error)) (v float64, err error) {
	if b.Profiles == "" {
		return turn()
	}
	if err := os.MkdirAll(b.Profiles, 0o755); err != nil {
		return 0, err
	}
	file, err := os.Create(filepath.Join(b.Profiles, name+".cpu.pprof"))
	if err != nil {
		return 0, err
	}
	defer file.Close()
	if err := pprof.StartCPUProfile(file); err != nil {
		return 0, err
	}
	v, err = turn()
	pprof.StopCPUProfile()
	if err != nil {
		return 0, err
	}
	allocations, err := os.Create(filepath.Join(b.Profiles, name+".allocs.pprof"))
	if err != nil {
		return 0, err
	}
	defer allocations.Close()
	return v, pprof.Lookup("allocs").WriteTo(allocations, 0)
}

// median returns the middle of values, or the mean of the middle two; 0 for none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[half-1] + sorted[half]) / 2
	}
	return sorted[half]
}
