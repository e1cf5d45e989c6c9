package report

// Series is how a load went over time. All moments are seconds since it began.
// What was not measured has no points, or a point whose value is null.
type Series struct {
	// Step is how many seconds of the load one point of Lag and Calls sums up;
	// the point lies in their middle. A step that the load did not fill has no
	// point.
	Step float64 `json:"step"`
	// Burst is when the celebrities posted; null if they did not.
	Burst *Burst `json:"burst"`
	// Lag of a group of viewers, by when the post was acknowledged. A step
	// without a probe has no point.
	Lag []LagLine `json:"lag"`
	// Calls of the load that succeeded, per second, by when they were answered.
	Calls []Line `json:"calls"`
	// Deliveries are entries appended to timelines, per second between two
	// looks at the servers' metrics.
	Deliveries []Point `json:"deliveries"`
	// Backlog of each lane, in records, at the moment of each look. It goes on
	// for as long as the lag bound after the load.
	Backlog []Line `json:"backlog"`
}

// Burst is when the celebrities' burst began and ended, and until when its
// effects counted as of the phase "during".
type Burst struct {
	Begin float64 `json:"begin"`
	End   float64 `json:"end"`
	Over  float64 `json:"over"`
}

// LagLine is the lag of one group, by rising At.
type LagLine struct {
	Who    string    `json:"who"`
	Points []LagStep `json:"points"`
}

// LagStep sums up the probes of one step.
type LagStep struct {
	At float64 `json:"at"`
	Quantiles
}

// Line is one quantity over time, by rising At.
type Line struct {
	Name   string  `json:"name"`
	Points []Point `json:"points"`
}

// Point is a quantity at a moment; a null value is unknown.
type Point struct {
	At    float64  `json:"at"`
	Value *float64 `json:"value"`
}

// filled is a copy with lists that are empty, not null.
func (s *Series) filled() *Series {
	if s == nil {
		return nil
	}
	filled := *s
	filled.Lag = append([]LagLine{}, s.Lag...)
	for i := range filled.Lag {
		filled.Lag[i].Points = append([]LagStep{}, filled.Lag[i].Points...)
	}
	filled.Calls, filled.Backlog = filledLines(s.Calls), filledLines(s.Backlog)
	filled.Deliveries = append([]Point{}, s.Deliveries...)
	return &filled
}

func filledLines(lines []Line) []Line {
	filled := append([]Line{}, lines...)
	for i := range filled {
		filled[i].Points = append([]Point{}, filled[i].Points...)
	}
	return filled
}
