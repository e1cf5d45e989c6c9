//go:build !linux

package main

// closeOnExec does nothing where the system has no such call.
func closeOnExec() {}
