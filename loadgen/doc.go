// Package loadgen loads a Skein server like its users would, and proves what it
// answers. It is an ordinary client of the gRPC API: it sees nothing of the
// server but its answers and, where told where, its public metrics.
//
// A run goes through these stages:
//
//	import   the graph, by ImportFollows
//	warm     every viewer that will be checked reads once, so that it is live
//	load     calls in an open loop; meanwhile scrolls are judged, lag is probed
//	settle   the lag bound passes
//	check    every viewer's home timeline is scrolled to its end and judged
//	restore  follows that the load changed are changed back
//
// While it loads and settles, the servers' metrics are looked at about once a
// second, if it was told where they are.
//
// The loop is open: a call is due at a moment that does not depend on how the
// server does, and its latency counts from that moment. Nothing is dropped when
// the server is slow; it is late, and that shows. See Tene, "How NOT to measure
// latency", for what a closed loop hides.
//
// Of the calls, the read share are GetHomeTimeline of a viewer drawn uniformly.
// Of the rest 2 % are deletes of a post drawn uniformly, 4 % are follows or
// unfollows of a viewer drawn uniformly, and the others are posts whose author
// is drawn by the weights of Pequod's twip: 0 without followers, 0.1 below 10
// of them, else 1 + (random mod ⌊2·log10 followers⌋).
//
// The target should be loadgen's alone: follows that it does not know of look
// like violations. Posts older than the run do not matter.
package loadgen
