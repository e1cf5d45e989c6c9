package loadgen

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"skein/loadgen/graph"
)

func testAudience(t *testing.T) *audience {
	t.Helper()
	g, err := graph.Synthesize(graph.Synthetic{Users: 500, Follows: 10_000, Celebrities: 2, CelebrityShare: 0.5, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return newAudience(g, 2, rand.New(rand.NewPCG(1, 1)))
}

func testPlan(t *testing.T, a *audience) *plan {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Workload, cfg.Rate, cfg.Burst, cfg.Duration = Spike, 1000, 40, 30*time.Second
	return newPlan(cfg, a, rand.New(rand.NewPCG(1, 3)))
}

func calls(p *plan) (all []call) {
	for c, ok := p.next(); ok; c, ok = p.next() {
		all = append(all, c)
	}
	return all
}

// The plan has the mix that the package promises, in the order of due times,
// and the same seed gives the same plan.
func TestPlan(t *testing.T) {
	a := testAudience(t)
	p := testPlan(t, a)
	all := calls(p)
	if again := calls(testPlan(t, a)); !slices.Equal(all, again) {
		t.Error("the same seed gives another plan")
	}
	if !slices.IsSortedFunc(all, func(a, b call) int { return int(a.due - b.due) }) {
		t.Error("calls are not in the order of due times")
	}
	count := map[act]int{}
	burst := 0
	for _, c := range all {
		count[c.act]++
		if c.act == actPost {
			if a.FollowerCount(c.user) == 0 {
				t.Fatalf("user %d posts without followers", c.user)
			}
			if sinceBurst := c.due - 15*time.Second; a.celebrity(c.user) && sinceBurst >= 0 && sinceBurst < burstWithin {
				burst++
			}
		}
		if c.due >= 30*time.Second {
			t.Fatalf("a call is due at %v, after the end", c.due)
		}
	}
	// 30,000 calls, half of them reads; a Poisson count is off by 3 % once in
	// a million seeds, and this is one seed.
	for what, want := range map[act]float64{actRead: 15_000, actPost: 14_100 + 40, actDelete: 300, actRefollow: 600} {
		if got := float64(count[what]); got < want*0.85 || got > want*1.15 {
			t.Errorf("act %d: %v calls, want about %v", what, got, want)
		}
	}
	if burst < 40 || burst > 60 {
		t.Errorf("%d posts of celebrities in the second of the burst, want 40 and a few", burst)
	}
}

func TestPhases(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Workload, cfg.Duration = Spike, 30*time.Second
	for due, want := range map[time.Duration]string{
		0: "before", 15*time.Second - 1: "before", 15 * time.Second: "during",
		21*time.Second - 1: "during", 21 * time.Second: "after",
	} {
		if got := cfg.phase(due); got != want {
			t.Errorf("at %v: %s, want %s", due, got, want)
		}
	}
	cfg.Workload = Steady
	if got := cfg.phase(20 * time.Second); got != "before" {
		t.Errorf("a steady run has a phase %s", got)
	}
}

// The loop is open: calls are passed on when they are due; when nobody takes
// them they are late, but keep their due times, and none is dropped.
func TestPace(t *testing.T) {
	a := testAudience(t)
	planned := calls(testPlan(t, a))
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		since := func() time.Duration { return time.Since(began) }
		out := make(chan call)
		go pace(t.Context(), testPlan(t, a), since, out)
		stall := planned[len(planned)/2].due
		var got []call
		for c := range out {
			got = append(got, c)
			late := since() - c.due
			if c.due < stall && late != 0 {
				t.Fatalf("a call due at %v came %v late", c.due, late)
			}
			if c.due == stall {
				<-time.After(time.Second)
			}
			if late < 0 {
				t.Fatalf("a call due at %v came %v early", c.due, -late)
			}
		}
		if !slices.Equal(got, planned) {
			t.Errorf("%d calls were passed on, %d planned, or others", len(got), len(planned))
		}
		if since() < 29*time.Second || since() > 31*time.Second {
			t.Errorf("a stall of a second moved the end to %v", since())
		}
	})
}

func TestAudience(t *testing.T) {
	a := testAudience(t)
	for i := range uint32(a.Users()) {
		row := a.followers[a.rows[i]:a.rows[i+1]]
		if len(row) != a.FollowerCount(i) {
			t.Fatalf("user %d has %d followers, not %d", i, len(row), a.FollowerCount(i))
		}
		for _, f := range row {
			if !slices.Contains(a.Following(f), i) {
				t.Fatalf("%d is listed as a follower of %d", f, i)
			}
		}
		follows := slices.ContainsFunc(a.celebrities, func(c uint32) bool { return c == i || slices.Contains(a.Following(i), c) })
		if a.bystander(i) == follows {
			t.Errorf("bystander(%d) = %v", i, !follows)
		}
		if d := a.decile[i]; d < 1 || d > 10 {
			t.Errorf("user %d is in decile %d", i, d)
		}
	}
	if a.decile[a.celebrities[0]] != 10 {
		t.Errorf("a celebrity is in decile %d", a.decile[a.celebrities[0]])
	}
}

// Every mistake is named by its flag.
func TestValidate(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Fatal(err)
	}
	wrong := DefaultConfig()
	wrong.Targets, wrong.Workload, wrong.Rate, wrong.ReadShare, wrong.Duration = nil, "x", 0, 2, 0
	err := wrong.Validate()
	if !errors.Is(err, ErrConfig) {
		t.Fatalf("error %v, want ErrConfig", err)
	}
	for _, flag := range []string{"--target", "--workload", "--rate", "--read-share", "--duration"} {
		if !strings.Contains(err.Error(), flag) {
			t.Errorf("%v does not name %s", err, flag)
		}
	}
}
