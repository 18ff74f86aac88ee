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
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The directory of the demo's company: okta, google, or entra, which builds with the Graph SDK.
SOURCE ?= okta

.PHONY: demo
demo: ## show a whole sync against a simulated company, without any account; SOURCE=okta, google or entra
	go run $(if $(filter entra,$(SOURCE)),,$(TAGS)) ./cmd/rootly-idp-sync demo --source $(SOURCE)

.PHONY: build
build: ## build the released binary, with every directory, into ./bin
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o bin/ ./cmd/rootly-idp-sync

.PHONY: test
test: ## run the tests, with the race detector where there is a C compiler
	@$(if $(RACE),,echo 'NOTE: no C compiler was found, so the tests run WITHOUT the race detector' >&2)
	go test $(RACE) $(TAGS) ./...
	$(MAKE) entra

.PHONY: entra
entra: ## build, vet and test what links the Graph SDK; the first time takes minutes
	go vet ./connectors/entra ./cmd/...
	go test ./connectors/entra
	go test -run=Entra ./cmd/...
	go build -o /dev/null ./cmd/...

.PHONY: bench
bench: ## run the benchmarks
	go test $(TAGS) -run='^$$' -bench=. -benchmem -timeout=30m ./...
	go test -run='^$$' -bench=. -benchmem -timeout=30m ./connectors/entra

# The page is looked at in a real browser, and axe-core looks for what shuts people out. SHOTS=docs/images also takes the
# pictures of the documentation.
AXE_VERSION = 4.14.1
AXE = .cache/node_modules/axe-core/axe.min.js

.PHONY: test-browser
test-browser: $(AXE) ## test the status page in Chromium, which must be installed, with axe-core from npm
	AXE=$(CURDIR)/$(AXE) SHOTS=$(if $(SHOTS),$(CURDIR)/$(SHOTS)) go test -tags noentra,browser -count=1 -run=Browser ./internal/web

$(AXE):
	npm install --silent --no-save --ignore-scripts --prefix .cache axe-core@$(AXE_VERSION)

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
