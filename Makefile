# Everything runs on a plain Go toolchain; the pinned tools are built into ./bin from the module proxy.

STATICCHECK_VERSION = v0.8.2
GOVULNCHECK_VERSION = v1.8.0
ACTIONLINT_VERSION = v1.7.12
HELM_VERSION = v3.22.0
GORELEASER_VERSION = v2.15.0
SYFT_VERSION = v1.52.0
PROMETHEUS_VERSION = v0.310.0

# These take minutes to compile, so that they outlive this folder.
CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/rootly-idp-sync/bin
HELM = $(CACHE)/helm-$(HELM_VERSION)
GORELEASER = $(CACHE)/goreleaser-$(GORELEASER_VERSION)
SYFT = $(CACHE)/syft-$(SYFT_VERSION)/syft
PROMTOOL = $(CACHE)/promtool-$(PROMETHEUS_VERSION)

# The Graph SDK takes minutes and gigabytes to compile, and again for each set of build flags. So everything is done
# without it, and what needs it is built, vetted and tested once by itself, without the race detector.
TAGS = -tags noentra

# The race detector needs a C compiler.
RACE ?= $(if $(shell command -v cc || command -v gcc || command -v clang),-race)

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The directory of the demo's company: okta, google, keycloak, or entra, which builds with the Graph SDK.
SOURCE ?= okta

.PHONY: demo
demo: ## show a whole sync against a simulated company, without any account; SOURCE=okta, google, keycloak or entra
	go run $(if $(filter entra,$(SOURCE)),,$(TAGS)) ./cmd/rootly-idp-sync demo --source $(SOURCE)

.PHONY: build
build: ## build the released binary, with every directory, into ./bin
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o bin/ ./cmd/rootly-idp-sync

# These take longest and are begun first, so that no processor idles at the end.
SLOWEST = ./cmd/... ./reconcile ./internal/store ./internal/app

.PHONY: test
test: ## run the tests, with the race detector where there is a C compiler
	@$(if $(RACE),,echo 'NOTE: no C compiler was found, so the tests run WITHOUT the race detector' >&2)
	go test $(RACE) $(TAGS) -timeout=20m $(SLOWEST) ./...
	$(MAKE) lab crashes
	$(MAKE) entra

# `go test` runs 200 histories and crashes at one in eleven boundaries. `make test` does all of both, without the race
# detector, which makes them several times as slow.
N ?= 2000
SEED ?= 1

.PHONY: lab
lab: ## let N random histories under random faults try to break the laws; SEED is the first one
	go test $(TAGS) -count=1 -timeout=10h -run=TestHistories -v ./internal/lab -histories=$(N) -seed=$(SEED)

.PHONY: crashes
crashes: ## let a run crash at every boundary between the process and the world
	go test $(TAGS) -count=1 -timeout=1h -run=ACrashAnywhere ./internal/app -boundary=1

.PHONY: mutants
mutants: ## show that each mutant of the engine breaks a law; takes minutes
	go test $(TAGS) -count=1 -timeout=2h -run=TestMutants -v ./internal/lab -mutants

# How long each target is fuzzed. CI gives each of the 23 of them 20 s, so that they take about eight minutes together. Compiling
# comes on top: everything is compiled once more with the fuzzer's counters, which takes minutes the first time.
FUZZTIME ?= 20s

.PHONY: fuzz
fuzz: ## fuzz every target for FUZZTIME, one after another; PKG=./config and TARGET=FuzzLoad choose
	.ci/fuzz $(FUZZTIME) $(or $(PKG),./...) $(or $(TARGET),Fuzz)

# 200,000 people in 10,000 groups with 2,000,000 memberships, in 4 GB.
PEOPLE ?= 200000
TEAMS ?= 10000

.PHONY: load
load: ## measure cycles of the largest company that is promised; takes the better part of an hour; PEOPLE and TEAMS make it smaller
	go test $(TAGS) -count=1 -timeout=5h -run='TestLoad$$' -v ./cmd/rootly-idp-sync -people=$(PEOPLE) -teams=$(TEAMS) -memory=4096

CYCLES ?= 2000

.PHONY: soak
soak: ## run the daemon through 55 days in CYCLES cycles, which must not make it grow; takes minutes
	go test $(TAGS) -count=1 -timeout=5h -run=TestSoak -v ./internal/app -cycles=$(CYCLES)

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

.PHONY: test-kubernetes
test-kubernetes: ## hold failover and the manifests against a real Kubernetes API server, which the first run builds in minutes
	KUBE_APISERVER=$$(deploy/kubetest/build) && export KUBE_APISERVER && \
	go -C deploy/kubetest vet ./... && go -C deploy/kubetest test -count=1 -timeout=30m -parallel=4 ./...

.PHONY: bench
bench: ## run the benchmarks
	go test $(TAGS) -run='^$$' -bench=. -benchmem -timeout=30m ./...
	go test -run='^$$' -bench=. -benchmem -timeout=30m ./connectors/entra

.PHONY: start
start: ## measure ten starts of the real program, and the memory of a replica that stands by; TAGS= with the Graph SDK
	CGO_ENABLED=0 go build $(TAGS) -trimpath -ldflags='-s -w' -o bin/ ./cmd/rootly-idp-sync
	BINARY=$(CURDIR)/bin/rootly-idp-sync go test -tags noentra,start -count=1 -v ./deploy/start

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
check: verify lint vuln licences cross test ## what CI runs, except fuzzing and the demo

.PHONY: lint
lint: fmt vet staticcheck actionlint ## check format, code and workflows

.PHONY: fmt
fmt: ## list files that gofmt would change, and fail if there are any
	@files=$$(gofmt -l .); if [ -n "$$files" ]; then echo "run gofmt -w on:"; echo "$$files"; exit 1; fi

.PHONY: vet
vet: ## run go vet, also on the tests that have a target of their own
	go vet $(TAGS) ./...
	go vet $(TAGS),browser,helm,keycloak,realscim,start ./connectors/keycloak ./deploy/... ./internal/lab/realscim ./internal/web

.PHONY: staticcheck
staticcheck: ## run staticcheck
	GOBIN=$(CURDIR)/bin go install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION)
	bin/staticcheck $(TAGS) ./...

.PHONY: vuln
vuln: ## look for known vulnerabilities; VULNDB names a copy of the database for use offline
	GOBIN=$(CURDIR)/bin go install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)
	.ci/vuln bin/govulncheck $(TAGS) ./...

.PHONY: verify
verify: ## see that the modules are those of go.sum, unchanged since they were downloaded
	go mod verify

.PHONY: licences
licences: ## hold THIRD_PARTY_LICENSES.md to what is linked, and every licence to those agreed; UPDATE=1 writes it anew
	go run ./internal/licences $(if $(UPDATE),,-check)

.PHONY: actionlint
actionlint: ## check the workflows
	GOBIN=$(CURDIR)/bin go install github.com/rhysd/actionlint/cmd/actionlint@$(ACTIONLINT_VERSION)
	bin/actionlint -shellcheck= -pyflakes=

SYSTEMS = windows/amd64 darwin/arm64

.PHONY: cross
cross: ## compile for the other systems of a release
	for s in $(SYSTEMS); do GOOS=$${s%/*} GOARCH=$${s#*/} CGO_ENABLED=0 go build $(TAGS) -o /dev/null ./cmd/rootly-idp-sync || exit 1; done

.PHONY: test-helm
test-helm: $(HELM) ## lint and render the chart; UPDATE=-update writes the renderings anew
	HELM=$(HELM) go test -count=1 -tags 'noentra helm' ./deploy $(UPDATE)

.PHONY: test-alerts
test-alerts: $(PROMTOOL) ## check the alert rules, and see each of them fire
	$(PROMTOOL) check rules deploy/monitoring/alerts.yaml
	$(PROMTOOL) test rules deploy/monitoring/alerts_test.yaml

.PHONY: test-units
test-units: ## check the systemd units, and how much their sandbox leaves open
	CGO_ENABLED=0 go build $(TAGS) -o bin/ ./cmd/rootly-idp-sync
	deploy/systemd/test bin/rootly-idp-sync

.PHONY: test-image
test-image: ## build the image twice and run it, as root; TAGS= builds it with the Graph SDK
	TAGS='$(subst -tags ,-tags=,$(TAGS))' deploy/image/test

# GoReleaser looks for syft in PATH, and asks git for a remote, which a copy of this folder may lack.
RELEASE = PATH="$(dir $(SYFT)):$$PATH" TAGS=$(lastword $(TAGS)) $(if $(shell git remote),,GIT_CONFIG_COUNT=1 \
  GIT_CONFIG_KEY_0=remote.origin.url GIT_CONFIG_VALUE_0=https://github.com/rootly-idp-sync/rootly-idp-sync) $(GORELEASER)

.PHONY: snapshot
snapshot: $(GORELEASER) $(SYFT) ## build what a release has into ./dist, and look into it; TAGS= with the Graph SDK too
	$(RELEASE) release --snapshot --clean --skip=publish,sign --timeout=3h $(ARGS)
	deploy/packages/test dist

# GoReleaser releases for all platforms or none, so this one's is the only one in a copy of the description.
NATIVE = bin/goreleaser-native.yaml

.PHONY: snapshot-check
snapshot-check: $(GORELEASER) ## check the description of a release, build what it has for this machine, and look into it
	$(RELEASE) check
	mkdir -p bin && sed 's/^    goos: .*/    goos: ['$$(go env GOOS)']/; s/^    goarch: .*/    goarch: ['$$(go env GOARCH)']/' .goreleaser.yaml >$(NATIVE)
	$(RELEASE) release --config $(NATIVE) --snapshot --clean --skip=publish,sign$(if $(wildcard $(SYFT)),,$(comma)sbom) $(ARGS)
	deploy/packages/test dist

comma = ,

# Where TOOL, such as HELM, is or will be.
.PHONY: tool
tool:
	@echo '$($(TOOL))'

$(HELM):
	GOBIN=$(CACHE) go install helm.sh/helm/v3/cmd/helm@$(HELM_VERSION)
	mv $(CACHE)/helm $@

$(GORELEASER):
	GOBIN=$(CACHE) go install github.com/goreleaser/goreleaser/v2@$(GORELEASER_VERSION)
	mv $(CACHE)/goreleaser $@

$(SYFT):
	GOBIN=$(dir $@) go install github.com/anchore/syft/cmd/syft@$(SYFT_VERSION)

# Its go.mod replaces nothing, but go install takes only what its own go.sum knows: so a module of its own builds it.
$(PROMTOOL):
	rm -rf $@.build && mkdir -p $@.build
	cd $@.build && go mod init promtool && go get -tool github.com/prometheus/prometheus/cmd/promtool@$(PROMETHEUS_VERSION) && \
	  CGO_ENABLED=0 go build -p 1 -trimpath -ldflags='-s -w' -o $@ github.com/prometheus/prometheus/cmd/promtool
	rm -rf $@.build
