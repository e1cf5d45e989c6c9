package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// asLocal makes the test binary behave as the command itself.
const asLocal = "TEST_BINARY_IS_LOCAL"

func TestMain(m *testing.M) {
	if os.Getenv(asLocal) != "" {
		main()
	}
	if os.Getenv("SKEIN_TEST_ENGINES") == "none" {
		fmt.Println("SKIP, NOT TESTED: SKEIN_TEST_ENGINES is none")
		return
	}
	goleak.VerifyTestMain(m)
}

// TestServersOutliveUp: they run when the command has ended, and hold nothing
// that its caller had open, such as a lock or a pipe of make.
func TestServersOutliveUp(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells which open files are there")
	}
	h := newHouse(t)
	h.must(t, "up", "redis") // or it cannot be had
	h.must(t, "down")
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	command := exec.CommandContext(t.Context(), os.Args[0], "--dir", h.dir, "up", "redis")
	command.Env = append(os.Environ(), asLocal+"=1")
	command.ExtraFiles = []*os.File{writer}
	command.WaitDelay = patience
	out, err := command.CombinedOutput() // waits until nobody holds it
	_ = writer.Close()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if h.pid(t, "redis") == 0 {
		t.Error("the server ended with its starter")
	}
	if err := reader.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the server holds what was open: %v", err)
	}
}
