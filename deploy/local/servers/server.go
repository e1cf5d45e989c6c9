package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// startLimit and stopLimit bound a start and an orderly stop when the
	// context does not.
	startLimit = 2 * time.Minute
	stopLimit  = 30 * time.Second

	// pollEvery is how often a condition is looked at that nobody announces.
	pollEvery = 10 * time.Millisecond

	logFile  = "log"
	lockFile = "lock"
)

// Server is one engine on this machine. While it runs it holds one goroutine of
// the process that started it. Start, Stop, Kill, Pause and Resume are for one
// goroutine at a time; the other methods are for any.
type Server struct {
	spec   Spec
	engine engine
	state  atomic.Pointer[state]
}

// state is what is known about the last start. It is replaced, never changed.
type state struct {
	version string
	ports   []int
	process *process
}

// Name returns the engine's name.
func (s *Server) Name() string { return s.spec.Engine }

// Dir returns the server's folder, absolute.
func (s *Server) Dir() string { return s.spec.Dir }

// Log returns the file into which the server writes what it has to say.
func (s *Server) Log() string { return filepath.Join(s.spec.Dir, logFile) }

// URL returns the server's address in the form of skein's flags. It stays the
// same as long as the Server is used.
func (s *Server) URL() string { return s.engine.url(s.spec.address(s.state.Load().ports[0])) }

// Version returns the engine's version.
func (s *Server) Version() string { return s.state.Load().version }

// Pid returns the process id of the last start; see Running.
func (s *Server) Pid() int { return s.state.Load().process.pid }

// Running reports whether the process of the last start is there, whether it
// answers or not. A process that only has the same id does not count.
func (s *Server) Running() bool { return s.state.Load().process.alive() }

// Memory returns what the server and its children hold, in bytes; 0 if that is
// not known. Memory that several of them share is counted once.
func (s *Server) Memory() int64 {
	var sum int64
	for _, p := range s.state.Load().process.family() {
		sum += memory(p.pid)
	}
	return sum
}

// CPU returns the processor time that the server and its children took since it was
// started, those that ended included; 0 if that is not known.
func (s *Server) CPU() time.Duration {
	var sum time.Duration
	for _, p := range s.state.Load().process.family() {
		sum += processorTime(p.pid)
	}
	return sum
}

// Start starts a server that was stopped or killed, in the same folder and on
// the same port, and returns when it answers. After an error it does not run.
func (s *Server) Start(ctx context.Context) error { return s.start(ctx, true) }

// Stop asks the server to end in order and waits until it has. If ctx ends
// first it is killed, and the error says so. Stopping a server that does not
// run is no error.
func (s *Server) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	p := s.state.Load().process
	if !p.alive() {
		return nil
	}
	if err := s.Resume(); err != nil {
		return err
	}
	if err := p.signal(s.engine.stopSignal()); err != nil {
		return fmt.Errorf("cannot stop %s: %w", s.Name(), err)
	}
	if err := p.wait(ctx); err != nil {
		return errors.Join(fmt.Errorf("%s (pid %d) did not stop in time and was killed: %w", s.Name(), p.pid, err), s.Kill())
	}
	return nil
}

// Kill ends the server and its children with SIGKILL and waits until they are
// gone. Killing a server that does not run is no error.
func (s *Server) Kill() error {
	if err := s.state.Load().process.kill(); err != nil {
		return fmt.Errorf("cannot kill %s: %w", s.Name(), err)
	}
	return nil
}

// Pause stops the server and its children with SIGSTOP. When it returns none of
// them answers.
func (s *Server) Pause() error {
	if err := s.state.Load().process.pause(); err != nil {
		return fmt.Errorf("cannot pause %s: %w", s.Name(), err)
	}
	return nil
}

// Resume lets a paused server go on. One that is not paused takes no notice.
func (s *Server) Resume() error {
	if err := s.state.Load().process.resume(); err != nil {
		return fmt.Errorf("cannot resume %s: %w", s.Name(), err)
	}
	return nil
}

// adopt makes s the server of which r tells.
func (s *Server) adopt(r record) {
	s.state.Store(&state{version: r.Version, ports: r.Ports, process: findProcess(r.Pid, r.Birth)})
}

// start starts the server; samePorts forbids others than those of the last
// start.
func (s *Server) start(ctx context.Context, samePorts bool) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := os.MkdirAll(s.spec.Dir, 0o755); err != nil {
		return fmt.Errorf("cannot make %s's folder: %w", s.Name(), err)
	}
	unlock, err := Lock(ctx, filepath.Join(s.spec.Dir, lockFile))
	if err != nil {
		return fmt.Errorf("cannot start %s: %w", s.Name(), err)
	}
	defer unlock()
	last, err := readRecord(s.spec.Dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot start %s: %w", s.Name(), err)
	}
	if findProcess(last.Pid, last.Birth).alive() {
		return fmt.Errorf("%s runs already in %s, as process %d", s.Name(), s.spec.Dir, last.Pid)
	}
	found, err := s.engine.locate(ctx, s.spec.Cache)
	if err != nil {
		return err
	}
	ports := last.Ports
	if len(s.spec.Ports) > 0 {
		ports = s.spec.Ports
	}
	if samePorts {
		ports = s.state.Load().ports
	}
	for attempt := 0; ; attempt++ {
		if ports == nil {
			if ports, err = choosePorts(s.spec.host(), s.engine.portCount()); err != nil {
				return fmt.Errorf("cannot start %s: %w", s.Name(), err)
			}
		}
		err = s.startOn(ctx, found, ports)
		if err == nil || samePorts || len(s.spec.Ports) > 0 || attempt == 3 || !errors.Is(err, syscall.EADDRINUSE) {
			return err
		}
		ports = nil
	}
}

// startOn starts the server on ports. The error is syscall.EADDRINUSE if another
// program holds one of them.
func (s *Server) startOn(ctx context.Context, found installation, ports []int) error {
	release, err := claimPorts(s.spec.host(), ports)
	if err != nil {
		return fmt.Errorf("cannot start %s: %w", s.Name(), err)
	}
	defer release()
	out, err := os.OpenFile(s.Log(), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("cannot start %s: %w", s.Name(), err)
	}
	defer out.Close()
	begin, err := out.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("cannot start %s: %w", s.Name(), err)
	}
	p, err := s.launch(ctx, found, ports, out)
	if err == nil {
		s.state.Store(&state{version: found.version, ports: ports, process: p})
		return nil
	}
	// Not each engine says that a port is taken, and who has it may be gone by now.
	tail := lastLines(out, begin)
	if taken := portsFree(s.spec.host(), ports); taken != nil {
		err = fmt.Errorf("%w, %w", err, taken)
	} else if strings.Contains(tail, "ddress already in use") {
		err = fmt.Errorf("%w, %w", err, syscall.EADDRINUSE)
	}
	err = fmt.Errorf("%s %s did not start: %w; its log is %s", s.Name(), found.version, err, s.Log())
	if tail != "" {
		err = fmt.Errorf("%w and ends: %s", err, tail)
	}
	return err
}

// launch runs the program and waits until it answers. After an error it is gone.
func (s *Server) launch(ctx context.Context, found installation, ports []int, out *os.File) (*process, error) {
	command, err := s.engine.prepare(ctx, s.spec, found, ports, out)
	if err != nil {
		return nil, err
	}
	command.Stdout, command.Stderr = out, out
	attach(command, s.spec.Detached)
	p, err := startProcess(command)
	if err != nil {
		return nil, err
	}
	err = writeRecord(s.spec.Dir, record{Spec: s.spec, Version: found.version, URL: s.engine.url(s.spec.address(ports[0])), Ports: ports, Pid: p.pid, Birth: p.birth})
	if err == nil {
		err = s.awaitAnswer(ctx, p, ports[0])
	}
	if err == nil {
		return p, nil
	}
	if killErr := p.kill(); killErr != nil {
		err = fmt.Errorf("%w, and cannot be killed: %w", err, killErr)
	}
	return nil, err
}

// awaitAnswer waits until p answers on port, and fails when p ends.
func (s *Server) awaitAnswer(ctx context.Context, p *process, port int) error {
	again := time.NewTicker(pollEvery)
	defer again.Stop()
	for {
		err := ask(ctx, s.spec.address(port), s.engine.answers)
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("it ended (%s)", p.how())
		case <-ctx.Done():
			return fmt.Errorf("it does not answer (%w): %w", err, ctx.Err())
		case <-again.C:
		}
	}
}

// ask connects to an address of this machine and lets question have the connection,
// for a second.
func ask(ctx context.Context, address string, question func(net.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	connection, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer connection.Close()
	deadline, _ := ctx.Deadline()
	if err := connection.SetDeadline(deadline); err != nil {
		return err
	}
	return question(connection)
}

// lastLines returns the last lines of a log from begin on, as one line.
func lastLines(log *os.File, begin int64) string {
	const most, lines = 2000, 4
	info, err := log.Stat()
	if err != nil {
		return ""
	}
	begin = max(begin, info.Size()-most)
	text := make([]byte, info.Size()-begin)
	n, _ := log.ReadAt(text, begin) // what can be read is better than nothing
	all := strings.FieldsFunc(string(text[:n]), func(r rune) bool { return r == '\n' || r == '\r' })
	return strings.Join(all[max(0, len(all)-lines):], " | ")
}
