package servertest

import "syscall"

// diesWithUs has a process killed when the test is, however that ends, and keeps
// a Ctrl-C meant for the test away from it.
func diesWithUs() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
