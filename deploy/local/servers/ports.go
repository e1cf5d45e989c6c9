package servers

import (
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"strconv"
)

// Ports are chosen below those that systems give to outgoing connections (Linux
// from 32768 on): else one of those may take a server's port while it is down.
const lowestPort, highestPort = 15000, 32000

// address is a port of this machine.
func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// choosePorts returns count ports of host that are free now.
func choosePorts(host string, count int) ([]int, error) {
	var ports []int
	for range 1000 {
		port := lowestPort + rand.IntN(highestPort-lowestPort)
		if portsFree(host, []int{port}) != nil {
			continue
		}
		if ports = append(ports, port); len(ports) == count {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("no free ports between %d and %d", lowestPort, highestPort)
}

// portsFree returns an error for the first of host's ports that is not free.
func portsFree(host string, ports []int) error {
	for _, port := range ports {
		listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			return err
		}
		_ = listener.Close()
	}
	return nil
}

// claimPorts keeps ports for this start, against others who may have chosen the
// same and would take our server for theirs. On Linux it holds names in the
// abstract namespace, which no crash leaves behind; elsewhere luck has to do.
// The error is syscall.EADDRINUSE if another has one of ports.
func claimPorts(host string, ports []int) (release func(), err error) {
	if runtime.GOOS != "linux" {
		return func() {}, portsFree(host, ports)
	}
	var claims []net.Listener
	release = func() {
		for _, claim := range claims {
			_ = claim.Close()
		}
	}
	for _, port := range ports {
		claim, err := net.Listen("unix", "@skein-port-"+host+":"+strconv.Itoa(port))
		if err != nil {
			release()
			return nil, fmt.Errorf("port %d is about to be used: %w", port, err)
		}
		claims = append(claims, claim)
	}
	if err := portsFree(host, ports); err != nil {
		release()
		return nil, err
	}
	return release, nil
}
