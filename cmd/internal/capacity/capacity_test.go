package capacity

import (
	"math"
	"strings"
	"testing"
)

// Twitter in 2013, as FIELD has it published: 150 million active users, 6,000 posts and
// 300,000 home timeline reads a second, 30 billion deliveries a day. What the formulas
// make of the first three is near the fourth.
func TestPublishedLoad(t *testing.T) {
	l := Load{Users: 150e6, Follows: 75, Active: 1, Pushed: 1, Posts: 6000 * day / 150e6, Reads: 300e3 * day / 150e6, Peak: 1}
	if err := l.Validate(); err != nil {
		t.Fatal(err)
	}
	r := l.Rates()
	near(t, "posts", r.Posts, 6000)
	near(t, "reads", r.Reads, 300e3)
	if perDay := r.Deliveries * day; perDay < 25e9 || perDay > 45e9 {
		t.Errorf("%.3g deliveries a day, published are 30e9", perDay)
	}
}

// Each part of a plan by hand.
func TestPlan(t *testing.T) {
	l := Load{Users: 864_000, Follows: 100, Active: 0.5, Pushed: 0.9, Posts: 1, Reads: 20, Peak: 2, PostBytes: 100, Days: 10}
	c := Costs{Utilization: 0.5, Engines: []Engine{{
		Name: "e", Post: 100, Delivery: 10, Read: 1000, Replicas: 3, ReadFrom: 2,
		PostBytes: 50, PostCopies: 1, FollowBytes: 10, EventBytes: 20, EventDays: 2,
		TimelineBytes: 1000, PostWire: 10, WirePosts: 1, OneMachine: true, DeliveryWire: 1, ReadWire: 7, ReadPosts: 1,
	}}}
	m := Machine{Cores: 8, Memory: 1e9, Disk: 1e12}
	n := Plan(l, c, m)[0]
	// 20 posts, 900 deliveries and 200 reads a second.
	near(t, "cores", n.Cores, ((20*100+900*10)*3+200*1000*2)/1e6/0.5)
	near(t, "memory", n.Memory, 432_000*1000*3)
	near(t, "disk", n.Disk, 3*(8_640_000*150+86_400_000*10+864_000*2*20))
	near(t, "network", n.Network, 20*(10+100)+900+200*107)
	if n.Machines != 3 || n.TooLarge != "" {
		t.Errorf("%d machines, %q; three copies of 432 MB are one each", n.Machines, n.TooLarge)
	}
	m.Memory = 8e8
	if n := Plan(l, c, m)[0]; n.Machines != 0 || !strings.Contains(n.TooLarge, "0.9 GB of memory") {
		t.Errorf("%d machines, %q; 432 MB are more than half of 800 MB", n.Machines, n.TooLarge)
	}
	c.Engines[0].OneMachine = false
	if n := Plan(l, c, m)[0]; n.Machines != 4 || n.TooLarge != "" {
		t.Errorf("%d machines, %q; 1,296 MB are four halves of 800 MB", n.Machines, n.TooLarge)
	}
	l.Audience = 300
	near(t, "deliveries", l.Rates().Deliveries, 2700)
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9*want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestValidate(t *testing.T) {
	good := Load{Users: 1, Peak: 1}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for _, bad := range []func(*Load){
		func(l *Load) { l.Users = 0 },
		func(l *Load) { l.Active = 1.1 },
		func(l *Load) { l.Pushed = math.NaN() },
		func(l *Load) { l.Posts = math.Inf(1) },
		func(l *Load) { l.Follows = -1 },
		func(l *Load) { l.Peak = 0.5 },
	} {
		l := good
		bad(&l)
		if l.Validate() == nil {
			t.Errorf("%+v is taken", l)
		}
	}
}

// What was measured last can be read, and is enough for a plan on PostgreSQL.
func TestMeasured(t *testing.T) {
	for _, e := range Servers(LastMeasured()).Engines {
		if !(e.Post > 0 && e.Delivery > 0) {
			t.Errorf("something of %s is missing: %+v", e.Name, e)
		}
	}
}

// The partitions are as many whatever the load, so a plan says when they are too few.
func TestPlan_Partitions(t *testing.T) {
	l := Load{Users: 1e6, Active: 1, Pushed: 1, Posts: day / 1e6, Peak: 1} // a post a second
	m := Measured{Costs: []Cost{{Row: deliveriesRow, Unit: Delivery, Of: map[string]float64{"kafka": 15_000, "redis": 24_000}}}}
	for follows, behind := range map[float64]bool{100: false, 110: true} { // 3.9 and 4.3 of 8 busy
		l.Follows = follows
		if parts := kafka(Engine{}, m, deliveriesRow).Parts(l, Need{}); strings.Contains(parts, "fall behind") != behind {
			t.Errorf("%v deliveries a second: %s", follows, parts)
		}
	}
}
