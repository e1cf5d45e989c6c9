package oracle

import "fmt"

// Verdict is what one scroll came to.
type Verdict struct {
	// Pairs is how many posts had to be there and were, Pushed how many of
	// them a worker had delivered.
	Pairs, Pushed int64
	Violations    int
}

// Judge holds a scroll against the history, counts it, and learns from it. A
// scroll that was broken off is judged as far as it goes.
func (h *History) Judge(s *Scroll) Verdict {
	if len(s.Pages) == 0 {
		return Verdict{}
	}
	j := &judge{h: h, s: s, shown: make(map[Number]place)}
	j.lessons.ended = s.end()
	h.mu.RLock()
	j.pages()
	j.items()
	j.eachAuthor(j.author)
	j.first()
	j.short()
	h.mu.RUnlock()
	h.tally.add(&j.tried)
	h.learn(s.Viewer, &j.lessons)
	return j.verdict
}

// judge is the judging of one scroll. It reads the history under its lock.
type judge struct {
	h *History
	s *Scroll

	shown   map[Number]place
	tried   [clauses]counts
	oldest  owed // the oldest post that had to be there
	hidden  int  // posts that a filter may have kept off the pages
	verdict Verdict
	lessons lessons
}

// place is where a scroll shows a post.
type place struct {
	rank   int
	source Source
}

func (j *judge) violate(c Clause, format string, args ...any) {
	j.verdict.Violations++
	j.h.tally.violate(c, "seed %d, viewer %d: %s", j.h.cfg.Seed, j.h.cfg.Graph.ID(j.s.Viewer), fmt.Sprintf(format, args...))
}

// pages checks T5.
func (j *judge) pages() {
	for _, p := range j.s.Pages {
		if len(p.Items) > p.Asked {
			j.violate(T5, "%d posts on a page of %d, token %q", len(p.Items), p.Asked, p.Token)
		}
		if p.Next != "" {
			j.tried[T5].tried++
		}
	}
	if j.s.stuck != "" {
		last := j.s.Pages[len(j.s.Pages)-1]
		j.violate(T5, "no progress: %s; token %q", j.s.stuck, last.Token)
	}
}

// hiddenForShort is how many hidden posts excuse one short page with a token: far
// fewer than a server may examine for a page, so that only a server that gives up
// early is found guilty.
const hiddenForShort = 500

// short checks the other half of T5: a page is shorter than asked, with a token,
// only where the scan budget was spent on posts that the viewer may not see. (A
// server whose engines fail may cut a page too; such runs have failing calls.)
func (j *judge) short() {
	excused := j.hidden / hiddenForShort
	for _, p := range j.s.Pages {
		if p.Next == "" || len(p.Items) >= p.Asked {
			continue
		}
		if excused--; excused < 0 {
			j.violate(T5, "%d posts on a page of %d that is not the last, though filters hid %d at most; token %q",
				len(p.Items), p.Asked, j.hidden, p.Token)
			return
		}
	}
}
