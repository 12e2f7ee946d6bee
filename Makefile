# Everything a developer or a newcomer runs. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BUILD := $(shell git describe --always --dirty 2>/dev/null || echo unknown)
LISTEN ?= 127.0.0.1:8080
DATA ?= .stoa
FUZZTIME ?= 20s
GO := go
LINT := $(GO) tool -modfile=tools/go.mod golangci-lint

.PHONY: help setup build up down test test-ci test-registries test-all test-release test-checker release check bench kits zoo fuzz fmt generate screens

help: ## say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "make %-12s %s\n", $$1, $$2}'

setup: ## fetch what is missing (ONNX Runtime, hash-pinned)
	@tools/setup.sh

build: setup ## build bin/stoa, and bin/stoa-init, which runs inside sandboxes
	@$(GO) build -trimpath -ldflags '-X main.build=$(BUILD)' -o bin/stoa ./cmd/stoa
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o bin/stoa-init ./cmd/stoa-init

up: build ## start the server, publish the demos, show real answers
	@bin/stoa up --data $(DATA) --listen $(LISTEN) --demos demo

down: ## stop the server that make up started
	@bin/stoa down --data $(DATA)

test: setup ## the fast suite
	$(GO) vet ./...
	$(GO) test ./...

test-ci: build ## what CI runs besides: every demo through the binary, the race detector
	@tools/test-ci.sh

test-registries: setup ## builds with real packages, Algorithmia's own kit and client among them (fetches)
	STOA_REGISTRIES=1 $(GO) test -count=1 -timeout 20m ./internal/build ./test/code
	test/kits/kits.sh

test-release: setup ## unpack the release in an empty Debian and use it (as root)
	@tools/test-release.sh

test-checker: setup ## ONNX's own checker over every network that the tests import (fetches a wheel)
	@tools/test-checker.sh

test-all: test test-registries test-ci fuzz test-release test-checker ## everything

release: setup ## write the archives for amd64 and arm64 into dist
	@tools/release.sh

check: ## formatting, vet, lint
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(LINT) run ./...

bench: build ## the figures, as ratios against the floor in the same run
	$(GO) run ./bench $(BENCH)

kits: ## Algorithmia's published kits, unchanged (fetches two wheels)
	@test/kits/kits.sh

zoo: setup ## whole architectures by real frameworks (gigabytes to install, an hour): docs/coverage.md
	@test/zoo/zoo.sh $(ZOO)

fuzz: ## each fuzz target for FUZZTIME (20s)
	@tools/fuzz.sh $(FUZZTIME)

fmt: ## format the code
	gofmt -w $$(git ls-files '*.go')

generate: ## write the generated files again: the site's scripts and styles, schema, tables of the README
	$(GO) generate ./internal/web
	$(GO) test ./internal/manifest -run Schema -update
	$(GO) test ./test/frameworks -run Cases -update

screens: setup ## write a picture of every page into ./screens, and the README's two
	$(GO) test ./test/browser -count=1 -run Screens -screens $(CURDIR)/screens
	@mkdir -p docs/screens && cp screens/front.jpg screens/algorithm.jpg docs/screens/
	@echo "see ./screens; the README's two are in docs/screens"
