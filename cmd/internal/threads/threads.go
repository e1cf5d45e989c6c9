// Package threads lets Go run on a thread more than there are processors.
//
// A goroutine that waits for a disk in a system call keeps its place among the
// GOMAXPROCS that run until the runtime's monitor takes it away: after 20 µs when
// the monitor is awake, after 10 ms when it sleeps. An engine that syncs all the
// time thus takes processors away from all else on a small machine. The engines do
// not know of this; the programs that open them call Spare.
package threads

import (
	"os"
	"runtime"
)

// spare is for a write-ahead log that syncs. There are two, storage's and the event
// log's; but with two spare threads on two processors readers waited longer again,
// for the system's scheduler.
const spare = 1

// Processors is how many processors Go uses for this process, as it was at the
// start.
var Processors = runtime.GOMAXPROCS(0)

// Spare makes room for a thread that waits for a disk. An operator who has set
// GOMAXPROCS has decided, and Spare does nothing.
func Spare() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(Processors + spare)
	}
}
