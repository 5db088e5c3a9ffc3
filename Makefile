# Each target installs what it needs; `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
export PATH := $(HOME)/.cargo/bin:$(PATH)

BINDING := node-binding
ADDON := $(BINDING)/native/fasttunnel.linux-$(if $(filter aarch64,$(shell uname -m)),arm64,x64)-gnu.node
PACKAGES := $(BINDING)/node_modules/.package-lock.json
DIST := $(BINDING)/dist/.built
TYPESCRIPT := $(shell find $(BINDING)/lib -name '*.ts' 2>/dev/null) $(BINDING)/tsconfig.json $(BINDING)/scripts/build.mjs
QUICKSTART := examples/quickstart
RUNNER_APP := examples/runner-app
FILES := examples/files
PREVIEW_PROXY := examples/preview-proxy
PEERS := loadtest/peers
RUNTIMES := $(BINDING)/test/runtimes
CHROMIUM ?= chromium-headless-shell
TEST_RUNNERS := $(BINDING)/test/runners
OPENTELEMETRY := $(BINDING)/test/opentelemetry
API := scripts/api
PACKAGING := $(BINDING)/packaging
PACKAGING_TOOLS := $(PACKAGING)/node_modules/.package-lock.json
ZIG := target/packages/python/.installed

# npm and cargo are the two things that cannot be installed from here.
define need
	@command -v $(1) >/dev/null || { echo "$(1) is missing: $(2)" >&2; exit 1; }
endef
NEED_CARGO = $(call need,cargo,install Rust from https://rustup.rs)
NEED_NODE = $(call need,npm,install Node.js 20.3 or newer from https://nodejs.org)

# Builds the addon with cargo profile $(1), whose output folder is $(2), and puts it in place when it has changed. $(3)
# are more options of cargo's.
# By rename, because a running process may have the old file mapped.
define addon
	cargo build --locked --package fasttunnel-node --profile $(1) $(3)
	@mkdir -p $(dir $(ADDON))
	@cmp -s target/$(2)/libfasttunnel_node.so $(ADDON) || { cp target/$(2)/libfasttunnel_node.so $(ADDON).new && mv $(ADDON).new $(ADDON); }
endef

.PHONY: help
help: ## List the targets
	@echo "fasttunnel: HTTP tunnel engine for Node.js on Linux"
	@echo
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/\1|\2/' | while IFS='|' read -r name what; do printf '  make %-14s %s\n' "$$name" "$$what"; done

.PHONY: run
run: build $(QUICKSTART)/node_modules/fasttunnel ## Build for release, start examples/quickstart, show a call and its answer (PORT=7070)
	@node $(QUICKSTART)/demo.mjs

.PHONY: build
build: $(DIST) ## Build for this machine: the addon as a release, and the TypeScript
	$(NEED_CARGO)
	$(call addon,release,release)

.PHONY: build-debug
build-debug: $(DIST) ## Build for a debugger: the addon without optimisation, with debug information and checks
	$(NEED_CARGO)
	$(call addon,dev,debug)

.PHONY: build-test
build-test: $(DIST) ## Build what the JS tests run against: quicker to build, and with a way to end a shard
	$(NEED_CARGO)
	$(call addon,quick,quick,--features fault-injection)

# An addon is linked by zig, for the oldest glibc or for musl; TARGETS is host, all, or names of napi.targets without their
# vendor (linux-x64-gnu,linux-arm64-musl). Debug information goes into packages/debug.
TARGETS := host
.PHONY: pack
pack: $(DIST) $(PACKAGING_TOOLS) $(ZIG) ## Build, pack and check what is published, into node-binding/packages (TARGETS=all for every platform)
	$(NEED_CARGO)
	@node $(PACKAGING)/addons.mjs $(TARGETS)
	@node $(PACKAGING)/pack.mjs $(TARGETS)

.PHONY: pack-test
pack-test: pack ## Install the packages with npm, pnpm and yarn into empty folders, and run README's examples there
	cd $(BINDING) && node --test --test-reporter=spec test/packages.test.mjs

# With Node from npm and PyPI, qemu and libraries from Debian. qemu has no io_uring.
.PHONY: try
try: $(PACKAGES) $(ZIG) ## Run calls, streams and forms on packages that are there, each on a Node of its platform (TARGETS=all)
	@node $(PACKAGING)/try.mjs $(TARGETS)

.PHONY: try-arm64
try-arm64: ## Pack for arm64, and run calls, streams and forms on it under qemu
	@$(MAKE) pack try TARGETS=linux-arm64-gnu,linux-arm64-musl

.PHONY: try-musl
try-musl: ## Pack for x64 with musl, and run calls, streams and forms on it on a Node of musl
	@$(MAKE) pack try TARGETS=linux-x64-musl

# The steps of .github/workflows/release.yml.
.PHONY: release-check
release-check: ## Check that TAG=v1.2.3, both manifests and the change log are of one version
	@node $(PACKAGING)/release.mjs check $(TAG)

.PHONY: release-notes
release-notes: ## Print what the change log says of this version
	@node $(PACKAGING)/release.mjs notes

.PHONY: publish
publish: ## Publish the packages that are there, from the release workflow (ARGS=--dry-run elsewhere)
	@node $(PACKAGING)/release.mjs publish $(ARGS)

# Builds, and what only shows that something works, run beside each other: none of it measures.
.PHONY: test
test: $(DIST) ## Run all tests, of Rust and of JS
	@$(MAKE) test-rust
	@scripts/beside.sh "$(MAKE) loom bench-smoke build-test" "$(MAKE) fuzz-smoke pack"
	@$(MAKE) test-js -o build-test -o pack

.PHONY: test-rust
test-rust: ## Run the Rust tests
	$(NEED_CARGO)
	@command -v cargo-nextest >/dev/null || cargo install --locked cargo-nextest
	cargo nextest run --locked --workspace

# A target folder of its own: the whole crate is built with another cfg.
.PHONY: loom
loom: ## Model-check the code that crosses threads: every interleaving of a few steps
	$(NEED_CARGO)
	RUSTFLAGS="--cfg loom" cargo test --locked --package fasttunnel-engine --test loom_doorbell --test loom_link --test loom_callers --profile quick --target-dir target/loom

# Which files run beside each other, and which run twice, scripts/test.mjs says.
.PHONY: test-js
test-js: build-test pack $(RUNNER_APP)/node_modules/fasttunnel $(FILES)/node_modules/fasttunnel $(PREVIEW_PROXY)/node_modules/fasttunnel $(RUNTIMES)/node_modules/.package-lock.json $(TEST_RUNNERS)/node_modules/.package-lock.json $(OPENTELEMETRY)/node_modules/.package-lock.json ## Run the JS tests, on io_uring and on epoll
	cd $(BINDING) && npm test --silent

.PHONY: lint
lint: $(DIST) $(PACKAGING_TOOLS) $(API)/node_modules/.package-lock.json deny ## Check formatting, clippy, doc comments, types, dependencies, that the pure modules are pure and that both languages state the same
	$(NEED_CARGO)
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked --package fasttunnel-node -- -D warnings # what ships: without what only tests switch on
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet
	cd $(BINDING) && npm run --silent typecheck
	cargo test --locked --package fasttunnel-engine --test purity
	node scripts/security-table.mjs
	$(call facts,--check)
	node $(API)/generate.mjs --check
	node $(PACKAGING)/addon-types.mjs --check

.PHONY: addon-types
addon-types: $(PACKAGING_TOOLS) ## Write the types of what the addon exports, which `make lint` compares
	$(NEED_CARGO)
	node $(PACKAGING)/addon-types.mjs

# What the engine, TypeScript and docs/ all say is stated in Rust; $(1) goes before the files' names.
define facts
	cargo run --locked --quiet --package fasttunnel-engine --example facts -- $(1) $(BINDING)/lib/facts/facts.generated.ts docs/options.md
endef

.PHONY: facts
facts: ## Write what TypeScript and the tables in docs/ say of the engine's constants, which `make lint` compares
	$(NEED_CARGO)
	$(call facts)

.PHONY: api
api: $(DIST) $(API)/node_modules/.package-lock.json ## Write the reference of the package, docs/api, from its types, which `make lint` compares
	node $(API)/generate.mjs

# Two minutes to install, once.
.PHONY: deny
deny: ## Check licences, bans and sources of the crates (deny.toml)
	$(NEED_CARGO)
	@command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	cargo deny --log-level warn check bans licenses sources
	cargo deny --manifest-path fuzz/Cargo.toml --config deny.toml --log-level warn check bans sources

# Not a part of lint: what it says changes without a commit, and it needs two servers that not every network reaches.
.PHONY: audit
audit: $(PACKAGES) ## Ask for known vulnerabilities of the crates and packages, where the databases can be reached
	@command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	@node scripts/audit.mjs

.PHONY: bench
bench: ## Run the benchmarks (minutes; BENCH=hop for those with that name)
	$(NEED_CARGO)
	cargo bench --locked --package fasttunnel-benches -- $(BENCH)

# The addon's sources with benches in them, for which there is no switch in what ships. Builds them with cargo profile $(1).
define bench-addon
	$(NEED_CARGO)
	cargo build --locked --package fasttunnel-node-benches --profile $(1)
	@cp target/$(1)/libfasttunnel_node_benches.so target/$(1)/fasttunnel_node_benches.node.new && mv target/$(1)/fasttunnel_node_benches.node.new target/$(1)/fasttunnel_node_benches.node
endef

.PHONY: bench-addon
bench-addon: $(DIST)
	$(call bench-addon,release)

.PHONY: bench-bridge
bench-bridge: bench-addon ## Measure the bridge alone: calls a second through a JS handler, without network
	node benches/node/bridge.mjs

# sslyze comes from PyPI, testssl from Debian. Not a test: it takes a virtual environment of 60 MB and minutes.
SSLYZE := target/sslyze/.installed
.PHONY: tls-scan
tls-scan: build-test $(SSLYZE) ## Scan a tunnel under TLS by sslyze and testssl: versions, ciphers, renegotiation, known attacks; nothing below A (5 minutes)
	@command -v testssl >/dev/null || $(if $(filter 0,$(shell id -u)),,sudo -n) apt-get install -y --no-install-recommends testssl.sh bsdmainutils >/dev/null || echo "testssl is not installed (Debian: testssl.sh): sslyze alone scans"
	node scripts/tls-scan.mjs $(dir $(SSLYZE))bin/sslyze $$(command -v testssl)

.PHONY: browser
browser: build-test $(RUNTIMES)/node_modules/.package-lock.json ## Try the client for browsers in Chromium (CHROMIUM=program; Debian's package chromium-headless-shell has one)
	@command -v $(CHROMIUM) >/dev/null || { echo "no $(CHROMIUM): apt-get install chromium-headless-shell, or make browser CHROMIUM=program"; exit 1; }
	node $(BINDING)/test/browser/chromium.mjs $(CHROMIUM)

.PHONY: dashboard
dashboard: build-test ## Look at the dashboard in Chromium: light, dark, on a phone, while JavaScript is blocked (CHROMIUM=program; skipped without one)
	@if command -v $(CHROMIUM) >/dev/null; then node $(BINDING)/test/browser/dashboard.mjs $(CHROMIUM); \
	else echo "skipped: no $(CHROMIUM): apt-get install chromium-headless-shell, or make dashboard CHROMIUM=program"; fi

SCREENSHOT := target/preview.png
.PHONY: preview
preview: build-test $(RUNTIMES)/node_modules/.package-lock.json ## Show pages that Vite serves in Chromium, through the proxy, with hot reload (CHROMIUM=program; leaves SCREENSHOT=target/preview.png)
	@command -v $(CHROMIUM) >/dev/null || { echo "no $(CHROMIUM): apt-get install chromium-headless-shell, or make preview CHROMIUM=program"; exit 1; }
	cd $(BINDING) && CHROMIUM=$(CHROMIUM) SCREENSHOT=$(abspath $(SCREENSHOT)) node --test --test-reporter=spec test/preview.test.mjs

.PHONY: bench-client
bench-client: build ## Compare fasttunnel/client with undici, fetch and Runner's clients, in turns (5 minutes; ARGS='--case client-1 --socket')
	node $(BINDING)/bench/client.mjs $(ARGS)

.PHONY: bench-observe
bench-observe: build $(OPENTELEMETRY)/node_modules/.package-lock.json ## Measure what tracing and the access log cost a call (2 minutes)
	node $(BINDING)/bench/observe.mjs

.PHONY: bench-wake
bench-wake: bench-addon ## Measure how long a ring on a foreign thread takes to its callback in JS
	node benches/node/wake.mjs

.PHONY: bench-v8
bench-v8: ## Measure V8's JSON.parse over the bodies that `make bench BENCH=json` checks
	node benches/node/json.mjs

# Rust unoptimised: it only shows that they work.
.PHONY: bench-smoke
bench-smoke: $(DIST) ## Run each benchmark once
	$(NEED_CARGO)
	cargo bench --locked --package fasttunnel-benches --profile dev -- --test
	$(call bench-addon,quick)
	@for bench in bridge wake json; do node benches/node/$$bench.mjs --smoke >/dev/null && echo "benches/node/$$bench.mjs: ok" || exit 1; done

# Not a test: on a busy machine chance alone goes beyond its bound now and then.
.PHONY: timing
timing: build ## Measure whether the time of a refusal tells what is wrong with a token or with the proxy's credentials (a minute)
	cargo run --locked --release --quiet --package fasttunnel-engine --example token_timing
	node $(BINDING)/bench/token-timing.mjs

# What `make compare` and `make wrk` measure with, and what they measure: everything as it ships.
.PHONY: instruments
instruments: build $(PEERS)/node_modules/.package-lock.json
	cargo build --locked --release --package fasttunnel-loadtest --bin loadtest
	cargo build --locked --release --package fasttunnel-engine --example ceiling

.PHONY: compare
compare: instruments ## Compare with other servers under every load (half an hour; OUT=folder ARGS='--cases add-64 --rounds 3')
	@command -v h2load >/dev/null || $(if $(filter 0,$(shell id -u)),,sudo -n) apt-get install -y --no-install-recommends nghttp2-client >/dev/null || true
	target/release/loadtest compare --out $(or $(OUT),loadtest/results) $(ARGS)

.PHONY: compare-smoke
compare-smoke: build-test ## Run a comparison of node:http and ours that is too short to mean anything
	cargo build --locked --profile quick --package fasttunnel-loadtest --bin loadtest
	target/quick/loadtest compare --peers node,ours --cases add-64 --rounds 1 --duration-s 0.3 --warmup-s 0.2 $(ARGS)

.PHONY: wrk
wrk: instruments ## Compare by wrk (a quarter of an hour; ARGS='--client both' adds loadtest and what each of them costs)
	@command -v wrk >/dev/null || $(if $(filter 0,$(shell id -u)),,sudo -n) apt-get install -y --no-install-recommends wrk >/dev/null || true
	@if command -v wrk >/dev/null; then \
		target/release/loadtest compare --client wrk --cases add-64,add-64x16,add-1,add-512,echo-10k $(if $(OUT),--out $(OUT)) $(ARGS); \
	else echo "skipped: wrk is not installed, and apt-get could not install it"; fi

# HOLD is how long a slow client is watched; by their defaults node:http cuts some after 90 s, nginx after 75.
HOLD := 40
.PHONY: attacks
attacks: build ## Attack node:http, nginx and the tunnel alike, and tinyproxy and the proxy, show what became of it (about 20 minutes; OUT=file)
	@node loadtest/attacks/run.mjs --hold $(HOLD) $(if $(OUT),--out $(OUT))
	@node loadtest/attacks/proxies.mjs --hold $(HOLD) $(if $(OUT),--out $(basename $(OUT))-proxies.md)

.PHONY: overload
overload: instruments ## Call node:http and the tunnel three times as often as they can answer (5 minutes; ARGS='--servers fasttunnel:inline --tasks spin-1ms')
	@node loadtest/overload/run.mjs $(ARGS)

# As ever, `ARGS='--rounds 1 --duration-s 1'` is too short to mean anything.
.PHONY: bench-workers
bench-workers: instruments ## Compare one event loop, workers and node:cluster under handlers that compute (4 minutes; ARGS='--workers 4')
	@node loadtest/workers/run.mjs $(ARGS)

# Nothing else should run on the machine. `ARGS='--rounds 1 --duration-s 0.5'` only shows that it works.
.PHONY: bench-placements
bench-placements: instruments ## Compare inline, threads and other servers on one core and on two (12 minutes; ARGS='--cores one --servers inline,node')
	@node loadtest/placements/run.mjs $(ARGS)

# tinyproxy, nginx and h2load come from Debian.
.PHONY: bench-proxy
bench-proxy: build $(PEERS)/node_modules/.package-lock.json ## Compare the proxy with proxy-chain, http-proxy-3 and tinyproxy, in turns, as Markdown (a quarter of an hour; ARGS='--rounds 3 --cores one')
	cargo build --locked --release --package fasttunnel-loadtest --bin loadtest
	@node loadtest/proxies/run.mjs $(ARGS)

# Short in `make test` already; here again and again, with the machine's own tools.
ROUNDS := 10
.PHONY: faults
faults: build-test ## Inject faults for ten minutes: failing shards, no descriptors, full disks, stops, clock jumps, killed peers (ROUNDS=10)
	$(NEED_CARGO)
	for round in $$(seq $(ROUNDS)); do \
		cargo nextest run --locked --package fasttunnel-engine --test failing_shards --test descriptors --test gone && \
		(cd $(BINDING) && node --expose-gc --test --test-concurrency=1 test/faults.test.mjs test/failing-shards.test.mjs test/driver.test.mjs) || exit 1; \
	done

# See loadtest/soak/README.md. The seed is printed; SEED=n repeats a run.
MINUTES := 30
.PHONY: soak
soak: build ## Mixed traffic for MINUTES=30, every answer checked and every call counted (SEED=, DRIVER=io_uring, SHARDS=2)
	@node loadtest/soak/run.mjs --minutes $(MINUTES) --driver $(or $(DRIVER),auto) --shards $(or $(SHARDS),2) $(if $(SEED),--seed $(SEED))

# See loadtest/proxy-soak/README.md. The seed is printed; SEED=n repeats a run.
.PHONY: proxy-soak
proxy-soak: MINUTES := 10
proxy-soak: build ## Mixed traffic through the proxy for MINUTES=10, every answer checked and every request counted (SEED=, DRIVER=io_uring, SHARDS=2)
	@node loadtest/proxy-soak/run.mjs --minutes $(MINUTES) --driver $(or $(DRIVER),auto) --shards $(or $(SHARDS),2) $(if $(SEED),--seed $(SEED))

# Both drivers, unless DRIVER= is given. Ends with what its clients know and what the handlers did.
RESTARTS := 20
CALLS := 100000
.PHONY: restarts
restarts: build ## Restart a server by SIGTERM under load, and count that no call is lost (a minute; RESTARTS=20 CALLS=100000 DRIVER=, HANDED=1: the next process takes the socket over)
	@node loadtest/restarts/run.mjs --restarts $(RESTARTS) --calls $(CALLS) $(if $(DRIVER),--driver $(DRIVER)) $(if $(HANDED),--handed)

# In a network namespace, with HAProxy of Debian. See loadtest/fleet/README.md.
.PHONY: fleet
fleet: build ## Run three tunnels behind HAProxy, restart, kill, cut off, halt and overload them under load, account for every call (4 minutes; CALLS=100000 RATE=1200 OUT=folder)
	@node loadtest/fleet/run.mjs --calls $(CALLS) --rate $(or $(RATE),1200) $(if $(OUT),--out $(OUT))

.PHONY: fleet-growth
fleet-growth: instruments ## Compare 1, 2 and 3 tunnels behind HAProxy with one alone (2 minutes; OUT=file ARGS='--rounds 5')
	@node loadtest/fleet/growth.mjs $(if $(OUT),--out $(OUT)) $(ARGS)

# The schemas come with kubernetes-validate, from PyPI: a virtual environment of 150 MB. What HAProxy, nginx and systemd read,
# the tests check.
KUBERNETES := target/kubernetes/.installed
.PHONY: manifests
manifests: $(KUBERNETES) ## Check deploy/kubernetes.yaml by the schemas of Kubernetes
	@$(dir $(KUBERNETES))bin/kubernetes-validate --strict deploy/kubernetes.yaml

# Half a minute to install, once.
.PHONY: h2-conformance
h2-conformance: build-test ## Run the cases of httpwg-cli (RFC 9113) on both drivers; those that may fail are named in scripts/
	$(NEED_CARGO)
	@[ -x target/tools/bin/httpwg ] || CARGO_TARGET_DIR=target/tools-build cargo install --locked httpwg-cli --version 0.2.5 --root target/tools
	@for driver in io_uring epoll; do node scripts/h2-conformance.mjs $$driver || exit 1; done

# Coverage-guided, see fuzz/README.md.
SECONDS := 30
.PHONY: fuzz
fuzz: ## Fuzz each parser for SECONDS=30 seconds
	$(NEED_CARGO)
	$(NEED_NODE)
	fuzz/run.sh $(SECONDS)

.PHONY: fuzz-smoke
fuzz-smoke: ## Fuzz each parser for five seconds
	@$(MAKE) fuzz SECONDS=5

.PHONY: clean
clean: ## Remove everything that was built or installed here
	rm -rf target fuzz/target fuzz/corpus fuzz/artifacts $(BINDING)/dist $(BINDING)/native $(BINDING)/node_modules $(BINDING)/packages $(PACKAGING)/node_modules $(QUICKSTART)/node_modules $(RUNNER_APP)/node_modules $(FILES)/node_modules $(PREVIEW_PROXY)/node_modules $(PEERS)/node_modules $(RUNTIMES)/node_modules $(TEST_RUNNERS)/node_modules $(OPENTELEMETRY)/node_modules $(API)/node_modules

$(PACKAGES): $(BINDING)/package.json $(BINDING)/package-lock.json
	$(NEED_NODE)
	npm --prefix $(BINDING) ci --no-audit --no-fund
	@touch $@

# Programs are started from the packages that hold them: no install script has to run. What is missing afterwards is
# left out of the comparison.
$(PEERS)/node_modules/.package-lock.json: $(PEERS)/package.json $(PEERS)/package-lock.json
	$(NEED_NODE)
	npm --prefix $(PEERS) ci --ignore-scripts --no-audit --no-fund && touch $@ || echo "the servers from npm could not be installed" >&2

# What the tests try the package on: Bun, Deno, other versions of Node, bundlers (1 GB). Not a part of $(PACKAGES), which
# users of a checkout install to build; the test runners of docs/testing.md; and the SDK of OpenTelemetry. What cannot be installed fails here.
$(RUNTIMES)/node_modules/.package-lock.json $(TEST_RUNNERS)/node_modules/.package-lock.json $(OPENTELEMETRY)/node_modules/.package-lock.json: %/node_modules/.package-lock.json: %/package.json %/package-lock.json
	$(NEED_NODE)
	npm --prefix $* ci --ignore-scripts --no-audit --no-fund
	@ln -sfn ../../.. $*/node_modules/fasttunnel
	@touch $@

$(API)/node_modules/.package-lock.json: $(API)/package.json $(API)/package-lock.json
	$(NEED_NODE)
	npm --prefix $(API) ci --ignore-scripts --no-audit --no-fund
	@touch $@

$(PACKAGING_TOOLS): $(PACKAGING)/package.json $(PACKAGING)/package-lock.json
	$(NEED_NODE)
	npm --prefix $(PACKAGING) ci --ignore-scripts --no-audit --no-fund
	@touch $@

$(SSLYZE):
	$(call need,python3,sslyze is installed by it, from PyPI)
	python3 -m venv $(dir $@)
	$(dir $@)bin/pip install --quiet --disable-pip-version-check --only-binary=:all: --no-binary=sslyze sslyze==6.3.1
	@touch $@

$(KUBERNETES):
	$(call need,python3,kubernetes-validate is installed by it, from PyPI)
	python3 -m venv $(dir $@)
	$(dir $@)bin/pip install --quiet --disable-pip-version-check --only-binary=:all: kubernetes-validate==1.37.0
	@touch $@

$(ZIG): $(PACKAGING)/requirements.txt
	$(call need,python3,zig and cargo-zigbuild are installed by it, from PyPI)
	python3 -m venv $(dir $@)
	$(dir $@)bin/pip install --quiet --disable-pip-version-check --require-hashes --only-binary=:all: --requirement $<
	@touch $@

$(DIST): $(PACKAGES) $(TYPESCRIPT)
	cd $(BINDING) && node scripts/build.mjs
	@touch $@

# What `npm install fasttunnel` does in an app, with this checkout instead.
$(QUICKSTART)/node_modules/fasttunnel $(PREVIEW_PROXY)/node_modules/fasttunnel:
	@mkdir -p $(dir $@) && ln -sfn ../../../$(BINDING) $@

# And `npm install` in the Runner example, whose Runner has to be the one that the tests use.
$(RUNNER_APP)/node_modules/fasttunnel: $(PACKAGES)
	@mkdir -p $(dir $@)@bluelibs && ln -sfn ../../../../$(BINDING)/node_modules/@bluelibs/runner $(dir $@)@bluelibs/runner
	@ln -sfn ../../../$(BINDING) $@

.PHONY: run-runner
run-runner: build $(RUNNER_APP)/node_modules/fasttunnel ## Call examples/runner-app through nodeExposure and through fasttunnel
	@node $(RUNNER_APP)/demo.mjs

.PHONY: run-files
run-files: build $(FILES)/node_modules/fasttunnel ## Start examples/files: upload, download and transform, from Node and from a page (PORT=7070)
	@node $(FILES)/demo.mjs

.PHONY: run-preview
run-preview: build $(PREVIEW_PROXY)/node_modules/fasttunnel ## Start examples/preview-proxy: two views see the workspace of each at one address
	@node $(PREVIEW_PROXY)/demo.mjs

.PHONY: streams
streams: build ## Compare one upload and one download with node:http, in bytes a second (MIBS=1024 ROUNDS=5)
	node $(BINDING)/bench/throughput.mjs

.PHONY: bench-native
bench-native: build ## Compare fasttunnel/native with node:fs/promises and child_process (3 minutes)
	node --expose-gc $(BINDING)/bench/native.mjs

.PHONY: idle
idle: build ## Measure what idle connections cost in memory, beside node:http, and under TLS beside node:https (5 minutes)
	node $(BINDING)/bench/idle.mjs
	node $(BINDING)/bench/idle.mjs --connections 2000 --servers node-tls,io_uring-tls,epoll-tls --pasts fresh,asked

.PHONY: streams-memory
streams-memory: build ## Measure what 2 GiB cost in memory when somebody reads 10 MiB/s (4 minutes)
	node $(BINDING)/bench/memory.mjs

$(FILES)/node_modules/fasttunnel:
	@mkdir -p $(dir $@) && ln -sfn ../../../$(BINDING) $@
