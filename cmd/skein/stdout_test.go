package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	feedv1 "skein/proto/feed/v1"
)

// An answer that cannot be shown is no failure of the server's, and what was asked for
// is done.
func TestFullStdout(t *testing.T) {
	server := serve(t, t.TempDir())
	if _, err := dialAll(t, server).CreateUser(withDeadline(t), &feedv1.CreateUserRequest{Id: 7}); err != nil {
		t.Fatal(err)
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	for _, args := range [][]string{{"home", "7"}, {"user", "7", "--json"}, {"post", "7", "honk"}} {
		var stderr bytes.Buffer
		p := &program{stdin: strings.NewReader(""), stdout: full, stderr: &stderr}
		if code := p.run(append(args, "--target", server.addresses.GRPC)); code != exitError {
			t.Errorf("%v: exit %d", args, code)
		}
		said := stderr.String()
		if !strings.Contains(said, "cannot be shown: write /dev/full: no space left") || !strings.Contains(said, "What was asked for is done.") {
			t.Errorf("%v: %s", args, said)
		}
		if strings.Contains(said, "Its log says why") || strings.Contains(said, "may have been posted") {
			t.Errorf("%v blames the server: %s", args, said)
		}
	}
}
