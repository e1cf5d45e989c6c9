package main

import "golang.org/x/sys/unix"

// engineFiles is how many files the engines may open beside the API's connections. An
// embedded one that gets none ends the process.
const engineFiles = 2048

// maxConnections is how many connections to take: what was asked for, unless that would
// leave the engines too few files.
func (a *App) maxConnections() int {
	asked := a.config.MaxConnections
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return asked
	}
	most := connectionsWithin(files.Cur, asked)
	if most < asked {
		a.log.Warn("fewer connections are taken than --max-connections says, as the engines need files too (raise ulimit -n)", "connections", most, "files", files.Cur)
	}
	return most
}

// connectionsWithin is how many of the connections asked for may be taken where there
// may be so many open files: of few files a third.
func connectionsWithin(files uint64, asked int) int {
	if files >= uint64(asked)+engineFiles {
		return asked
	}
	return min(asked, max(1, int(files/3)))
}
