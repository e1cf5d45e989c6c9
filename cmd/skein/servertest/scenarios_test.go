package servertest

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// unavailable is what calls may fail with that a dead process had taken on, or that
// storage must answer and cannot.
const unavailable = "Unavailable"

// Workers join and leave faster than their group settles: some die, one stops in good
// order, and one sleeps until its session is over and wakes up with what it had in
// hand. Then an API server dies. What they had taken on is done by others (F1, F2, W2),
// and only calls that the dead API server was asked fail.
func TestProcessesComeAndGo(t *testing.T) {
	asleep := 10 * time.Second // a session is 8 s
	if testing.Short() {
		asleep /= 5
	}
	scenario{duration: 20 * time.Second, pushed: 0.5, allowed: []string{unavailable}, fail: func(t *testing.T, loads []*load) {
		arm(t, loads)
		awake := time.After(asleep)
		for _, l := range loads {
			l.fleet.workers[0].signal(t, syscall.SIGSTOP)
		}
		for _, leave := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGKILL} {
			for _, l := range loads {
				l.fleet.workers[1].signal(t, leave)
			}
			for _, l := range loads {
				l.fleet.workers[1].exit(t, patience)
				l.fleet.complete(t)
			}
		}
		<-awake
		for _, l := range loads {
			l.fleet.workers[0].signal(t, syscall.SIGCONT)
			l.fleet.apis[0].kill()
			l.fleet.complete(t)
		}
	}}.run(t)
}

// Redis is emptied under load: timelines are rebuilt as they are read (T7), and
// what is posted meanwhile is not lost (T1).
func TestRedisIsFlushed(t *testing.T) {
	longOnly(t)
	scenario{duration: 10 * time.Second, pushed: 0.05, fail: func(t *testing.T, loads []*load) {
		redisSays(t, ours.redis(), "FLUSHALL")
		armWhenRead(t, loads)
	}}.run(t)
}

// Redis dies and comes back empty. Meanwhile pages are pulled, and no call fails.
func TestRedisIsKilled(t *testing.T) {
	scenario{duration: 12 * time.Second, pushed: 0.05, fail: func(t *testing.T, loads []*load) {
		must(t, ours.redis().Kill())
		loads[0].fleet.wantReady(t, "timelines")
		must(t, ours.redis().Start(t.Context()))
		loads[0].fleet.wantReady(t)
		armWhenRead(t, loads)
	}}.run(t)
}

// Redis dies and comes back as it was some seconds ago: its lists have their
// headers, and lack their last entries.
func TestRedisIsSetBack(t *testing.T) {
	longOnly(t)
	ours.begin(t, onServers)
	dump := filepath.Join(ours.redis().Dir(), "data", "dump.rdb")
	defer os.Remove(dump)
	scenario{duration: 14 * time.Second, pushed: 0.05, fail: func(t *testing.T, loads []*load) {
		redisSays(t, ours.redis(), "SAVE")
		loads[0].await(t, loads[0].passed()+3) // deliveries that the snapshot lacks
		must(t, ours.redis().Kill())
		if _, err := os.Stat(dump); err != nil {
			t.Fatalf("there is no snapshot to go back to: %v", err)
		}
		must(t, ours.redis().Start(t.Context()))
		armWhenRead(t, loads)
	}}.run(t)
}

// Kafka is away for 20 seconds; first it hangs, then nobody listens. Posts are
// acknowledged all the while, and read on the other server (T1): what waits in the
// outbox is pulled. No call fails.
func TestKafkaIsAway(t *testing.T) {
	longOnly(t)
	scenario{duration: 26 * time.Second, pushed: 0.5, fail: func(t *testing.T, loads []*load) {
		back := time.After(20 * time.Second)
		must(t, ours.kafka().Pause())
		arm(t, loads)
		intact := loads[0].fleet
		intact.wantPulled(t)
		loads[0].await(t, 12)
		must(t, ours.kafka().Kill())
		intact.wantReady(t, "log")
		intact.wantPulled(t)
		<-back
		must(t, ours.kafka().Start(t.Context()))
	}}.run(t)
}

// PostgreSQL restarts in good order, and after SIGKILL. Calls fail meanwhile, as
// they must; nothing acknowledged is lost (W2).
func TestPostgresRestarts(t *testing.T) {
	longOnly(t)
	scenario{duration: 22 * time.Second, pushed: 0.5, allowed: []string{unavailable}, fail: func(t *testing.T, loads []*load) {
		must(t, ours.postgres().Stop(t.Context()))
		loads[0].fleet.wantReady(t, "posts", "graph")
		must(t, ours.postgres().Start(t.Context()))
		loads[0].fleet.wantReady(t)
		arm(t, loads)
		loads[0].await(t, loads[0].passed()+1)
		must(t, ours.postgres().Kill())
		must(t, ours.postgres().Start(t.Context()))
	}}.run(t)
}
