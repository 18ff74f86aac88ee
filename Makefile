# Everything runs on a plain Go toolchain; the pinned tools are built into ./bin from the module proxy.

STATICCHECK_VERSION = v0.8.2
GOVULNCHECK_VERSION = v1.8.0

# The Graph SDK takes minutes and gigabytes to compile. Only released binaries have it.
TAGS = -tags noentra

# The race detector needs a C compiler.
RACE ?= $(if $(shell command -v cc || command -v gcc || command -v clang),-race)

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## show a whole sync against a simulated company, without any account
	go run $(TAGS) ./cmd/rootly-idp-sync demo

.PHONY: build
build: ## build the released binary, with every directory, into ./bin
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o bin/ ./cmd/rootly-idp-sync

.PHONY: test
test: ## run the tests, with the race detector where there is a C compiler
	@$(if $(RACE),,echo 'NOTE: no C compiler was found, so the tests run WITHOUT the race detector' >&2)
	go test $(RACE) $(TAGS) ./...

.PHONY: bench
bench: ## run the benchmarks
	go test $(TAGS) -run='^$$' -bench=. -benchmem -timeout=30m ./...

.PHONY: check
check: lint vuln test ## what CI runs, except the demo

.PHONY: lint
lint: fmt vet staticcheck ## check format and code

.PHONY: fmt
fmt: ## list files that gofmt would change, and fail if there are any
	@files=$$(gofmt -l .); if [ -n "$$files" ]; then echo "run gofmt -w on:"; echo "$$files"; exit 1; fi

.PHONY: vet
vet: ## run go vet
	go vet $(TAGS) ./...

.PHONY: staticcheck
staticcheck: ## run staticcheck
	GOBIN=$(CURDIR)/bin go install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION)
	bin/staticcheck $(TAGS) ./...

.PHONY: vuln
vuln: ## look for known vulnerabilities; VULNDB names a copy of the database for use offline
	GOBIN=$(CURDIR)/bin go install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)
	.ci/vuln bin/govulncheck $(TAGS) ./...
