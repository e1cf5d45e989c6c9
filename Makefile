# What there is to do in this house. `make` lists it.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL: # one after the other, in the order written; go itself uses all cores

# One set of build flags for programs, tests and linters, so that two cores
# compile each package once. Programs are static; only the race detector needs C.
export CGO_ENABLED := 0
export GOFLAGS := $(filter-out -trimpath,$(GOFLAGS)) -trimpath
export PATH := $(CURDIR)/.tools:$(PATH)

# The nearest tag, or the commit, or "unknown" where there is no repository.
VERSION := $(or $(shell git --git-dir=.git describe --tags --always --dirty 2>/dev/null),unknown)

# Packages in which goroutines meet, and whose short tests are fast; the longest first.
RACE := ./cmd/skein ./timeline/... ./fanout/eventlog/kafka ./fanout/... ./loadgen/... ./storage/embedded ./feed/... ./cmd/internal/rpc ./cmd/skein/terminal

.PHONY: help build demo bench costs test test-embedded test-cluster check fuzz generate baseline tools clean lint fulltest race passed

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/skein and bin/loadgen
	go build -buildvcs=false -ldflags '-X main.version=$(VERSION)' -o bin/ ./cmd/skein ./cmd/loadgen

demo: build ## show it: load a graph, post, read, check (GRAPH=file GRAPH_FLAGS=--undirected; ENGINES=servers or cluster)
	bin/loadgen demo $(if $(ENGINES),--engines '$(ENGINES)') $(if $(GRAPH_ENGINE),--graph-engine '$(GRAPH_ENGINE)') $(if $(GRAPH),--graph '$(GRAPH)') $(GRAPH_FLAGS)

bench: ## measure: each figure beside its ceiling, into out/bench.json (ROW=name for one); 10 minutes
	go build -buildvcs=false -o bin/ ./cmd/bench
	bin/bench $(if $(ROW),--row '$(ROW)')

costs: ## measure what skein plan reckons with, on a quiet machine; six minutes
	go build -buildvcs=false -o bin/ ./cmd/bench
	bin/bench --out out/costs.json --costs cmd/internal/capacity/measured.json
	SKEIN_REWRITE=true go test -count=1 ./cmd/skein -run TestCapacityPage

test: build lint ## everything: build, lint, all tests on all engines, race detector
	go build -buildvcs=false -o bin/ ./deploy/local
	bin/local with $(MAKE) --no-print-directory fulltest race passed

test-embedded: export SKEIN_TEST_ENGINES := none
test-embedded: build lint fulltest race ## the part of it that needs no servers
	@echo "make test-embedded: all passed, WITHOUT PostgreSQL, Cassandra, Kafka and Redis ($(VERSION))"

test-cluster: export SKEIN_TEST_CLUSTERS := true
test-cluster: ## nodes fail under whole fleets: three of Cassandra, six of a Redis Cluster; some 35 minutes, 5 GB
	go test -count=1 -vet=off -p 1 -timeout 10m -v -run 'CassandraCluster|TestCluster/cassandra|OneOfThreeNodes' ./deploy/local/... ./storage/cassandra
	go test -count=1 -vet=off -timeout 10m -run 'TestSuite|Test[TWFI][0-9]_' -skip OneOfThreeNodes ./storage/cassandra
	go test -count=1 -vet=off -timeout 60m -v -run Cluster ./cmd/skein/servertest
	go test -count=1 -vet=off -timeout 10m -run TestRows ./cmd/bench/rows

check: export SKEIN_TEST_ENGINES := none
check: lint ## format, vet, staticcheck, import rules, fast tests; under a minute with tools built
	go test -short -count=1 -vet=off ./...
	@echo "make check: all passed"

fuzz: FUZZTIME := 20s
fuzz: ## look for inputs that break what decodes tokens, graphs, events and requests; FUZZTIME=20s each
	@go test -vet=off -list '^Fuzz' ./... | awk '/^Fuzz/ {f[++n] = $$1} /^ok/ {for (i = 1; i <= n; i++) print $$2, f[i]; n = 0}' | \
	while read -r package target; do \
		go test -vet=off -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$package" </dev/null; done

generate: tools ## make the code under proto/ afresh from the .proto files
	buf generate

baseline: tools ## accept the API as it is now as the one not to break (see buf.yaml)
	buf build --exclude-source-info -o proto/baseline.binpb

tools: .tools/built ## build buf, its plugins, gofumpt and staticcheck into .tools/

clean: ## remove bin/ and out/; tools and data stay
	rm -rf bin out

.tools/built: tools/go.mod tools/go.sum
	mkdir -p .tools
	go build -C tools -buildvcs=false -o ../.tools/ tool
	touch $@

lint: tools
	@unformatted=$$(gofumpt -l .); if [ -n "$$unformatted" ]; then \
		echo "not formatted (gofumpt -w .):"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	staticcheck ./...

# Many packages wait for servers, so more of them run at once than there are cores, the
# longest first. The failures of whole fleets have the machine to themselves.
LONG := ./fanout/eventlog/kafka ./deploy/local/servers ./cmd/bench/rows ./cmd/skein ./timeline/redis ./storage/postgres ./storage/cassandra
fulltest: tools
	go test -p 4 -count=1 -vet=off -timeout 9m $(LONG) $$(go list ./... | grep -v /servertest)
	go test -count=1 -vet=off -timeout 9m ./cmd/skein/servertest

passed:
	@echo "make test: all passed ($(VERSION))"

# Pebble checks its invariants under the race detector, so short tests only.
race:
	@cc=$$(go env CC); if command -v $${cc%% *} >/dev/null; then \
		set -x; CGO_ENABLED=1 GORACE=atexit_sleep_ms=0 go test -race -short -p 4 -count=1 -vet=off -timeout 9m $(RACE); \
	elif [ "$${CI:-}" = true ]; then \
		echo "FAIL race detector: no C compiler ($$cc), and CI=true"; exit 1; \
	else \
		echo "SKIP race detector: NO C COMPILER ($$cc). Data races were not looked for."; fi
