SHELL := /bin/bash
.DEFAULT_GOAL := help

DATA_DIR ?= .data
TOOL     := go tool -modfile=tools/go.mod

run: bin ## start PostgreSQL, Redis, NATS, a gateway and two savers; Ctrl-C stops all
	@exec ./bin/savepoint run

demo: bin ## play a small world for 30 s against `make run`, then compare hot and cold
	@test -f $(DATA_DIR)/env || { echo "nothing runs in $(DATA_DIR): start it with 'make run' in another terminal"; exit 1; }
	@./bin/savepoint demo
	@set -a; . $(DATA_DIR)/env; ./bin/saver verify

test: deps ## all tests, on real private servers
	go vet ./...
	go test ./...

race: deps ## the tests with the race detector; needs a C compiler, minutes when cold
	go test -race -shuffle=on ./...

chaos: bin ## break a private system for CHAOS_FOR (60s) while clients play on it; SEED, FAULTS
	@exec ./bin/chaos

bench: bin ## measure everything beside its baselines; SEED, BENCH="--only drain"
	@exec ./bin/bench $(BENCH)

bench-quick: bin ## the same with smaller numbers, in less than two minutes
	@exec ./bin/bench --quick $(BENCH)

check: ## what a change must pass beside the tests: format, lint, generated files
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	@! git grep -nE '^(<{7}|>{7}) ' || { echo 'marks of a merge'; exit 1; }
	go vet ./...
	$(TOOL) staticcheck ./...
	$(TOOL) sqlc diff -f sql/sqlc.yaml
	go mod tidy -diff
	cd tools && go mod tidy -diff
	cd tools && go vet ./... && go test -count=1 ./... && go run ./composecheck ../compose.yaml

generate: ## internal/db from sql/
	$(TOOL) sqlc generate -f sql/sqlc.yaml

bin: deps
	@test -x bin/savepoint || echo "building, about 90 s the first time ..."
	@go build -o bin/ ./cmd/...

deps:
	@sh scripts/deps.sh

reset: bin ## remove the data of `make run`
	@./bin/savepoint reset

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 14

.PHONY: run demo test race chaos bench bench-quick check generate bin deps reset help
