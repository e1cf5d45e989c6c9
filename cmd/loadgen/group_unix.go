//go:build unix && !linux

package main

import "syscall"

// ownGroup puts the server into a process group of its own, as Ctrl-C on the
// terminal is for loadgen, which stops the server when it has finished with it.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
