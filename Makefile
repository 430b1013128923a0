# Everything that a fresh checkout needs is here: Go, make and git suffice.
SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c

GO       ?= go
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# The version is git's word on the checkout; a tarball without git has none.
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
SCRIPTS := $(shell find .ci scripts -type f 2>/dev/null | xargs -r grep -lE '^\#!.*\b(ba)?sh\b' 2>/dev/null)

# The race detector needs a C compiler; everything else does without.
RACE := $(shell command -v gcc >/dev/null && echo -race)

.DEFAULT_GOAL := help

.PHONY: help
help: ## show this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: bin/crow ## build bin/crow, one static binary

# Go itself knows what is up to date.
.PHONY: bin/crow
bin/crow:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o $@ ./cmd/crow

.PHONY: demo
demo: bin/crow ## push a build to a fleet of five hosts on this machine
	bin/crow demo

.PHONY: test
test: test-go test-e2e test-demo ## run all tests

.PHONY: test-go
test-go: ## run the tests in one process, with the race detector if there is a C compiler
	@$(if $(RACE),:,echo 'no gcc: the tests run without the race detector')
	CGO_ENABLED=$(if $(RACE),1,0) $(GO) test $(RACE) -p 1 -timeout 15m $$($(GO) list ./... | grep -v /e2e$$)

.PHONY: test-e2e
test-e2e: bin/crow ## run the tests of whole fleets, each host a process
	CROW_BINARY=$(CURDIR)/bin/crow $(GO) test -count 1 -timeout 20m ./cmd/crow/e2e

.PHONY: test-demo
test-demo: bin/crow ## run the demo as a test of the whole
	bin/crow demo --hosts 3 --progress plain

.PHONY: bin/bench
bin/bench:
	CGO_ENABLED=0 $(GO) build -trimpath -o $@ ./scripts/bench

# Without flags: 16 hosts, 64 MiB, links of 50 Mbit/s, all systems, one run.
.PHONY: bench
bench: bin/crow bin/bench ## measure crow beside other tools, as root, in five minutes; BENCH_FLAGS=-h tells of other runs
	bin/bench $(BENCH_FLAGS)

.PHONY: lint
lint: ## check format, vet, golangci-lint and shell scripts
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not gofmt'ed: $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) run $(GOLANGCI) run ./...
	$(if $(SCRIPTS),if command -v shellcheck >/dev/null; then shellcheck $(SCRIPTS); else echo 'no shellcheck: scripts are not checked'; fi)

.PHONY: clean
clean: ## remove what was built
	rm -rf bin
