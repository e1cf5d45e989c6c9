package main

import (
	"fmt"

	"skein/cmd/internal/threads"
)

// role is what a process does of what there is to do. Processes of the roles api
// and worker keep nothing: there may be any number of each, over the same servers.
type role string

const (
	// roleAll does everything. With an engine inside the process it is the only
	// one there is.
	roleAll role = "all"
	// roleAPI serves the API, and relays events from the outbox to the log.
	roleAPI role = "api"
	// roleWorker plans and delivers.
	roleWorker role = "worker"
)

func (r role) serves() bool { return r != roleWorker }
func (r role) works() bool  { return r != roleAPI }

// checkRole returns an error when there is no such role, or when this one cannot
// be played with the engines that c names.
func (c Config) checkRole() error {
	switch role(c.Role) {
	case roleAll:
		return nil
	case roleAPI, roleWorker:
	default:
		return fmt.Errorf("role is %q; all, api or worker", c.Role)
	}
	if engine := c.Engines.InProcess(); engine != "" {
		return fmt.Errorf("role is %s, but %s lives inside one process that does everything; name a server, or say --role all", c.Role, engine)
	}
	return nil
}

// heavy is how many chunks of bulk are worked on at once. A worker over servers mostly
// waits for them: half of 16, for the large lane, is as many as there are partitions,
// and nothing else bounds it.
func (c Config) heavy() int {
	if c.Engines.InProcess() == "" {
		return 16
	}
	return max(1, threads.Processors/2)
}
