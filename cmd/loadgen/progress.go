package main

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

// progress shows how far a run is: a bar on a terminal, plain lines elsewhere.
// It is safe for concurrent use.
type progress struct {
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

func newProgress(w io.Writer) *progress {
	f, ok := w.(*os.File)
	return &progress{w: w, terminal: ok && term.IsTerminal(int(f.Fd()))}
}

// Stage implements loadgen.Progress.
func (p *progress) Stage(name string, total int64) {
	p.end()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.stage, p.mu.done, p.mu.total = name, 0, total
	p.mu.began = time.Now()
	p.mu.last = p.mu.began
	if p.terminal {
		p.mu.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(p.w), progressbar.OptionSetDescription(fmt.Sprintf("%-8s", name)),
			progressbar.OptionShowCount(), progressbar.OptionSetWidth(30),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	}
}

// Add implements loadgen.Progress.
func (p *progress) Add(n int64) {
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

// Note implements loadgen.Progress.
func (p *progress) Note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.bar != nil {
		_ = p.mu.bar.Clear()
	}
	fmt.Fprintf(p.w, "note: "+format+"\n", args...)
}

// end ends the stage, if there is one, with a line that stays.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.stage == "" {
		return
	}
	if p.mu.bar != nil {
		_ = p.mu.bar.Clear()
		p.mu.bar = nil
	}
	fmt.Fprintf(p.w, "%-8s done in %.1f s\n", p.mu.stage, time.Since(p.mu.began).Seconds())
	p.mu.stage = ""
}
