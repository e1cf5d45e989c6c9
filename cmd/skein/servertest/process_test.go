package servertest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// process is a program of ours in a process of its own: skein, or a broken worker.
type process struct {
	*exec.Cmd
	name  string
	log   string        // the file with all that it wrote
	ended chan struct{} // closed when it is gone
	// addresses of one that serves, else "".
	addresses struct {
		GRPC    string `json:"grpc"`
		Metrics string `json:"metrics"`
	}
}

var started atomic.Int64

// launch starts a program. Nothing of this test's environment that is meant for
// skein reaches it.
func launch(t *testing.T, name, program string, environ []string, args ...string) *process {
	t.Helper()
	name = fmt.Sprintf("%s-%d", name, started.Add(1))
	p := &process{Cmd: exec.Command(program, args...), name: name, log: filepath.Join(ours.dir, name+".log"), ended: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SKEIN_") {
			p.Env = append(p.Env, v)
		}
	}
	p.Env = append(p.Env, environ...)
	p.Stdout, p.Stderr, p.SysProcAttr = out, out, diesWithUs()
	begun := make(chan error)
	go func() {
		// Linux kills such a child when the thread that started it ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer out.Close()
		err := p.Start()
		begun <- err
		if err == nil {
			_ = p.Wait() // the exit code is asked for later
		}
		close(p.ended)
	}()
	if err := <-begun; err != nil {
		t.Fatal(err)
	}
	return p
}

// serve launches a program that serves, and waits until it does.
func serve(t *testing.T, name, program string, environ []string, args ...string) *process {
	t.Helper()
	file := filepath.Join(ours.dir, fmt.Sprintf("%s-%d.addresses", name, started.Load()))
	p := launch(t, name, program, environ, append(args, "--address-file", file)...)
	eventually(t, name+" serves", func() bool {
		content, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(content, &p.addresses)
		}
		if err != nil && !p.alive() {
			t.Fatalf("%s ended early:\n%s", p.name, p.lastWords())
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return err == nil
	})
	return p
}

func (p *process) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// kill sends SIGKILL and waits for the end.
func (p *process) kill() {
	_ = p.Process.Kill() // fails when it has ended, as it should
	<-p.ended
}

// signal sends a signal to a process that has not ended.
func (p *process) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	must(t, p.Process.Signal(sig))
}

// exit waits for the end and returns the exit code and what was written.
func (p *process) exit(t *testing.T, within time.Duration) (code int, said string) {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(within):
		p.kill()
		t.Errorf("%v did not end within %v:\n%s", p.Args, within, p.lastWords())
	}
	content, err := os.ReadFile(p.log)
	if err != nil {
		t.Fatal(err)
	}
	return p.ProcessState.ExitCode(), string(content)
}

func (p *process) lastWords() string {
	const lines = 25
	content, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// web is for metrics and readiness, without connections that outlive a test.
var web = http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// get asks the metrics port for a page.
func (p *process) get(path string) (code int, body string, err error) {
	answer, err := web.Get("http://" + p.addresses.Metrics + path)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(content), err
}

// metrics returns the values of a metric by their labels.
func (p *process) metrics(name string) (map[string]float64, error) {
	_, body, err := p.get("/metrics")
	if err != nil {
		return nil, err
	}
	values := map[string]float64{}
	for line := range strings.Lines(body) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), name)
		labels, text, found := strings.Cut(rest, " ")
		if !ok || !found || labels != "" && labels[0] != '{' {
			continue
		}
		var value float64
		if _, err := fmt.Sscan(text, &value); err != nil {
			return nil, fmt.Errorf("%s: %w", line, err)
		}
		values[labels] = value
	}
	if len(values) == 0 {
		return nil, fmt.Errorf("%s has no metric %s", p.name, name)
	}
	return values, nil
}

// metric returns the value of a metric that has no labels.
func (p *process) metric(name string) (float64, error) {
	values, err := p.metrics(name)
	return values[""], err
}
