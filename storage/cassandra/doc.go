// Package cassandra keeps posts and the graph in Cassandra.
package cassandra
