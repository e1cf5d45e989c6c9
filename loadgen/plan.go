package loadgen

import (
	"math/rand/v2"
	"time"
)

// act is what a call of the load does.
type act uint8

const (
	actRead act = iota
	actPost
	actDelete
	actRefollow // a follow or an unfollow
)

// Of the calls that do not read.
const (
	deleteShare   = 0.02
	refollowShare = 0.04
)

const (
	// burstWithin is how long the celebrities' burst takes, burstEcho how long
	// afterwards its effects still count as during it. Both are at most a sixth
	// of the load.
	burstWithin = time.Second
	burstEcho   = 5 * time.Second
)

// call is one call of the load, due at a moment after the load's begin.
type call struct {
	due  time.Duration
	act  act
	user uint32 // who reads, posts or follows; nobody for a delete
	pick uint64 // chooses among what there is when the call is made
}

// plan says which calls are due and when: a Poisson process at the rate, and
// for a spike the burst. The same seed and graph give the same plan. It has one
// owner.
type plan struct {
	cfg      Config
	audience *audience
	rng      *rand.Rand

	steady time.Duration // when the next call that is not of the burst is due
	posted int           // posts of the burst planned so far
}

func newPlan(cfg Config, a *audience, rng *rand.Rand) *plan {
	p := &plan{cfg: cfg, audience: a, rng: rng}
	p.steady = p.gap()
	if cfg.Workload != Spike || len(a.celebrities) == 0 {
		p.posted = cfg.Burst
	}
	return p
}

// next returns the calls in the order in which they are due; false at the end.
func (p *plan) next() (call, bool) {
	if p.posted < p.cfg.Burst {
		begin, end, _ := p.cfg.burst()
		due := begin + (end-begin)*time.Duration(p.posted)/time.Duration(p.cfg.Burst)
		if due <= p.steady {
			celebrity := p.audience.celebrities[p.posted%len(p.audience.celebrities)]
			p.posted++
			return call{due: due, act: actPost, user: celebrity, pick: p.rng.Uint64()}, true
		}
	}
	if p.steady >= p.cfg.Duration {
		return call{}, false
	}
	c := p.draw(p.steady)
	p.steady += p.gap()
	return c, true
}

// gap is exponentially distributed, as between independent users' calls.
func (p *plan) gap() time.Duration {
	return time.Duration(p.rng.ExpFloat64() / p.cfg.Rate * float64(time.Second))
}

func (p *plan) draw(due time.Duration) call {
	c := call{due: due, user: p.audience.user(p.rng), pick: p.rng.Uint64()}
	if p.rng.Float64() < p.cfg.ReadShare {
		return c
	}
	switch x := p.rng.Float64(); {
	case x < deleteShare:
		c.act = actDelete
	case x < deleteShare+refollowShare:
		c.act = actRefollow
	default:
		c.act, c.user = actPost, p.audience.author(p.rng)
	}
	return c
}

// burst says when the celebrities begin to post, when they end, and until when
// that still has effects.
func (c Config) burst() (begin, end, over time.Duration) {
	most := c.Duration / 6
	begin = c.Duration / 2
	end = begin + min(burstWithin, most)
	return begin, end, end + min(burstEcho, most)
}

// phase names the part of the load to which a moment belongs. Without a burst
// all of it is "before".
func (c Config) phase(due time.Duration) string {
	switch begin, _, over := c.burst(); {
	case c.Workload != Spike || due < begin:
		return "before"
	case due < over:
		return "during"
	default:
		return "after"
	}
}
