package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"skein/cmd/internal/engines"
	"skein/cmd/skein/terminal"
)

// readyTime is how long the engines may take to answer.
const readyTime = 2 * time.Second

// readyHandler answers GET /readyz: a line for each engine, and whether this process
// should get work. Draining, it should not. An API server is ready while storage
// answers, as it then serves, late or degraded, whatever else is down; a worker
// needs all.
type readyHandler struct {
	role    role
	engines *engines.Set
	health  *health.Server
}

func (r readyHandler) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	ctx, cancel := context.WithTimeout(request.Context(), readyTime)
	defer cancel()
	var lines strings.Builder
	ready := true
	status, err := r.health.Check(ctx, &healthv1.HealthCheckRequest{})
	if err != nil || status.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		ready = false
		fmt.Fprintln(&lines, "process: not serving")
	}
	for _, answer := range r.engines.Ask(ctx) {
		if answer.Err == nil {
			fmt.Fprintf(&lines, "%s: ok\n", answer.Engine)
			continue
		}
		fmt.Fprintf(&lines, "%s: %s\n", answer.Engine, terminal.OneLine(answer.Err.Error()))
		if answer.Storage || !r.role.serves() {
			ready = false
		}
	}
	if !ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = w.Write([]byte(lines.String()))
}

// serveVersion answers GET /version.
func serveVersion(config Config) http.HandlerFunc {
	e := config.Engines
	answer := map[string]string{
		"version": version, "role": config.Role,
		"posts": engines.Scheme(e.Posts), "graph": engines.Scheme(e.Graph),
		"log": engines.Scheme(e.Log), "timelines": engines.Scheme(e.Timelines),
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer) // a client that left needs none
	}
}
