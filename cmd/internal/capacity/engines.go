package capacity

import (
	"fmt"
	"math"
)

// engine is one whose processor time three rows have measured.
func (m Measured) engine(name, posts, deliveries, reads string) Engine {
	return Engine{
		Name: name, Replicas: 1, ReadFrom: 1,
		Post: m.of(posts, Post, name), Delivery: m.of(deliveries, Delivery, name), Read: m.of(reads, Read, name),
	}
}

// skein is the API servers and the workers. Its bytes on the wire are those of its clients;
// it moves those of the engines, too.
func skein(e Engine) Engine {
	e.Least = 2
	e.PostWire, e.WirePosts, e.ReadWire, e.ReadPosts = 200, 2, page*30, page
	return e
}

// postgres is a primary and its standby.
func postgres(e Engine, m Measured) Engine {
	e.Replicas, e.OneMachine = 2, true
	e.Instead = "give it a larger one, or let Cassandra have what it holds"
	e.PostBytes, e.PostCopies = m.of(postsRow, PostBytes, "postgres"), 1
	e.FollowBytes = m.of(readsRow, FollowBytes, "postgres")
	e.PostWire, e.WirePosts, e.DeliveryWire, e.ReadWire, e.ReadPosts = 600, 1, 10, 20*page, page
	return e
}

// cassandra has three copies of everything, and asks two of them when it reads. A post's
// text is in its own row and in its author's.
func cassandra(e Engine, m Measured) Engine {
	const authorDays = 398 // of ids in a partition of an author
	e.Replicas, e.ReadFrom = 3, 2
	e.PostBytes, e.PostCopies = m.of(spreadPostsRow, PostBytes, "cassandra"), 2
	e.PostWire, e.WirePosts, e.ReadWire, e.ReadPosts = 1000, 3, 120*page, page
	e.Parts = func(l Load, _ Need) string {
		posts := min(authorDays, l.Days) * l.Posts
		return fmt.Sprintf("a partition for each post, and one for each author and %d days: %.0f posts of %.0f KB for the mean author", authorDays, posts, posts*(e.PostBytes/2+l.PostBytes)/1e3)
	}
	return e
}

// kafka keeps a record of each post, without its text, in each topic that it passes. What
// it takes during reads is its consumers' polling, and left out. The row is of deliveries.
func kafka(e Engine, m Measured, row string) Engine {
	e.Read, e.Replicas, e.ReadFrom = 0, 3, 0
	e.EventBytes, e.EventDays = m.of(postsRow, PostBytes, "kafka"), eventDays
	e.PostWire = 180
	delivery := m.all(row, Delivery)
	e.Parts = func(l Load, _ Need) string {
		r := l.Rates()
		busy := r.Deliveries * delivery / 1e6 / Partitions
		s := fmt.Sprintf("%d topics of %d partitions whatever the load, so at most %d workers; at the peak each has %.0f posts a second, and is busy delivering for %.0f %% of the time if one topic has all",
			Topics, Partitions, Partitions, r.Posts/Partitions, 100*busy)
		if busy > utilization {
			s += ": deliveries may fall behind, and more workers would not help"
		}
		return s
	}
	return e
}

// redis is a master and its replica, and reads from the master.
func redis(e Engine, m Measured) Engine {
	e.Replicas, e.OneMachine, e.OneCore = 2, true, true
	e.Instead = "take a Redis Cluster"
	e.TimelineBytes = m.of(bytesRow, TimelineBytes, "redis")
	e.DeliveryWire, e.ReadWire = 60, 2500
	return e
}

// redisCluster is masters with a replica each. Failover takes a majority of the masters,
// so that none of its machines may have half of them.
func redisCluster(e Engine, m Measured) Engine {
	e = redis(e, m)
	e.Least, e.OneMachine = 3, false
	e.Parts = func(_ Load, n Need) string {
		if n.Machines == 0 {
			return ""
		}
		masters := float64(n.Masters)
		return fmt.Sprintf("%d masters and as many replicas, a core each, at most %.0f on a machine; a master has %.0f of the 16,384 slots, a slot %.1f MB",
			n.Masters, math.Ceil(masters*e.Replicas/float64(n.Machines)), slots/masters, n.Memory/e.Replicas/slots/1e6)
	}
	return e
}
