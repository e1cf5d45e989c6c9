//go:build !linux

package servers

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// attach lets command's process outlive ours, or leaves it where a Ctrl-C
// reaches both. A crash of ours it survives: only Linux offers better.
func attach(command *exec.Cmd, detached bool) {
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Setsid = detached
}

// birth returns when a process began, to the second. ok is false if there is
// none, or if it has ended and nobody asked how.
func birth(pid int) (born string, ok bool) {
	born = ps(pid, "lstart=")
	return born, born != "" && !strings.HasPrefix(ps(pid, "state="), "Z")
}

func isStopped(pid int) bool { return strings.HasPrefix(ps(pid, "state="), "T") }

// parents returns the parent of each process, by their ids.
func parents() map[int]int {
	parents := map[int]int{}
	out, _ := exec.Command("ps", "-A", "-o", "pid=,ppid=").Output()
	for line := range strings.Lines(string(out)) {
		if fields := strings.Fields(line); len(fields) == 2 {
			id, _ := strconv.Atoi(fields[0])
			parents[id], _ = strconv.Atoi(fields[1])
		}
	}
	return parents
}

// memory returns a process's share of memory in bytes, 0 if it is not known.
func memory(pid int) int64 {
	kilobytes, _ := strconv.ParseInt(ps(pid, "rss="), 10, 64)
	return kilobytes << 10
}

// processorTime is not known here.
func processorTime(int) time.Duration { return 0 }

func ps(pid int, what string) string {
	out, _ := exec.Command("ps", "-o", what, "-p", strconv.Itoa(pid)).Output()
	return strings.TrimSpace(string(out))
}
