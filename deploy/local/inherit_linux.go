package main

import (
	"math"

	"golang.org/x/sys/unix"
)

// closeOnExec keeps servers from inheriting what our caller left open for us,
// such as locks and the pipes of make: they would hold it as long as they run.
// Kernels before 5.11 do not know how; then they inherit.
func closeOnExec() { _ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) }
