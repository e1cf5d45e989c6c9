package redis

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// view is what is known of a cluster at one time; nobody changes it. A single
// server is a cluster of one master, of which there is one view for ever.
type view struct {
	// begun is when the servers were asked: all that happened before is in it.
	begun   time.Time
	masters []*node            // those with slots
	owner   [slotCount]uint16  // 1 + the index in masters; 0: nobody serves it
	follow  map[*node]replicas // of each master
	nodes   []*node            // all servers
}

// replicas counts those of a master. One is failed when everybody who was asked
// holds it to be; in doubt it may have been promoted, which is what matters.
type replicas struct{ healthy, failed int }

func (v *view) ownerOf(slot int) *node {
	if i := v.owner[slot]; i > 0 {
		return v.masters[i-1]
	}
	return nil
}

// anySlot returns a slot of n, drawn; -1 if it has none.
func (v *view) anySlot(n *node) int {
	own := uint16(1 + slices.Index(v.masters, n))
	if own == 0 {
		return -1
	}
	from := rand.IntN(slotCount)
	for i := range slotCount {
		if slot := (from + i) % slotCount; v.owner[slot] == own {
			return slot
		}
	}
	return -1
}

// member is a line of CLUSTER NODES.
type member struct {
	id, address    string
	master         string // of which it is the replica; "" for a master
	failed, myself bool
	epoch          uint64
	slots          [][2]int // first and last
}

// parseMembers reads CLUSTER NODES, as told by the server at address from. Those
// that are not known yet by address, or just being met, are left out.
func parseMembers(text, from string) ([]member, error) {
	var members []member
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 8 {
			return nil, fmt.Errorf("CLUSTER NODES tells of a server in a form that nobody knows: %q", line)
		}
		flags := strings.Split(fields[2], ",")
		if slices.Contains(flags, "noaddr") || slices.Contains(flags, "handshake") {
			continue
		}
		m := member{id: fields[0], failed: slices.Contains(flags, "fail"), myself: slices.Contains(flags, "myself")}
		address, _, _ := strings.Cut(fields[1], "@")
		m.address = completed(address, from)
		if slices.Contains(flags, "slave") {
			m.master = fields[3]
		}
		m.epoch, _ = strconv.ParseUint(fields[6], 10, 64)
		for _, text := range fields[8:] {
			if strings.HasPrefix(text, "[") {
				continue // on its way to or from another: it is still its owner's
			}
			first, last, ranged := strings.Cut(text, "-")
			if !ranged {
				last = first
			}
			a, errA := strconv.Atoi(first)
			b, errB := strconv.Atoi(last)
			if errA != nil || errB != nil || a < 0 || b >= slotCount || a > b {
				return nil, fmt.Errorf("CLUSTER NODES tells of slots %q", text)
			}
			m.slots = append(m.slots, [2]int{a, b})
		}
		members = append(members, m)
	}
	return members, nil
}

// completed returns an address as servers tell it, host:port, with the host of
// whoever tells it where that is left out. Addresses of IPv6 come without brackets.
func completed(address, from string) string {
	at := strings.LastIndexByte(address, ':')
	if at < 0 {
		return address
	}
	host, port := strings.Trim(address[:at], "[]"), address[at+1:]
	if host == "" {
		host, _, _ = net.SplitHostPort(from)
	}
	return net.JoinHostPort(host, port)
}

var errNoMajority = errors.New("most masters of the cluster do not answer")

// merge makes one view of what several servers told. They may disagree: of two that
// are said to own a slot, the one with the higher epoch does, as between themselves.
func merge(answers [][]member, nodeAt func(address string) *node) *view {
	type claim struct {
		id    string
		epoch uint64
	}
	var claims [slotCount]claim
	address, told, failed := map[string]string{}, map[string]int{}, map[string]int{}
	follows := map[string]map[string]bool{} // master, then replica
	for _, members := range answers {
		for _, m := range members {
			address[m.id] = m.address
			if !m.myself {
				told[m.id]++
				if m.failed {
					failed[m.id]++
				}
			}
			if m.master != "" {
				if follows[m.master] == nil {
					follows[m.master] = map[string]bool{}
				}
				follows[m.master][m.id] = true
				continue
			}
			for _, r := range m.slots {
				for slot := r[0]; slot <= r[1]; slot++ {
					if c := &claims[slot]; c.id == "" || m.epoch > c.epoch {
						*c = claim{m.id, m.epoch}
					}
				}
			}
		}
	}
	v := &view{follow: map[*node]replicas{}}
	for _, at := range address {
		v.nodes = append(v.nodes, nodeAt(at))
	}
	index := map[string]uint16{"": 0}
	for slot, c := range claims {
		i, ok := index[c.id]
		if !ok {
			n := nodeAt(address[c.id])
			v.masters = append(v.masters, n)
			i = uint16(len(v.masters))
			index[c.id] = i
			var r replicas
			for replica := range follows[c.id] {
				if told[replica] > 0 && failed[replica] == told[replica] {
					r.failed++
				} else {
					r.healthy++
				}
			}
			v.follow[n] = r
		}
		v.owner[slot] = i
	}
	return v
}
