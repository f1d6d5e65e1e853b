# `make help` lists the targets. On a fresh Debian machine with Rust and Node, start with `make demo` and `make test`.

CARGO ?= cargo
# The cargo profile of `make build` and `make demo`: `make demo PROFILE=release` takes longer to build and uses less memory and CPU.
PROFILE ?= dev
ARGS ?=
# The platform of `make build` and `make dist`; this one unless set.
TARGET ?=
IMAGE ?= ntp-monitor
# Most tests spend their time waiting for servers or processes, so more of them run in parallel than there are cores.
export RUST_TEST_THREADS ?= 4
CARGO_TEST = $(CARGO) test --locked --workspace --no-fail-fast \
             --config 'target."cfg(all())".runner = "scripts/run-test-program.sh"'

# The web page is built when npm is installed; without it the program serves a plain page.
ifneq ($(wildcard web/package.json),)
ifneq ($(shell command -v npm 2>/dev/null),)
WITH_PAGE := yes
endif
endif

.DEFAULT_GOAL := help
.PHONY: demo demo-fleet test long fuzz lint lint-tools lint-format lint-shell lint-crates lint-code lint-docs lint-words lint-workflows \
        lint-page bench bench-table bench-page soak build dashboards page page-test deb dist image docs fmt clean help

demo: build ## build everything and run the service against scripted NTP servers on loopback (options: ARGS="...")
	$(CARGO) run --locked --profile $(PROFILE) --bin ntp-monitor -- demo $(ARGS)

demo-fleet: build ## run a fleet on loopback: nats-server (fetched), a hub and four agents with scripted clocks
	scripts/fetch-nats-server.sh
	$(CARGO) run --locked --profile $(PROFILE) --bin ntp-monitor -- demo --fleet $(ARGS)

# All tests run even if some fail. A test program that hangs is killed. Documentation tests run first, so that the last
# lines of the output are the results of the other tests.
test: ## install what the tests need (as root; otherwise say what is missing) and run them all
	scripts/install-dependencies.sh build test
	@$(MAKE) --no-print-directory page
	$(CARGO) fetch --locked # also what other platforms need: a test reads the whole tree of dependencies
	$(CARGO) build --locked
	@status=0; \
	$(MAKE) --no-print-directory page-test || status=$$?; \
	set -x; \
	$(CARGO_TEST) --doc --quiet || status=$$?; \
	$(CARGO_TEST) --lib --bins --tests || status=$$?; \
	{ set +x; exit $$status; } 2>/dev/null

fuzz: ## fuzz one target of the core for 20 s, another one each day (ARGS="TARGET SECONDS" for a certain one)
	scripts/install-dependencies.sh build fuzz
	scripts/fuzz.sh $(ARGS)

# `make --keep-going lint` runs all of them even if one fails.
lint: lint-format lint-shell lint-crates lint-code lint-words lint-docs lint-workflows lint-page ## rustfmt, clippy, rustdoc, cargo-deny, cargo-machete, shellcheck, actionlint, biome, plain words

lint-tools:
	scripts/install-dependencies.sh build lint

lint-format:
	$(CARGO) fmt --all --check

lint-shell: lint-tools
	shellcheck $$(git ls-files '*.sh' .ci/run packaging/debian/postinst packaging/debian/prerm packaging/debian/postrm)

lint-crates: lint-tools
	scripts/check-dependencies.sh

lint-code: lint-tools
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

# Private items are documented too, for people who read the source, so links to them are allowed.
lint-docs: lint-tools
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" \
	$(CARGO) doc --locked --workspace --no-deps --document-private-items

lint-workflows:
	@if command -v actionlint >/dev/null; then actionlint; else echo 'workflows NOT CHECKED: actionlint is not installed'; fi

lint-words: ## check comments, documents and messages for words that plain technical English avoids
	scripts/check-words.sh

bench: ## run the benchmarks
	scripts/install-dependencies.sh build test
	$(CARGO) bench --locked $(ARGS)

long: ## run the long evaluations that print the tables of docs/ANALYSIS.md and docs/FLEET.md (hours of processor time)
	VERDICT_SEEDS=40 cargo test --release -p ntp-monitor-core --test verdict -- --nocapture
	NTP_MONITOR_FLEET_SEEDS=200 cargo test --release -p ntp-monitor-core --test fleet -- --nocapture
	FLEET_SAMPLES=1000000 FLEET_PARTITION=10m FLEET_POLITE_FOR=10m \
	cargo test --locked --release --test service -- --nocapture fleet::kills::partition fleet::polite::real

bench-table: ## print what docs/PERFORMANCE.md quotes: cost with the rsntp peer beside it, scale, precision, store
	scripts/install-dependencies.sh build test
	$(CARGO) bench --locked --bench cost --bench scale --bench precision --bench modes --bench store

bench-page: page ## print the seconds that the page takes in Chromium: first chart, 1,000 servers, heat map of 90 days, stale
	scripts/install-dependencies.sh build test
	$(CARGO) bench --locked --bench page

soak: ## watch 2,000 servers on loopback for two hours: memory, descriptors, store and log, a row each minute (ARGS="MINUTES")
	$(CARGO) bench --locked --bench scale -- --soak $(or $(ARGS),120)

build: page ## build the program and its web page (PROFILE=release to install it)
	scripts/install-dependencies.sh build
	$(CARGO) build --locked --profile $(PROFILE) $(if $(TARGET),--target $(TARGET))

dashboards: ## generate the dashboards and alert rules in grafana/ and prometheus/
	node grafana/generate/generate.mjs

deb: ## build the Debian package in target/package
	scripts/install-dependencies.sh build package
	@$(MAKE) --no-print-directory build PROFILE=release
	scripts/package.sh deb

dist: ## build the release archive with checksums and bill of materials in target/package (TARGET=x86_64-unknown-linux-musl: static)
	scripts/install-dependencies.sh build package
	@$(MAKE) --no-print-directory build PROFILE=release
	TARGET=$(TARGET) scripts/package.sh dist

image: ## build the container image (IMAGE=NAME)
	docker build --tag $(IMAGE) .

docs: ## build the documentation site in target/site; broken links fail
	scripts/build-docs.sh

fmt: ## format the Rust sources
	$(CARGO) fmt --all

clean: ## remove everything that was built
	$(CARGO) clean
	rm -rf web/dist web/node_modules web/generator/node_modules web/src/api/generated.ts

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

ifdef WITH_PAGE
PAGE_SOURCES := $(shell find web -type f -not -path '*/node_modules/*' -not -path 'web/dist/*' -not -name generated.ts)

page: web/node_modules/.built

# npm writes the first file itself; the second marks the time of the last build.
web/node_modules/.package-lock.json: web/package.json web/generator/package.json web/package-lock.json
	cd web && npm ci --no-audit --no-fund

web/node_modules/.built: web/node_modules/.package-lock.json $(PAGE_SOURCES)
	cd web && npm run build
	@touch $@

page-test: page
	cd web && npm run --if-present test

lint-page: web/node_modules/.package-lock.json
	cd web && npm run --silent lint
else
page page-test lint-page: ; @:
endif
