//go:build !linux

package servertest

import "syscall"

// diesWithUs can do nothing here: a test that is killed leaves its processes.
func diesWithUs() *syscall.SysProcAttr { return nil }
