package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// process is one run of a server's program, ours or one that another process
// started. Its methods are for any goroutine.
type process struct {
	pid int
	// birth tells it from another process with the same id; see birth.
	birth  string
	handle *os.Process
	// ended is closed when a process of ours has ended and is reaped; nil for
	// one of another's.
	ended chan struct{}
	state *os.ProcessState // set before ended is closed
}

// startProcess starts command. A goroutine with a thread of its own waits for
// its end: Linux kills such a child when the thread that started it ends, not
// when the process does, so that thread must stay.
func startProcess(command *exec.Cmd) (*process, error) {
	p := &process{ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := command.Start(); err != nil {
			started <- err
			return
		}
		p.handle, p.pid = command.Process, command.Process.Pid
		p.birth, _ = birth(p.pid) // it is there until Wait returns
		started <- nil
		_ = command.Wait() // how tells of it
		p.state = command.ProcessState
		close(p.ended)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// runProcess runs command to its end, and kills it when ctx ends first.
func runProcess(ctx context.Context, command *exec.Cmd) error {
	p, err := startProcess(command)
	if err != nil {
		return err
	}
	select {
	case <-p.ended:
	case <-ctx.Done():
		return errors.Join(ctx.Err(), p.kill())
	}
	if !p.state.Success() {
		return errors.New(p.how())
	}
	return nil
}

// findProcess returns the process pid if it was born at birth. If there is none
// the process returned is not alive.
func findProcess(pid int, born string) *process {
	p := &process{pid: pid, birth: born}
	if pid <= 0 || born == "" {
		return p
	}
	// The handle is taken first: it stays bound to what was checked.
	handle, err := os.FindProcess(pid)
	if now, ok := birth(pid); err == nil && ok && now == born {
		p.handle = handle
	}
	return p
}

func (p *process) alive() bool {
	if p.handle == nil {
		return false
	}
	if p.ended != nil {
		select {
		case <-p.ended:
			return false
		default:
			return true
		}
	}
	now, ok := birth(p.pid)
	return ok && now == p.birth
}

// how tells how a process of ours ended.
func (p *process) how() string { return p.state.String() }

// signal sends sig; that the process is gone is no error.
func (p *process) signal(sig syscall.Signal) error {
	if !p.alive() {
		return nil
	}
	if err := p.handle.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("process %d: %w", p.pid, err)
	}
	return nil
}

// wait returns when the process has ended, or with the error of ctx.
func (p *process) wait(ctx context.Context) error {
	return until(ctx, func() bool { return !p.alive() })
}

// until returns when condition holds, or with the error of ctx.
func until(ctx context.Context, condition func() bool) error {
	again := time.NewTicker(pollEvery)
	defer again.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-again.C:
		}
	}
	return nil
}

// family returns the process and all below it, those that are alive.
func (p *process) family() []*process {
	if !p.alive() {
		return nil
	}
	family := []*process{p}
	parents := parents()
	for i := 0; i < len(family); i++ {
		for pid, parent := range parents {
			if parent != family[i].pid {
				continue
			}
			if born, ok := birth(pid); ok {
				family = append(family, findProcess(pid, born))
			}
		}
	}
	return family
}

// pause stops the process and then its children: one that is stopped has no
// more of them.
func (p *process) pause() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	if err := p.stopped(ctx); err != nil {
		return err
	}
	for _, member := range p.family() {
		if err := member.stopped(ctx); err != nil {
			return err
		}
	}
	return nil
}

// stopped sends SIGSTOP and waits until it has worked.
func (p *process) stopped(ctx context.Context) error {
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	return until(ctx, func() bool { return !p.alive() || isStopped(p.pid) })
}

func (p *process) resume() error {
	var errs []error
	for _, member := range p.family() {
		errs = append(errs, member.signal(syscall.SIGCONT))
	}
	return errors.Join(errs...)
}

// kill ends the process and its children, and waits until they are gone:
// children of PostgreSQL would work on for a moment, and keep it from starting.
func (p *process) kill() error {
	if !p.alive() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	errs := []error{p.stopped(ctx)}
	family := p.family()
	for _, member := range family {
		errs = append(errs, member.signal(syscall.SIGKILL))
	}
	for _, member := range family {
		errs = append(errs, member.wait(ctx))
	}
	return errors.Join(errs...)
}
