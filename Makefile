# Every command of the project. `make help` explains them; continuous integration runs `make test` and nothing else.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
CLUSTER := e2e/cluster
BIN := target/debug
IMAGES := target/images
BINARIES := toolgate-operator toolgate-gateway kommo-stand-in agent toolgate
VERSION := 0.1.0
# Of the whole workspace, so that what one figure needs is not built in another way for the next.
RELEASE := $(CARGO) build --locked --release --workspace

.PHONY: help
help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^## / {printf "\n%s\n", substr($$0, 4)} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## To see it work

.PHONY: demo
demo: build ## On a real Kubernetes made here: install, apply, call, deny, limit, edit, measure (root, Go; KEEP=1 leaves it up)
	@if [ -n "$${KEEP:-}" ]; then e2e/tests/observability/fetch; fi
	$(BIN)/demo

.PHONY: try
try: ## The same conversation on loopback, in seconds after the build (no root, no Go, no cluster)
	$(CARGO) build --locked -p toolgate-gateway -p toolgate-e2e --bins
	$(BIN)/try

## To work on it

.PHONY: build
build: ## Build every program
	$(CARGO) build --locked --workspace --bins

.PHONY: test
test: ## Everything: style, unit, property, process and cluster tests
	@mkdir -p target
	@# The cluster's programs take longest on a fresh machine, so they are built beside the Rust code.
	@$(CLUSTER)/build > target/cluster-build.log 2>&1 & cluster=$$!; \
	$(MAKE) --no-print-directory lint build; \
	echo "waiting for the cluster's programs (target/cluster-build.log)"; \
	wait $$cluster || { code=$$?; tail -n 20 target/cluster-build.log; [ $$code = 77 ]; }
	e2e/tests/observability/fetch
	e2e/redis/fetch
	e2e/sdks/fetch
	operator/tests/schemas/fetch
	@# What failed is told once more where it is looked for first: at the end.
	@$(CARGO) test --locked --workspace --no-fail-fast 2>&1 | tee target/test.log || \
		{ echo; echo "What failed (the whole output is in target/test.log):"; \
		grep -aE -A1 --no-group-separator '^test .* FAILED$$|^scenario .* (FAILED|NOT RUN)|^thread .* panicked at|^error' target/test.log; exit 1; }

.PHONY: lint
lint: ## Formatting, lints and the project's own laws
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --quiet

.PHONY: fuzz
fuzz: ## Bend messages, event streams and policies at random, a minute for each reader (SECONDS_EACH=60)
	TOOLGATE_FUZZ_SECONDS=$${SECONDS_EACH:-60} $(CARGO) test --locked -p toolgate-gateway --test fuzz -- --nocapture --test-threads=1

.PHONY: generate
generate: ## Write the manifests anew from the types
	$(CARGO) test --locked -p toolgate-crds --test generated || $(CARGO) test --locked -p toolgate-crds --test generated

.PHONY: bench
bench: ## What a call costs beside nginx and Envoy (fetched into target/bench), in tables and target/bench/report.json
	e2e/src/bench/fetch
	e2e/redis/fetch
	$(RELEASE) --bin toolgate-gateway --bin bench
	target/release/bench

.PHONY: pictures
pictures: build ## Draw the dashboards anew, from a load on a real cluster, with Grafana's own panels (root, Go, node, Chromium)
	e2e/tests/observability/fetch
	e2e/redis/fetch
	e2e/pictures/fetch
	$(BIN)/pictures

.PHONY: bench-operator
bench-operator: ## What the operator costs with 10,000 policies, before an API server in memory: JSON on stdout (REST=300 seconds)
	$(RELEASE) --bin toolgate-operator --bin bench-operator
	target/release/bench-operator --rest $${REST:-300}

.PHONY: bench-cluster
bench-cluster: ## What edits, new servers, rolling updates and rest take on a real Kubernetes made here: JSON on stdout (root, Go)
	e2e/redis/fetch
	$(RELEASE) --bin bench-cluster $(addprefix --bin ,$(BINARIES))
	E2E_PROGRAMS=$(CURDIR)/target/release target/release/bench-cluster --rest $${REST:-300}

.PHONY: deny
deny: ## Licences, advisories and banned crates (installs cargo-deny if it is not there)
	command -v cargo-deny > /dev/null || $(CARGO) install --locked cargo-deny@0.20.2
	$(CARGO) deny check

## Images and the local Kubernetes

.PHONY: images
images: build ## Image archives without an engine, in target/images (the Dockerfile is for those who have one)
	@mkdir -p $(IMAGES)
	@for binary in toolgate-operator toolgate-gateway kommo-stand-in agent; do \
		$(CLUSTER)/image "localhost/$$binary:$(VERSION)" "$(IMAGES)/$$binary.tar" "$(BIN)/$$binary"; \
	done

.PHONY: cluster
cluster: ## Start the disposable local Kubernetes (builds its programs the first time)
	$(CLUSTER)/up

.PHONY: cluster-down
cluster-down: ## Stop it and leave nothing behind
	$(CLUSTER)/down

.PHONY: cluster-check
cluster-check: ## Prove that the local Kubernetes does what the tests need
	$(CLUSTER)/check

.PHONY: clean
clean: ## Remove what was built, the cluster's programs included
	$(CLUSTER)/down
	$(CARGO) clean
	rm -rf $(CLUSTER)/.cache
