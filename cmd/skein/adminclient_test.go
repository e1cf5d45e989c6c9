package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// adminOf is a client of a server on a socket of its own, which answer, if not nil,
// makes; without it the server takes connections and says nothing, as one that hangs.
func adminOf(t *testing.T, answer http.Handler) *adminClient {
	t.Helper()
	dir, err := os.MkdirTemp("", "skein") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	listener, err := net.Listen("unix", adminSocket(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	if answer != nil {
		server := &http.Server{Handler: answer, ReadHeaderTimeout: patience}
		go server.Serve(listener)
		t.Cleanup(func() { server.Close() })
	}
	c := newAdminClient(dir)
	c.patience = 200 * time.Millisecond
	return c
}

// Who asks a server that hangs is told so, and does not wait for ever.
func TestAdminClient_ServerHangs(t *testing.T) {
	c := adminOf(t, nil)
	for name, ask := range map[string]func() error{
		"checkpoint":  func() error { _, _, _, err := c.checkpoint(t.Context()); return err },
		"deadletters": func() error { _, err := c.deadLetters(t.Context(), 1); return err },
		"replay":      func() error { return c.replay(t.Context(), nil, func(deadLetter) {}) },
	} {
		answered := make(chan error, 1)
		go func() { answered <- ask() }()
		select {
		case err := <-answered:
			if err == nil || !strings.Contains(err.Error(), "did not answer for 200ms") || !strings.Contains(err.Error(), c.dir) {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(patience):
			t.Fatalf("%s waits for ever", name)
		}
	}
}

// A checkpoint that takes long is waited for, as long as the server says that it is there.
func TestAdminClient_LongWork(t *testing.T) {
	asked := make(chan struct{}, 100)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /alive", func(http.ResponseWriter, *http.Request) { asked <- struct{}{} })
	mux.HandleFunc("POST /checkpoint", func(w http.ResponseWriter, r *http.Request) {
		for range 8 { // twice the patience of the client
			<-asked
		}
		_ = json.NewEncoder(w).Encode(checkpointAnswer{Folder: "here"})
	})
	c := adminOf(t, mux)
	c.patience = 2 * time.Second // of a busy machine
	answer, lasting, release, err := c.checkpoint(t.Context())
	if err != nil || answer.Folder != "here" {
		t.Fatal(fmt.Sprint(answer, err))
	}
	<-lasting.Done() // the server hung up
	release()
}
