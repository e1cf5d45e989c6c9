package servers

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"
)

// nodes are the servers of a cluster. Each has a folder in that of the cluster.
type nodes []*Server

// nodeDir is the folder of node i, from 0, of the cluster in dir.
func nodeDir(dir string, i int) string { return filepath.Join(dir, strconv.Itoa(i+1)) }

// startNode starts what spec says, unless it runs; ours tells whether it did not.
func startNode(ctx context.Context, spec Spec) (s *Server, ours bool, err error) {
	if s, err := Open(spec.Dir); err == nil && s.Running() {
		return s, false, nil
	}
	s, err = Start(ctx, spec)
	return s, err == nil, err
}

// openNodes returns the servers that ran in the folders of dir; os.ErrNotExist if
// none did.
func openNodes(dir string) (n nodes, err error) {
	for {
		s, err := Open(nodeDir(dir, len(n)))
		if errors.Is(err, os.ErrNotExist) && len(n) > 0 {
			return n, nil
		}
		if err != nil {
			return nil, err
		}
		n = append(n, s)
	}
}

// Servers returns the servers, of Redis those that began as masters first.
func (n nodes) Servers() []*Server { return n }

// Version returns that of the first server.
func (n nodes) Version() string { return n[0].Version() }

// Pid returns the process id of the first server that runs; see [Server.Pid].
func (n nodes) Pid() int { return n[max(0, slices.IndexFunc(n, (*Server).Running))].Pid() }

// Log returns the file of the first server; those of the others are like it.
func (n nodes) Log() string { return n[0].Log() }

// Running reports whether any of the servers runs.
func (n nodes) Running() bool { return slices.ContainsFunc(n, (*Server).Running) }

// Memory returns what all servers hold, in bytes.
func (n nodes) Memory() (sum int64) {
	for _, s := range n {
		sum += s.Memory()
	}
	return sum
}

// CPU returns the processor time of all servers; see [Server.CPU].
func (n nodes) CPU() (sum time.Duration) {
	for _, s := range n {
		sum += s.CPU()
	}
	return sum
}

// Stop stops all servers in order; see [Server.Stop].
func (n nodes) Stop(ctx context.Context) error {
	return n.each(func(s *Server) error { return s.Stop(ctx) })
}

// Kill kills all servers; see [Server.Kill].
func (n nodes) Kill() error { return n.each((*Server).Kill) }

func (n nodes) each(f func(*Server) error) error {
	errs := make([]error, len(n))
	var all sync.WaitGroup
	for i, s := range n {
		all.Go(func() { errs[i] = f(s) })
	}
	all.Wait()
	return errors.Join(errs...)
}
