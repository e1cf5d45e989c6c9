package servers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// attach makes command's process die with ours, or outlive it. Either way a
// Ctrl-C meant for us does not reach it.
func attach(command *exec.Cmd, detached bool) {
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	if detached {
		command.SysProcAttr.Setsid = true
		return
	}
	command.SysProcAttr.Setpgid = true
	command.SysProcAttr.Pdeathsig = syscall.SIGKILL
}

// birth returns when a process began, in a form that no other process with the
// same id shares: the boot's id and clock ticks since. ok is false if there is
// none, or if it has ended and nobody asked how.
func birth(pid int) (born string, ok bool) {
	fields := stat(pid)
	if fields == nil || fields[0] == "Z" || fields[0] == "X" {
		return "", false
	}
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(boot)) + "/" + fields[19], true
}

func isStopped(pid int) bool {
	fields := stat(pid)
	return fields != nil && fields[0] == "T"
}

// parents returns the parent of each process, by their ids.
func parents() map[int]int {
	parents := map[int]int{}
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, path := range all {
		id, _ := strconv.Atoi(filepath.Base(path))
		if fields := stat(id); fields != nil {
			parents[id], _ = strconv.Atoi(fields[1])
		}
	}
	return parents
}

// stat returns the fields of /proc/PID/stat from the third, the state, on; see
// proc_pid_stat(5). It returns nil if there is no such process.
func stat(pid int) []string {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	// The second is a name in brackets, and may hold anything.
	fields := strings.Fields(string(content[strings.LastIndexByte(string(content), ')')+1:]))
	if len(fields) < 20 {
		return nil
	}
	return fields
}

// memory returns a process's share of memory in bytes, 0 if it is not known.
func memory(pid int) int64 {
	content, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "Pss:" {
			kilobytes, _ := strconv.ParseInt(fields[1], 10, 64)
			return kilobytes << 10
		}
	}
	return 0
}

// processorTime returns what a process and its children that ended have taken, 0 if it
// is not known. The kernel counts in hundredths of a second, whatever its own clock.
func processorTime(pid int) (sum time.Duration) {
	fields := stat(pid)
	if fields == nil {
		return 0
	}
	for _, field := range fields[11:15] { // utime, stime, cutime, cstime
		ticks, _ := strconv.ParseInt(field, 10, 64)
		sum += time.Duration(ticks) * 10 * time.Millisecond
	}
	return sum
}
