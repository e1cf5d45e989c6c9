// Package capacity computes what a load takes of each engine: processors, memory, disk
// and network, from the cost of one post, one delivery and one read. It is arithmetic,
// shown line by line in docs/capacity.md; it measures nothing and knows no machine.
package capacity

import "fmt"

// Load is who does what. Rates are means over a day.
type Load struct {
	Users int64 `json:"users"`
	// Follows is how many users one follows, on average; so many followers a user
	// has, too.
	Follows float64 `json:"follows"`
	// Audience is how many followers the author of a post has, on average over
	// posts; 0 for Follows. It is more where the followed post more.
	Audience float64 `json:"audience"`
	// Active is the share of users who read often enough to have a timeline.
	Active float64 `json:"active"`
	// Pushed is the share of deliveries that is pushed; the rest, of loud authors,
	// is pulled.
	Pushed float64 `json:"pushed"`
	// Posts is what a user posts a day, Reads what an active user reads.
	Posts float64 `json:"posts"`
	Reads float64 `json:"reads"`
	// Peak is how many times the mean the busiest minute is.
	Peak float64 `json:"peak"`
	// PostBytes is the text and payload of a post.
	PostBytes float64 `json:"post_bytes"`
	// Days is how long posts are kept.
	Days float64 `json:"days"`
}

// Validate returns what does not make sense.
func (l Load) Validate() error {
	if l.Users < 1 || l.Users > 1e11 {
		return fmt.Errorf("%d users; 1 to 100,000,000,000", l.Users)
	}
	for _, v := range []struct {
		what        string
		value       float64
		least, most float64
	}{
		{"follows", l.Follows, 0, 1e9},
		{"an audience", l.Audience, 0, 1e11},
		{"an active share", l.Active, 0, 1},
		{"a pushed share", l.Pushed, 0, 1},
		{"posts a day", l.Posts, 0, 1e6},
		{"reads a day", l.Reads, 0, 1e6},
		{"a peak", l.Peak, 1, 1e6},
		{"bytes a post", l.PostBytes, 0, 1 << 20},
		{"days", l.Days, 0, 1e6},
	} {
		if !(v.least <= v.value && v.value <= v.most) { // so that it is false for NaN
			return fmt.Errorf("%s of %v; %v to %v", v.what, v.value, v.least, v.most)
		}
	}
	return nil
}

// Rates are what a load comes to each second, at its peak.
type Rates struct {
	Posts      float64 `json:"posts"`
	Deliveries float64 `json:"deliveries"`
	Reads      float64 `json:"reads"`
}

const day = 24 * 60 * 60

// Rates returns the rates of a load at its peak.
func (l Load) Rates() Rates {
	audience := l.Audience
	if audience == 0 {
		audience = l.Follows
	}
	users := float64(l.Users)
	posts := users * l.Posts / day * l.Peak
	return Rates{
		Posts:      posts,
		Deliveries: posts * audience * l.Active * l.Pushed,
		Reads:      users * l.Active * l.Reads / day * l.Peak,
	}
}

// Machine is what an engine is spread over. Memory and Disk are in bytes.
type Machine struct {
	Cores  float64 `json:"cores"`
	Memory float64 `json:"memory"`
	Disk   float64 `json:"disk"`
}

// Need is what one engine takes. Cores are at the peak, as many as leave each as free as
// Costs.Utilization says; Memory and Disk are what is used, in bytes; all are with all
// replicas. Network is in bytes a second at the peak, in and out, without replication.
type Need struct {
	Engine  string  `json:"engine"`
	Cores   float64 `json:"cores"`
	Memory  float64 `json:"memory"`
	Disk    float64 `json:"disk"`
	Network float64 `json:"network"`
	// Machines are as many as the scarcest of cores, memory and disk asks for; 0 if
	// TooLarge.
	Machines int64 `json:"machines"`
	// Masters is how many a cluster has whose servers run on one core; else 0.
	Masters int64 `json:"masters,omitempty"`
	// Parts tells in words how the engine is divided; "" if there is nothing to say.
	Parts string `json:"parts,omitempty"`
	// TooLarge says, after the engine's name, why no number of such machines does, and
	// what would; "" if some number does.
	TooLarge string `json:"too_large,omitempty"`
}

// Plan returns what a load takes on a kind of machine with at least one core, in the
// order of Costs.
func Plan(l Load, c Costs, m Machine) []Need {
	r := l.Rates()
	users, live := float64(l.Users), float64(l.Users)*l.Active
	posts := users * l.Posts * l.Days
	var needs []Need
	for _, e := range c.Engines {
		writes, reads := (r.Posts*e.Post+r.Deliveries*e.Delivery)/1e6, r.Reads*e.Read/1e6
		memory := live * e.TimelineBytes
		disk := posts*(e.PostBytes+e.PostCopies*l.PostBytes) + users*l.Follows*e.FollowBytes +
			users*l.Posts*e.EventDays*(e.EventBytes+e.EventCopies*l.PostBytes)
		n := Need{
			Engine: e.Name,
			Cores:  (writes*e.Replicas + reads*e.ReadFrom) / c.Utilization,
			Memory: memory * e.Replicas,
			Disk:   disk * e.Replicas,
			Network: r.Posts*(e.PostWire+l.PostBytes*e.WirePosts) + r.Deliveries*e.DeliveryWire +
				r.Reads*(e.ReadWire+e.ReadPosts*l.PostBytes),
		}
		n.place(e, Machine{(writes + reads) / c.Utilization, memory / c.Utilization, disk / c.Utilization}, m)
		if e.Parts != nil {
			n.Parts = e.Parts(l, n)
		}
		needs = append(needs, n)
	}
	return needs
}
