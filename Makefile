# `make help` lists what can be made. A fresh Debian machine with Rust and Node needs `make demo` and `make test` only.

CARGO ?= cargo
# The cargo profile of `make build` and `make demo`: `make demo PROFILE=release` takes longer to build and runs leaner.
PROFILE ?= dev
ARGS ?=
# Many tests wait for servers or processes most of their time, so more of them run at once than there are cores.
export RUST_TEST_THREADS ?= 4
CARGO_TEST = $(CARGO) test --locked --workspace --no-fail-fast \
             --config 'target."cfg(all())".runner = "scripts/run-test-program.sh"'

# The page is built where there is one and npm can be had; without it the program serves a plain page.
ifneq ($(wildcard web/package.json),)
ifneq ($(shell command -v npm 2>/dev/null),)
WITH_PAGE := yes
endif
endif

.DEFAULT_GOAL := help
.PHONY: demo test lint lint-tools lint-format lint-shell lint-crates lint-code lint-docs bench build dashboards page \
        page-test deb dist docs fmt clean help

demo: build ## build everything and run the service against scripted NTP servers on loopback (options: ARGS="...")
	$(CARGO) run --locked --profile $(PROFILE) --bin ntp-monitor -- demo $(ARGS)

# Everything runs, whatever fails. A test program that hangs is ended. Documentation tests come before the others, so
# that the last lines are the results of those.
test: ## install what the tests need (as root; otherwise say what is missing) and run them all
	scripts/install-dependencies.sh build test
	@$(MAKE) --no-print-directory page
	$(CARGO) build --locked
	@status=0; \
	$(MAKE) --no-print-directory page-test || status=$$?; \
	set -x; \
	$(CARGO_TEST) --doc --quiet || status=$$?; \
	$(CARGO_TEST) --lib --bins --tests || status=$$?; \
	{ set +x; exit $$status; } 2>/dev/null

# `make --keep-going lint` reports what every one of them finds.
lint: lint-format lint-shell lint-crates lint-code lint-docs ## rustfmt, clippy, rustdoc, cargo-deny, shellcheck

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

# Private items are documented too, for whoever reads the source, so links to them are welcome.
lint-docs: lint-tools
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" \
	$(CARGO) doc --locked --workspace --no-deps --document-private-items

bench: ## run the benchmarks
	scripts/install-dependencies.sh build test
	$(CARGO) bench --locked $(ARGS)

build: page ## build the program and its page (PROFILE=release for the one to install)
	scripts/install-dependencies.sh build
	$(CARGO) build --locked --profile $(PROFILE)

dashboards: ## write the dashboards and alert rules of grafana/ and prometheus/ anew
	node grafana/generate/generate.mjs

deb: ## make the Debian package, into target/package
	scripts/install-dependencies.sh build package
	@$(MAKE) --no-print-directory build PROFILE=release
	scripts/package.sh deb

dist: ## make the release archive with its checksums and bill of materials, into target/package
	scripts/install-dependencies.sh build package
	@$(MAKE) --no-print-directory build PROFILE=release
	scripts/package.sh dist

docs: ## make the documentation as a site, into target/site
	scripts/build-docs.sh

fmt: ## format the Rust sources
	$(CARGO) fmt --all

clean: ## remove everything that was built
	$(CARGO) clean
	rm -rf web/dist web/node_modules

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

ifdef WITH_PAGE
PAGE_SOURCES := $(shell find web -type f -not -path 'web/node_modules/*' -not -path 'web/dist/*')

page: web/node_modules/.built

# npm writes the first file itself; the second says that the sources as they are now have been built.
web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	cd web && npm ci --no-audit --no-fund

web/node_modules/.built: web/node_modules/.package-lock.json $(PAGE_SOURCES)
	cd web && npm run build
	@touch $@

page-test: page
	cd web && npm run --if-present test
else
page page-test: ; @:
endif
