package capacity

import (
	"fmt"
	"math"
	"strings"
)

const (
	// slots of a Redis Cluster, and the most servers that one is made for, by its
	// specification.
	slots, mostServers = 16384, 1000
	// leastMasters are the fewest of which a majority is left when one is away.
	leastMasters = 3
)

// place finds the machines for an engine. One is a machine that would do for one copy and
// all reads, as free as it is to be.
func (n *Need) place(e Engine, one, m Machine) {
	switch {
	case e.OneMachine:
		if lacks := e.lacks(one, m); lacks != "" {
			n.TooLarge = "does not spread over machines, and one is too small: it needs " + lacks + "; " + e.Instead
			return
		}
		n.Machines = int64(e.Replicas)
	case e.OneCore:
		n.placeCluster(e, one, m)
	default:
		n.Machines = int64(math.Ceil(max(e.Replicas, e.Least, n.Cores/m.Cores, one.Memory*e.Replicas/m.Memory, one.Disk*e.Replicas/m.Disk)))
	}
}

// placeCluster finds masters, of which none is busier than its core may be, and none so
// large that it does not share a machine; and machines that have a core and the memory for
// each master and each replica. A replica is a master one day.
func (n *Need) placeCluster(e Engine, one, m Machine) {
	masters := math.Ceil(max(leastMasters, one.Cores, one.Memory/(m.Memory/2)))
	if masters == 4 {
		masters = 5 // of four, one of three machines has two, and with it goes the majority
	}
	servers := masters * e.Replicas
	if servers > mostServers {
		n.TooLarge = fmt.Sprintf("would have %.0f servers, and a Redis Cluster is made for %d", servers, mostServers)
		return
	}
	onMachine := math.Floor(min(m.Cores, m.Memory*masters/one.Memory))
	n.Masters, n.Machines = int64(masters), int64(math.Ceil(max(e.Least, servers/onMachine)))
}

// lacks tells what a machine has too little of for one copy; "" for nothing.
func (e Engine) lacks(one, m Machine) string {
	var lacks []string
	switch {
	case e.OneCore && one.Cores > 1:
		lacks = append(lacks, fmt.Sprintf("%.1f cores, and can use one", one.Cores))
	case one.Cores > m.Cores:
		lacks = append(lacks, fmt.Sprintf("%.1f cores", one.Cores))
	}
	if one.Memory > m.Memory {
		lacks = append(lacks, fmt.Sprintf("%.1f GB of memory", one.Memory/1e9))
	}
	if one.Disk > m.Disk {
		lacks = append(lacks, fmt.Sprintf("%.1f GB of disk", one.Disk/1e9))
	}
	return strings.Join(lacks, ", ")
}
