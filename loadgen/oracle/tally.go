package oracle

import (
	"fmt"
	"sync"
)

// Clause names a check, after the clause of the contract that it holds.
type Clause int

// The clauses, in the order in which Checks returns them.
const (
	T1 Clause = iota // no gap; nothing that nobody wrote, nothing altered
	T2               // no duplicate
	T3               // newest first
	T4               // own acts at once, deletes for everybody
	T5               // pages are full
	T6               // the cap is not the end
	clauses
)

func (c Clause) String() string { return fmt.Sprintf("T%d", int(c)+1) }

// maxExamples is how many violations of a clause are kept in words.
const maxExamples = 5

// Check is what became of one clause. Tried counts (post, viewer) pairs, once
// for each scroll that had to show them; for T5, pages that had a token.
type Check struct {
	Name              string
	Tried, Violations int64
	// BySource counts the pairs that were shown, by where they came from.
	BySource map[string]int64
	// Examples are the first violations, each with what repeats it.
	Examples []string
}

// counts are the pairs tried under one clause. Missing ones have no source.
type counts struct {
	tried    int64
	bySource [sources]int64
}

func (c *counts) shown(s Source) {
	c.tried++
	c.bySource[s.bounded()]++
}

type tally struct {
	mu struct {
		sync.Mutex
		counts     [clauses]counts
		violations [clauses]int64
		examples   [clauses][]string
	}
}

func (t *tally) violate(c Clause, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.violations[c]++
	if len(t.mu.examples[c]) < maxExamples {
		t.mu.examples[c] = append(t.mu.examples[c], fmt.Sprintf(format, args...))
	}
}

func (t *tally) add(all *[clauses]counts) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range all {
		t.mu.counts[c].tried += all[c].tried
		for s, n := range all[c].bySource {
			t.mu.counts[c].bySource[s] += n
		}
	}
}

// Checks returns one check for each clause, T1 first.
func (h *History) Checks() []Check {
	t := &h.tally
	t.mu.Lock()
	defer t.mu.Unlock()
	checks := make([]Check, clauses)
	for c := range checks {
		checks[c] = Check{
			Name:       Clause(c).String(),
			Tried:      t.mu.counts[c].tried,
			Violations: t.mu.violations[c],
			BySource:   map[string]int64{},
			Examples:   append([]string{}, t.mu.examples[c]...),
		}
		for s, n := range t.mu.counts[c].bySource {
			if n > 0 {
				checks[c].BySource[Source(s).String()] = n
			}
		}
	}
	return checks
}

// Violations returns how many were found so far.
func (h *History) Violations() int64 {
	h.tally.mu.Lock()
	defer h.tally.mu.Unlock()
	var sum int64
	for _, n := range h.tally.mu.violations {
		sum += n
	}
	return sum
}
