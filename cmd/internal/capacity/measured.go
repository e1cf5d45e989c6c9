package capacity

import (
	_ "embed"
	"encoding/json"
	"math"
)

// Measured is what `make costs` found, on one machine. It is the only source of every
// measured number of a plan.
type Measured struct {
	// Cores and Memory, in bytes, of the machine; Date is the day.
	Cores  int    `json:"cores"`
	Memory int64  `json:"memory"`
	Date   string `json:"date"`
	// Note says what is wrong with it; "" for nothing.
	Note  string `json:"note,omitempty"`
	Costs []Cost `json:"costs"`
}

// Cost is what one unit of work takes of each engine.
type Cost struct {
	// Row of the bench that measured it.
	Row string `json:"row"`
	// Unit is one of those below.
	Unit string `json:"unit"`
	// Of is microseconds of processor time, or bytes, by the name of an engine.
	Of map[string]float64 `json:"of"`
}

// Units of work.
const (
	Post          = "post"           // processor time of a post: all but its deliveries
	Delivery      = "delivery"       // processor time of a delivery
	Read          = "read"           // processor time of a page of 50 posts of a home timeline
	PostBytes     = "post bytes"     // on the disk, beside the text where it can be told apart
	FollowBytes   = "follow bytes"   // on the disk, both ends
	TimelineBytes = "timeline bytes" // in memory, of a full one
)

//go:embed measured.json
var measured []byte

// LastMeasured returns what `make costs` found when it was last run.
func LastMeasured() Measured {
	var m Measured
	if err := json.Unmarshal(measured, &m); err != nil {
		panic("measured.json: " + err.Error()) // a test reads it
	}
	return m
}

// of is what a unit took of an engine in a row; 0 if nothing, NaN if that was not
// measured.
func (m Measured) of(row, unit, engine string) float64 {
	for _, c := range m.Costs {
		if c.Row == row && c.Unit == unit {
			return c.Of[engine]
		}
	}
	return math.NaN()
}

// all is what a unit took in a row of all engines together; NaN if that was not measured.
func (m Measured) all(row, unit string) float64 {
	for _, c := range m.Costs {
		if c.Row == row && c.Unit == unit {
			sum := 0.0
			for _, cost := range c.Of {
				sum += cost
			}
			return sum
		}
	}
	return math.NaN()
}
