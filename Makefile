# Everything that a fresh checkout needs is here: Go, make and git suffice.
SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c

GO       ?= go
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# The version is git's word on the checkout; a tarball without git has none.
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
SOURCES := $(shell find . -name '*.go' -o -name go.mod -o -name go.sum)
SCRIPTS := $(shell find .ci scripts -type f 2>/dev/null | xargs -r grep -lE '^\#!.*\b(ba)?sh\b' 2>/dev/null)

# The race detector needs a C compiler; everything else does without.
RACE := $(shell command -v gcc >/dev/null && echo -race)

.DEFAULT_GOAL := help

.PHONY: help
help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: bin/crow ## build bin/crow, one static binary

bin/crow: $(SOURCES) Makefile
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o $@ ./cmd/crow

.PHONY: demo
demo: bin/crow ## push a build to a fleet of five hosts on this machine
	bin/crow demo

.PHONY: test
test: test-go test-demo ## run all tests

.PHONY: test-go
test-go: ## run the Go tests, with the race detector if there is a C compiler
	@$(if $(RACE),:,echo 'no gcc: the tests run without the race detector')
	CGO_ENABLED=$(if $(RACE),1,0) $(GO) test $(RACE) -p 1 -timeout 15m ./...

.PHONY: test-demo
test-demo: bin/crow ## run the demo as a test of the whole
	bin/crow demo --hosts 3 --progress plain

.PHONY: lint
lint: ## check format, vet, golangci-lint and shell scripts
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not gofmt'ed: $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) run $(GOLANGCI) run ./...
	$(if $(SCRIPTS),if command -v shellcheck >/dev/null; then shellcheck $(SCRIPTS); else echo 'no shellcheck: scripts are not checked'; fi)

.PHONY: clean
clean: ## remove what was built
	rm -rf bin
