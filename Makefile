# AtlHyper Observe. `make help` lists the targets.

PORT  ?= 8080
CACHE := $(or $(ATLHYPER_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/atlhyper-observe)
# Where loadtest/setup.sh puts a redis-server if there is none.
export PATH := $(CACHE)/bin:$(PATH)
GOLANGCI_VERSION := v2.15.0
GOLANGCI := $(CACHE)/bin/golangci-lint-$(GOLANGCI_VERSION)
# The race detector needs a C compiler; without one the tests run without it.
RACE := $(shell command -v gcc >/dev/null 2>&1 && echo -race)
# What make test-chart renders with; the version is in the tools module's go.mod.
HELM_VERSION := $(shell awk '$$1 == "helm.sh/helm/v4" { print $$2 }' charts/helm/go.mod)
HELM := $(CACHE)/bin/helm-$(HELM_VERSION)
GOTEST := go test -timeout 20m
# k6 with the module that reads streams; its version is in loadtest/k6/runner/go.mod.
K6 := $(CACHE)/bin/k6-sse
SETUP := loadtest/setup.sh
# Of the random cases that are held against PromQL: the same in every run of
# make test, others in every run of make fuzz.
SEED ?= 1
# Sizes of make bench-collect, and how often it, make bench, make bench-detail and
# make bench-kube measure.
NODES ?= 10,100,1000
RUNS  ?= 5
# How long make bench runs each closed loop.
CELL ?= 1500ms
# Sizes of make bench-detail.
SPANS   ?= 15000000
SAMPLES ?= 50000000
# What make build builds; make image needs no more than its own command.
BINARIES := agent atlhyper chdb loadtest master
# What the names of the images begin with.
IMAGE_PREFIX ?=
# Intervals after which all must be whole again in make test-faults; 0 means no bound.
WITHIN ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo test test-alerts test-chart test-kube test-faults test-upgrade soak loadtest test-race bench bench-collect bench-detail bench-kube build image test-image lint fmt verify fuzz golden golden-chart clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## run the whole thing on this machine: two clusters, two masters (PORT=8080)
	@$(SETUP) demo
	@$(MAKE) --no-print-directory build
	@exec bin/atlhyper demo --port $(PORT)

test: ## run all tests, on a real redis-server and the real ClickHouse engine
	@$(SETUP) test
	$(GOTEST) ./...
	@echo "the PromQL reference: a module of its own, Prometheus's engine takes minutes to build the first time"
	cd loadtest/promql && $(GOTEST) . -seed $(SEED)
	@# What it reads is outside its module, which the cache of results does not look at.
	cd loadtest/promql && $(GOTEST) -count=1 . -run '^TestExpressions$$'
	cd loadtest/k6/runner && $(GOTEST) ./event

test-alerts: ## check the alert rules, and that each fires and ends when it should, with promtool (seconds)
	@loadtest/observability/setup.sh
	promtool check rules charts/atlhyper/observability/alerts.yaml
	promtool test rules charts/atlhyper/observability/alerts_test.yaml

test-chart: $(HELM) ## lint and render the Helm chart, and hand all it makes to a real kube-apiserver (helm is built the first time: two minutes)
	@$(SETUP) kube
	$(GOTEST) -count=1 ./charts -helm $(abspath $(HELM)) -kube

test-kube: ## run the tests of agent/kube, kubesim and the chart on a real kube-apiserver (built the first time: 7 to 11 minutes)
	@$(SETUP) kube
	$(GOTEST) -count=1 ./agent/kube ./agent/kube/kubetest ./loadtest/kubesim/world ./charts -kube

test-faults: ## break one part after the other under load (seven minutes); rewrites docs/faults.md
	@$(SETUP) test
	@loadtest/faults/setup.sh
	@echo "breaking Redis, the network, processes, ClickHouse and clocks: takes about seven minutes"
	$(GOTEST) -count=1 ./loadtest/faults -run TestFaults -faults -parallel 6 -within $(WITHIN) -document ../../docs/faults.md
	@cat docs/faults.md

# The newest tag before this commit; there is none before the first release, and then
# what was there before agents and masters got logins, limits and traces.
test-upgrade: FROM ?= $(or $(shell git describe --tags --abbrev=0 HEAD^ 2>/dev/null),1235beb896f01c453446e7563c3d61718aa60e7b)
test-upgrade: ## replace agents and masters of FROM (a tag or commit; default: the last release) by today's and back, under requests (ten minutes)
	@$(SETUP) test
	@echo "building the agent and master of $(FROM), and today's, in temporary folders"
	go test -count=1 -timeout 60m ./loadtest/upgrade -run '^TestUpgrade$$' -from $(FROM) -v

soak: DURATION ?= 10m
soak: ## 200 simulated clusters and 3 masters under load and faults, then count (DURATION=10m)
	@$(SETUP) test
	go test -count=1 -timeout 0 ./loadtest/faults -run TestSoak -soak $(DURATION) -v

loadtest: DURATION ?= 1m
loadtest: LOAD ?= 1
loadtest: ## k6 against 100 simulated clusters and 3 masters behind HAProxy (DURATION=1m for each of 5 scripts, LOAD=1: factor on rates); rewrites docs/loadtest.md
	@$(SETUP) load
	@$(MAKE) --no-print-directory build
	@echo "building k6: takes three minutes the first time"
	cd loadtest/k6/runner && go build -o $(K6) .
	@exec bin/loadtest --k6 $(K6) --duration $(DURATION) --load $(LOAD) --report docs/loadtest.md

test-race: ## run the tests of the concurrent parts under the race detector (needs gcc)
	@$(SETUP) test
	$(GOTEST) $(RACE) -short ./redis/... ./agent/... ./master/... ./shared/...

bench: ## what masters, agents and Redis cost, beside what is the least possible, in one run (a quarter of an hour); rewrites docs/bench.md and docs/scale.md
	@$(SETUP) test
	@$(MAKE) --no-print-directory build
	go test -run '^$$' -bench . ./...
	go test -count=1 -timeout 2h ./loadtest/bench/serve -run '^TestServe$$' -print -master $(CURDIR)/bin/master -document $(CURDIR)/docs/bench.md -scale $(CURDIR)/docs/scale.md \
	  -rounds $(RUNS) -duration $(CELL) -nodes 6,100 -connections 1,16,128 -in-flight 1,50 -clusters 200 -interval 10s -intervals 1

bench-collect: ## what a collection costs at 10, 100 and 1,000 nodes, beside the naive way and the bound (half an hour)
	@$(SETUP) test
	go test -v -count=1 -timeout 3h ./loadtest/bench -run '^TestCollect$$' -print -nodes $(NODES) -runs $(RUNS) -services 50 -spans 200

bench-detail: ## what share of 15 million spans and 50 million samples the detail queries read; fails over 5% (half an hour)
	@$(SETUP) test
	go test -count=1 -timeout 3h ./loadtest/bench/detail -run '^TestDetail$$' -print -targets -nodes 10 -runs $(RUNS) -spans $(SPANS) -samples $(SAMPLES)

bench-kube: ## what the informers and sections of 5,000 pods and 200 nodes cost an agent: time, bytes, memory (two minutes)
	@$(SETUP) kube
	$(GOTEST) -v -count=1 ./agent/kube -run '^TestBench$$' -kube -print -runs $(RUNS)

build: ## build the binaries into bin/
	@mkdir -p bin
	@echo "building into bin/: takes one to two minutes the first time"
	CGO_ENABLED=0 go build -trimpath -o bin/ $(BINARIES:%=./cmd/%)

image: ## build the container images of master, agent and atlhyper into out/image, without a container engine (amd64 and arm64; IMAGE_PREFIX=registry.example/team/)
	@echo "building into out/image: takes five minutes the first time"
	go run ./cmd/image --prefix '$(IMAGE_PREFIX)'

test-image: ## build the images twice, compare them, and run them on a read-only root (a quarter of an hour; needs root)
	@$(SETUP) test
	go test -count=1 -timeout 1h -v ./cmd/image -run '^TestImages$$' -image

lint: $(GOLANGCI) ## check style and import rules with golangci-lint
	$(GOLANGCI) run ./...

$(GOLANGCI):
	@echo "installing golangci-lint $(GOLANGCI_VERSION) into $(CACHE)/bin: once, takes a few minutes"
	@mkdir -p $(CACHE)/bin
	GOBIN=$(CACHE)/bin/tmp go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@mv $(CACHE)/bin/tmp/golangci-lint $@ && rmdir $(CACHE)/bin/tmp

fmt: $(GOLANGCI) ## format the code
	$(GOLANGCI) fmt ./...

verify: test test-alerts test-kube test-faults lint ## what CI runs

fuzz: ## fuzz every parser for 20 s each
	@for p in $$(go list ./...); do \
	  for f in $$(go test -list '^Fuzz' $$p 2>/dev/null | grep '^Fuzz'); do \
	    echo "== $$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime 20s $$p || exit 1; \
	  done; done
	cd loadtest/k6/runner && go test -run '^$$' -fuzz '^FuzzReader$$' -fuzztime 20s ./event
	cd loadtest/promql && $(GOTEST) -count=1 .

$(HELM):
	@echo "building helm $(HELM_VERSION) into $(CACHE)/bin: once, takes two minutes, several where make test-kube never ran"
	@mkdir -p $(CACHE)/bin
	CGO_ENABLED=0 go build -C charts/helm -trimpath -ldflags '-s -w' -o $(abspath $@).new helm.sh/helm/v4/cmd/helm
	@mv $@.new $@

golden-chart: $(HELM) ## render the Helm chart anew into charts/testdata
	go test -count=1 ./charts -run '^TestRendered$$' -helm $(abspath $(HELM)) -update

golden: ## write the golden wire files of what is not written as by the last release (says that the wire format changes)
	@$(SETUP) test
	go test -count=1 ./shared/codec ./redis/key ./redis/beat ./redis/bus ./redis/snapshot -run '^TestWireTypes$$|^TestGolden' -update

clean: ## remove what was built (the cache of fetched tools stays: see README)
	rm -rf bin out
