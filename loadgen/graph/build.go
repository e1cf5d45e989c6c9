package graph

import (
	"cmp"
	"slices"

	"skein/feed"
)

const (
	pageBits  = 12
	tableBits = 26
)

// edges collects follows in any order and turns them into a graph. A follow
// takes 8 bytes here and 4 more while the graph is built.
type edges struct {
	nodes []uint64 // the file's node ids, in the order in which they were first seen
	pairs []uint64 // follower and author as positions in nodes, 32 bits each

	// Where a node is in nodes, plus 1. Most files number their nodes densely
	// from 0, and a table is many times faster than a map; it is paged, so that
	// a few stray nodes cost a few pages. The map takes nodes from 2^26 on.
	table [1 << (tableBits - pageBits)]*[1 << pageBits]uint32
	rest  map[uint64]uint32
}

// add records that one node follows another, however often it is called.
func (e *edges) add(follower, author uint64) {
	e.pairs = append(e.pairs, uint64(e.position(follower))<<32|uint64(e.position(author)))
}

func (e *edges) position(node uint64) uint32 {
	if node>>tableBits != 0 {
		at, seen := e.rest[node]
		if !seen {
			if e.rest == nil {
				e.rest = make(map[uint64]uint32)
			}
			at = e.number(node)
			e.rest[node] = at
		}
		return at - 1
	}
	page := e.table[node>>pageBits]
	if page == nil {
		page = new([1 << pageBits]uint32)
		e.table[node>>pageBits] = page
	}
	at := &page[node&(1<<pageBits-1)]
	if *at == 0 {
		*at = e.number(node)
	}
	return *at - 1
}

func (e *edges) number(node uint64) uint32 {
	e.nodes = append(e.nodes, node)
	return uint32(len(e.nodes))
}

// build makes the graph, with shift added to each node to get the user's id,
// and says how many follows were there twice. It uses up e, which must not be
// empty.
func (e *edges) build(shift uint64) (g *Graph, duplicates int64) {
	ids, index := e.sortNodes(shift)
	rows, authors := e.sortPairs(index)
	e.pairs = nil // the larger half of the memory, no longer needed

	// Each row is sorted by itself, which beats one sort of all pairs, and
	// closes up to the one before it.
	end := int64(0)
	for i := range ids {
		row := authors[rows[i]:rows[i+1]]
		slices.Sort(row)
		rows[i] = end
		end += int64(copy(authors[end:], slices.Compact(row)))
	}
	duplicates = rows[len(ids)] - end
	rows[len(ids)] = end
	return newGraph(ids, rows, authors[:end]), duplicates
}

// sortNodes returns the ids in rising order, and for each position in nodes its
// place in that order.
func (e *edges) sortNodes(shift uint64) (ids []feed.UserID, index []uint32) {
	order := make([]uint32, len(e.nodes))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int { return cmp.Compare(e.nodes[a], e.nodes[b]) })
	ids = make([]feed.UserID, len(order))
	index = make([]uint32, len(order))
	for i, position := range order {
		ids[i] = feed.UserID(e.nodes[position] + shift)
		index[position] = uint32(i)
	}
	return ids, index
}

// sortPairs is a counting sort by follower: where each row begins (and, last,
// where all end), and the authors of all rows, unsorted within a row.
func (e *edges) sortPairs(index []uint32) (rows []int64, authors []uint32) {
	rows = make([]int64, len(index)+1)
	for _, pair := range e.pairs {
		rows[index[pair>>32]+1]++
	}
	for i := range index {
		rows[i+1] += rows[i]
	}
	next := slices.Clone(rows)
	authors = make([]uint32, len(e.pairs))
	for _, pair := range e.pairs {
		follower := index[pair>>32]
		authors[next[follower]] = index[uint32(pair)]
		next[follower]++
	}
	return rows, authors
}
