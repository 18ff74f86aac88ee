# Everything runs on a plain Go toolchain; the pinned tools are built into ./bin from the module proxy.

STATICCHECK_VERSION = v0.8.2
GOVULNCHECK_VERSION = v1.8.0

# The Graph SDK takes minutes and gigabytes to compile, and again for each set of build flags. So everything is done
# without it, and what needs it is built, vetted and tested once by itself, without the race detector.
TAGS = -tags noentra

# The race detector needs a C compiler.
RACE ?= $(if $(shell command -v cc || command -v gcc || command -v clang),-race)

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The directory of the demo's company: okta, google, keycloak, or entra, which builds with the Graph SDK.
SOURCE ?= okta

.PHONY: demo
demo: ## show a whole sync against a simulated company, without any account; SOURCE=okta, google, keycloak or entra
	go run $(if $(filter entra,$(SOURCE)),,$(TAGS)) ./cmd/rootly-idp-sync demo --source $(SOURCE)

.PHONY: build
build: ## build the released binary, with every directory, into ./bin
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o bin/ ./cmd/rootly-idp-sync

.PHONY: test
test: ## run the tests, with the race detector where there is a C compiler
	@$(if $(RACE),,echo 'NOTE: no C compiler was found, so the tests run WITHOUT the race detector' >&2)
	go test $(RACE) $(TAGS) ./...
	$(if $(RACE),$(MAKE) lab)
	$(MAKE) entra

# The race detector makes histories several times as slow: under it `go test` runs 100, and the rest is run without it.
N ?= 2000
SEED ?= 1

.PHONY: lab
lab: ## let N random histories under random faults try to break the laws; SEED is the first one
	go test $(TAGS) -count=1 -timeout=10h -run=TestHistories -v ./internal/lab -histories=$(N) -seed=$(SEED)

.PHONY: mutants
mutants: ## show that each mutant of the engine breaks a law; takes minutes
	go test $(TAGS) -count=1 -timeout=2h -run=TestMutants -v ./internal/lab -mutants

.PHONY: test-scim
test-scim: ## run client and cycles against SCIMMY and scim2-server; needs Node, npm and Python; UPDATE=-update rewrites the page
	go vet $(TAGS),realscim ./internal/lab/realscim
	servers=$$(.ci/scim-servers) && SCIM_SERVERS=$$servers go test $(TAGS),realscim -count=1 ./internal/lab/realscim $(UPDATE)

.PHONY: entra
entra: ## build, vet and test what links the Graph SDK; the first time takes minutes
	go vet ./connectors/entra ./cmd/...
	go test ./connectors/entra
	go test -run=Entra ./cmd/...
	go build -o /dev/null ./cmd/...

.PHONY: test-keycloak
test-keycloak: ## test the Keycloak connector against a real server; needs Java and Maven, which fetches it once
	.ci/keycloak

.PHONY: bench
bench: ## run the benchmarks
	go test $(TAGS) -run='^$$' -bench=. -benchmem -timeout=30m ./...
	go test -run='^$$' -bench=. -benchmem -timeout=30m ./connectors/entra

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
