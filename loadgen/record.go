package loadgen

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"skein/loadgen/report"
)

// outcome is what is known of an act from its call's error.
type outcome uint8

const (
	happened outcome = iota
	refused          // it did not, and will not
	unknown
)

// outcomeOf reads it from the code: a server that says what is wrong with a
// call has not carried it out. What the network or a fault cut off may happen
// yet.
func outcomeOf(err error) outcome {
	switch status.Code(err) {
	case codes.OK:
		return happened
	case codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.PermissionDenied,
		codes.ResourceExhausted, codes.Unauthenticated, codes.Unimplemented, codes.FailedPrecondition:
		return refused
	default:
		return unknown
	}
}

// series names a histogram: of a call, or of whose lag.
type series struct {
	name, phase string
}

// recorder keeps what is measured. It is safe for concurrent use.
type recorder struct {
	course *course
	mu     struct {
		sync.Mutex
		latency, lag map[series]*report.Histogram
		gaveUp       map[series]int64 // probes, of those in lag
		calls        map[string]int64 // that succeeded, by name
		failed       map[string]int64 // by name and code
		why          map[string]string
		exhausted    int64
	}
}

func newRecorder(duration time.Duration) *recorder {
	r := &recorder{course: newCourse(duration)}
	r.mu.latency = make(map[series]*report.Histogram)
	r.mu.lag = make(map[series]*report.Histogram)
	r.mu.gaveUp = make(map[series]int64)
	r.mu.calls = make(map[string]int64)
	r.mu.failed = make(map[string]int64)
	r.mu.why = make(map[string]string)
	return r
}

// latency counts a call of the load that succeeded, and how long after it was
// due.
func (r *recorder) latency(name, phase string, due, took time.Duration) {
	r.histogram(r.mu.latency, name, phase).Record(took)
	r.course.answered(name, due+took)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.calls[name]++
}

// lag counts one probe, which may have given up.
func (r *recorder) lag(who, phase string, took time.Duration, gaveUp bool) {
	r.histogram(r.mu.lag, who, phase).Record(took)
	if gaveUp {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.mu.gaveUp[series{who, phase}]++
	}
}

func (r *recorder) histogram(of map[series]*report.Histogram, name, phase string) *report.Histogram {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := of[series{name, phase}]
	if h == nil {
		h = report.NewHistogram()
		of[series{name, phase}] = h
	}
	return h
}

// failure counts a call that did not succeed: apart, if the server was asked
// too much.
func (r *recorder) failure(name string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	code := status.Code(err)
	if code == codes.ResourceExhausted {
		r.mu.exhausted++
		return
	}
	key := fmt.Sprintf("%s: %v", name, code)
	r.mu.failed[key]++
	if r.mu.failed[key] == 1 {
		r.mu.why[key] = status.Convert(err).Message()
	}
}

// failures returns how many calls failed that should not, and what happened, in
// words, most frequent first.
func (r *recorder) failures() (count int64, what []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys := make([]string, 0, len(r.mu.failed))
	for key, n := range r.mu.failed {
		count += n
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b string) int {
		return cmp.Or(cmp.Compare(r.mu.failed[b], r.mu.failed[a]), cmp.Compare(a, b))
	})
	for _, key := range keys {
		what = append(what, fmt.Sprintf("%s, %d times; first: %s", key, r.mu.failed[key], r.mu.why[key]))
	}
	return count, what
}
