// Package progress shows people how far a long command is: a bar on a terminal,
// plain lines elsewhere. It measures nothing and decides nothing.
package progress

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// lineEvery is how often a long stage says how far it is where there is no
// terminal.
const lineEvery = 5 * time.Second

// Progress is one command's. It is safe for concurrent use.
type Progress struct {
	w        io.Writer
	terminal bool

	mu struct {
		sync.Mutex
		bar         *progressbar.ProgressBar // nil without a terminal
		stage       string
		done, total int64
		began, last time.Time // of the stage; of its last line
	}
}

// New returns a Progress that writes to w, as a rule stderr.
func New(w io.Writer) *Progress {
	f, ok := w.(*os.File)
	return &Progress{w: w, terminal: ok && term.IsTerminal(int(f.Fd()))}
}

// Stage ends the stage before, if there is one, and begins another, of total
// steps; 0 if nobody knows how many.
func (p *Progress) Stage(name string, total int64) {
	p.End()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.stage, p.mu.done, p.mu.total = name, 0, total
	p.mu.began = time.Now()
	p.mu.last = p.mu.began
	if p.terminal {
		if total == 0 {
			total = -1 // a bar that only spins
		}
		p.mu.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(p.w), progressbar.OptionSetDescription(fmt.Sprintf("%-8s", name)),
			progressbar.OptionShowCount(), progressbar.OptionSetWidth(30),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	}
}

// Add says that n more steps of the stage are done.
func (p *Progress) Add(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.done += n
	if p.mu.bar != nil {
		_ = p.mu.bar.Add64(n) // a bar that cannot be drawn stops nothing
		return
	}
	if time.Since(p.mu.last) >= lineEvery && p.mu.done < p.mu.total {
		p.mu.last = time.Now()
		fmt.Fprintf(p.w, "%-8s %d %%\n", p.mu.stage, 100*p.mu.done/p.mu.total)
	}
}

// Note writes a line that stays.
func (p *Progress) Note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintf(p.w, "note: "+format+"\n", args...)
}

// End ends the stage, if there is one, with a line that stays.
func (p *Progress) End() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.stage == "" {
		return
	}
	p.clear()
	fmt.Fprintf(p.w, "%-8s done in %.1f s\n", p.mu.stage, time.Since(p.mu.began).Seconds())
	p.mu.bar, p.mu.stage = nil, ""
}

// Stop ends the stage, if there is one, without a word: it was not finished.
func (p *Progress) Stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.mu.bar, p.mu.stage = nil, ""
}

func (p *Progress) clear() {
	if p.mu.bar != nil {
		_ = p.mu.bar.Clear() // what cannot be cleared stays on the screen
	}
}
