package kafka

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"skein/fanout/eventlog"
)

// memberURL makes the test binary a member of a group, until it is killed.
const memberURL = "SKEIN_KAFKA_TEST_MEMBER"

var pair = eventlog.Topic{Name: "posts", Partitions: 2}

// playMember plays the member, if this process is one. It says what it was given
// and what it read, and commits nothing.
func playMember() bool {
	url := os.Getenv(memberURL)
	if url == "" {
		return false
	}
	l, err := Open(context.Background(), url, []eventlog.Topic{pair}, Options{Logger: quiet})
	if err == nil {
		err = l.Consume(context.Background(), group, pair.Name, func(ctx context.Context, p eventlog.Partition) error {
			if _, err := p.Fetch(ctx, 1); err != nil {
				return err
			}
			fmt.Println("read of", p.ID())
			<-ctx.Done()
			return ctx.Err()
		})
	}
	fmt.Println(err)
	return true
}

// TestKilledMember: the partitions of a member that was killed go to the others
// within about ten seconds, and what it had in hand is read again (F2).
func TestKilledMember(t *testing.T) {
	t.Parallel()
	url := place(t)
	l := opened(t, url, pair)
	must(t, l.Append(t.Context(), pair.Name, numbered(0, 20)...))
	exe, err := os.Executable()
	must(t, err)
	child := exec.CommandContext(t.Context(), exe)
	child.Env = append(os.Environ(), memberURL+"="+url)
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	defer func() { _ = child.Wait() }() // it was killed
	lines := bufio.NewScanner(out)
	for range pair.Partitions {
		if !lines.Scan() {
			t.Fatal("the member ended")
		}
	}
	must(t, child.Process.Kill())
	killed := time.Now()

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got := make(chan int64, 20)
	consumed := make(chan error, 1)
	go func() {
		consumed <- l.Consume(ctx, group, pair.Name, func(ctx context.Context, p eventlog.Partition) error {
			for {
				b, err := p.Fetch(ctx, 100)
				if err != nil {
					return err
				}
				for range b.Records {
					got <- b.Next
				}
			}
		})
	}()
	for n := range 20 {
		select {
		case <-got:
		case <-ctx.Done():
			t.Fatalf("%d records of 20 were read again", n)
		}
	}
	took := time.Since(killed)
	cancel()
	must(t, <-consumed)
	t.Logf("the partitions moved in %v", took.Round(time.Millisecond))
	if most := 15 * time.Second; took > most {
		t.Errorf("the partitions moved after %v, want %v at most", took, most)
	}
}
