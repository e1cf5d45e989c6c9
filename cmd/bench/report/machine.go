package report

import (
	"fmt"
	"os"
	"strings"

	"skein/cmd/internal/threads"
)

// Machine is where the benchmark ran.
type Machine struct {
	// Cores that this process may use.
	Cores int `json:"cores"`
	// Memory of the machine in bytes; 0 where the system does not tell.
	Memory int64 `json:"memory"`
}

// ThisMachine describes the one that this process runs on.
func ThisMachine() Machine {
	info, _ := os.ReadFile("/proc/meminfo") // Linux only; else unknown
	return Machine{Cores: threads.Processors, Memory: memoryOf(string(info))}
}

// memoryOf reads the total out of /proc/meminfo, which counts in KiB.
func memoryOf(info string) int64 {
	for line := range strings.Lines(info) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "MemTotal: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}
