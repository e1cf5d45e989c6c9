// Package report is what a run of the load generator found: the file
// report.json, which programs read, the table and the page report.html, which
// people do, and the comparison of two runs. The file holds all that the others
// show, so that they can be made from it again. It has the histogram that
// durations are collected in, but measures nothing and judges nothing by
// itself.
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Schema names the format of the file. Fields may be added to it; a change of
// what one means is another version.
const Schema = "skein.report/v1"

// Report is one run. Its fields, and their order, are the file's. Durations are
// in seconds; a nil pointer is null in the file: unknown, which is not 0.
type Report struct {
	Schema   string    `json:"schema"` // Write sets it
	Workload string    `json:"workload"`
	Seed     string    `json:"seed"` // a string: not every reader of JSON keeps 64 bits
	Engines  Engines   `json:"engines"`
	Graph    Graph     `json:"graph"`
	Load     *Load     `json:"load,omitempty"` // not in reports of before it was recorded
	Figures  []Figure  `json:"figures"`
	Latency  []Latency `json:"latency"`
	Lag      []Lag     `json:"lag"`
	Checks   []Check   `json:"checks"`
	// Interrupted: the run ended before its time. Notes are what its user was told
	// beside the figures.
	Interrupted bool     `json:"interrupted"`
	Notes       []string `json:"notes"`
	Series      *Series  `json:"series,omitempty"` // not in reports of before it was recorded
}

// Engines that the server ran on, as it names them itself.
type Engines struct {
	Posts     *string `json:"posts"`
	Graph     *string `json:"graph"`
	Log       *string `json:"log"`
	Timelines *string `json:"timelines"`
}

// Graph is the size of the graph as it was loaded.
type Graph struct {
	Users        int64 `json:"users"`
	Follows      int64 `json:"follows"`
	MaxFollowers int64 `json:"max_followers"`
}

// Load is what the run was asked to do.
type Load struct {
	Rate        float64 `json:"rate"`       // calls a second, without the burst
	ReadShare   float64 `json:"read_share"` // of these calls are reads, 0 to 1
	Duration    float64 `json:"duration"`   // seconds
	Celebrities int64   `json:"celebrities"`
	Burst       int64   `json:"burst"`     // posts of the celebrities together
	LagBound    float64 `json:"lag_bound"` // seconds
}

// Figure is one number, such as deliveries_per_second. Of the unit "s", it is
// shown to people as a duration.
type Figure struct {
	Name  string   `json:"name"`
	Value *float64 `json:"value"`
	Unit  string   `json:"unit"`
}

// Quantiles sum up a set of durations, in seconds. Without any, all but Count
// are nil.
type Quantiles struct {
	Count int64    `json:"count"`
	P50   *float64 `json:"p50"`
	P99   *float64 `json:"p99"`
	P999  *float64 `json:"p999"`
	Max   *float64 `json:"max"`
}

// Latency of a call in one phase of the run: from when it was due to its answer.
type Latency struct {
	Call  string `json:"call"`
	Phase string `json:"phase"`
	Quantiles
}

// Lag of a group of viewers in one phase of the run: from a post's
// acknowledgement to its entry being readable.
type Lag struct {
	Who   string `json:"who"`
	Phase string `json:"phase"`
	Quantiles
	// GaveUp is how many of Count waited in vain; each counts as the lag after which
	// it gave up.
	GaveUp int64 `json:"gave_up"`
}

// Check is one promise, and how often it was tried and found broken.
type Check struct {
	Name       string           `json:"name"`
	Tried      int64            `json:"tried"`
	Violations int64            `json:"violations"`
	BySource   map[string]int64 `json:"by_source"` // of those tried: where the entry came from
	Examples   []string         `json:"examples"`  // the first violations, with what repeats them
}

// Violations is the sum over all checks.
func (r *Report) Violations() int64 {
	var sum int64
	for _, c := range r.Checks {
		sum += c.Violations
	}
	return sum
}

// Write replaces the file at path, whose folder must exist, by the report. Who
// reads it meanwhile, or after a crash, finds the old file or the new one,
// whole. A number that JSON cannot hold (NaN, infinity) is an error.
func (r *Report) Write(path string) error {
	data, err := json.MarshalIndent(r.filled(), "", "  ")
	if err == nil {
		err = replace(path, append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("cannot write the report to %s: %w", path, err)
	}
	return nil
}

// filled is a copy with the schema set and lists that are empty, not null.
func (r *Report) filled() Report {
	filled := *r
	filled.Schema = Schema
	filled.Figures = append([]Figure{}, r.Figures...)
	filled.Latency = append([]Latency{}, r.Latency...)
	filled.Lag = append([]Lag{}, r.Lag...)
	filled.Checks = append([]Check{}, r.Checks...)
	filled.Notes = append([]string{}, r.Notes...)
	for i := range filled.Checks {
		c := &filled.Checks[i]
		if c.BySource == nil {
			c.BySource = map[string]int64{}
		}
		if c.Examples == nil {
			c.Examples = []string{}
		}
	}
	filled.Series = r.Series.filled()
	return filled
}

func replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}
