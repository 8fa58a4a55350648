# `make` prints what there is. Every target sets up what it needs; nothing is to be installed by
# hand first.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

setup  := e2e/setup
wasm   := target/wasm32-wasip1/release/egress_filter.wasm
bodies := target/wasm32-wasip1/bodies/egress_filter.wasm
trapping := target/wasm32-wasip1/trapping/egress_filter.wasm
CARGO   = $(or $(shell $(setup)/cargo),$(error no cargo: see above))
export PATH := $(CURDIR)/target/tools/bin:$(PATH)

.PHONY: help
help: ## this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: build-wasm ## the workshop in a real Envoy, or POLICY=mine.yaml (ARGS=--once, ORIGIN=real)
	@envoy=$$($(setup)/envoy); $(CARGO) build -p e2e --bin demo; \
	ENVOY=$$envoy exec target/debug/demo $(if $(POLICY),--policy '$(POLICY)') $(ARGS)

.PHONY: test
test: test-native test-fuzz test-wasm test-e2e test-image ## every test that needs no Go

.PHONY: test-native
test-native: ## the engine's, its language's and egressctl's tests, natively
	$(CARGO) test -p egress-reading -p egress-cel -p egress-config -p egress-filter -p egressctl
	$(CARGO) test -p schema-agreement

.PHONY: test-wasm
test-wasm: ## the engine's tests as wasm, in Node's V8
	@runner=$$($(setup)/wasm-bindgen-runner); \
	CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER=$$runner $(setup)/cargo-wasm test \
		-p egress-reading -p egress-cel -p egress-config -p egress-filter \
		--lib --target wasm32-unknown-unknown

.PHONY: test-e2e e2e
test-e2e: build-wasm build-bodies build-trapping ## the filter, in an emulated host and in Envoy
	@envoy=$$($(setup)/envoy); ENVOY=$$envoy $(CARGO) test -p e2e -p proxy-wasm-host -p bench $(ARGS)
e2e: test-e2e

.PHONY: differential
differential: ## the language against the crates `cel` and `regex`, on CASES cases (1000000)
	EGRESS_DIFFERENTIAL_CASES=$(or $(CASES),1000000) \
		$(CARGO) test --profile differential -p egress-cel --lib -- --nocapture \
		tests::lowering tests::evaluator against_the_regex_crate

.PHONY: conformance
conformance: ## runs cel-spec's cases, given as data: CASES=cases.json; tells what differs and why
	@$(CARGO) run --quiet -p egress-cel --example conformance -- \
		'$(or $(CASES),$(error give the file: make conformance CASES=cases.json))'

# Coverage counters as a stable compiler has them, in everything but what the compiler itself runs.
fuzz_coverage := -Cpasses=sancov-module $(addprefix -Cllvm-args=-sanitizer-coverage-, \
	level=4 inline-8bit-counters pc-table trace-compares)
fuzz_host     = $(shell $(CARGO) -vV | sed -n 's/^host: //p')
fuzz          = target/fuzz/$(fuzz_host)/release/expressions
fuzz_limits  := -max_len=4096 -timeout=20 -rss_limit_mb=1024 -dict=e2e/fuzz/words.dict \
	-artifact_prefix=target/fuzz/

.PHONY: build-fuzz
build-fuzz:
	@RUSTFLAGS='$(fuzz_coverage)' $(CARGO) build --release --manifest-path e2e/fuzz/Cargo.toml \
		--target-dir target/fuzz --target $(fuzz_host)
	@rm -rf target/fuzz/seeds; mkdir -p target/fuzz/seeds target/fuzz/corpus
	@split -a 3 -l 1 e2e/fuzz/seeds.txt target/fuzz/seeds/

.PHONY: fuzz
fuzz: build-fuzz ## feeds the engine mutated input for SECONDS (60); target/fuzz gets what fails
	@ulimit -s 1024; \
	$(fuzz) target/fuzz/corpus target/fuzz/seeds $(fuzz_limits) -max_total_time=$(or $(SECONDS),60)

.PHONY: test-fuzz
test-fuzz: build-fuzz ## a few seconds of that, the same each time
	@ulimit -s 1024; $(fuzz) target/fuzz/seeds $(fuzz_limits) -seed=1 -runs=10000 \
		>target/fuzz/log 2>&1 || { tail -n 40 target/fuzz/log; exit 1; }; \
	tail -n 1 target/fuzz/log

.PHONY: wasm
wasm: build-wasm ## builds the filter, and prints its path and size
	@printf '%s  %s bytes\n' $(wasm) $$(wc -c < $(wasm))

.PHONY: build-wasm
build-wasm:
	@$(setup)/module release

# The filter that reads bodies: a module of its own, because Envoy calls every callback that a
# module exports.
.PHONY: build-bodies
build-bodies:
	@$(setup)/module bodies --features bodies

# The filter that traps on demand, for tests only; the shipped file above is not touched.
.PHONY: build-trapping
build-trapping:
	@$(setup)/cargo-wasm build --profile trapping --features trap-for-tests \
		--target wasm32-wasip1 -p egress-filter

.PHONY: egressctl
egressctl: ## builds egressctl, which checks, tests, explains and converts policies
	@$(CARGO) build --release -p egressctl
	@printf '%s\n' target/release/egressctl

# Where the image is to be pushed. The files of filter-config/ name this one, which nobody can push.
IMAGE = registry.example.com/platform/egress-filter:0.1.0

.PHONY: image
image: build-wasm build-bodies ## two OCI images, and filter-config/ with the digest (IMAGE=...)
	@$(CARGO) run --quiet -p image -- $(bodies) '$(IMAGE)-bodies' filter-config target/bodies
	@$(CARGO) run --quiet -p image -- $(wasm) '$(IMAGE)' filter-config target

# The check comes first: what follows takes minutes.
.PHONY: release
release: ## the files of a release, into target/dist/ (IMAGE=...)
	@$(CARGO) run --quiet -p release -- check '$(IMAGE)'
	@$(MAKE) --no-print-directory build-wasm build-bodies
	@egressctl=$$($(setup)/egressctl); \
	$(CARGO) run --quiet -p release -- make '$(IMAGE)' $$egressctl

.PHONY: test-image
test-image: build-wasm ## the image and the files of a release, pushed, pulled and checked
	@skopeo=$$($(setup)/skopeo); registry=$$($(setup)/registry); \
	SKOPEO=$$skopeo REGISTRY=$$registry $(CARGO) test -p image -p release

# Not part of `make test`, which needs no Go.
.PHONY: test-services
test-services: build-wasm ## the filter with OPA, oauth2-proxy, Envoy's rate limits (needs Go)
	@envoy=$$($(setup)/envoy); redis=$$($(setup)/redis); \
	ratelimit=$$($(setup)/go-service ratelimit); opa=$$($(setup)/go-service opa); \
	extauthz=$$($(setup)/go-service extauthz); oauth2=$$($(setup)/go-service oauth2-proxy); \
	ENVOY=$$envoy REDIS=$$redis RATELIMIT=$$ratelimit OPA=$$opa EXTAUTHZ=$$extauthz \
		OAUTH2_PROXY=$$oauth2 $(CARGO) test -p services $(ARGS)

.PHONY: test-istio
test-istio: build-wasm ## filter-config/ on a real API server and a real istiod (needs Go)
	@parts=$$($(setup)/istio-parts); envoy=$$($(setup)/envoy); registry=$$($(setup)/registry); \
	skopeo=$$($(setup)/skopeo); ISTIO_PARTS=$$parts ENVOY=$$envoy REGISTRY=$$registry \
		SKOPEO=$$skopeo $(CARGO) test -p istio-parts $(ARGS) -- --test-threads=1

.PHONY: bench
bench: build-wasm build-bodies ## what the filter costs, into target/bench (ARGS=--quick: a trial)
	@envoy=$$($(setup)/envoy); \
	ENVOY=$$envoy $(CARGO) run --quiet --profile measure -p bench -- $(ARGS)

# The release with its names, into a folder of its own.
.PHONY: profile
profile: ## how many instructions each function takes of the workshop's requests
	@$(setup)/cargo-wasm build --profile release --config profile.release.strip=false \
		--target wasm32-wasip1 --target-dir target/profile -p egress-filter
	@$(CARGO) run --quiet -p bench -- --profile \
		target/profile/wasm32-wasip1/release/egress_filter.wasm

.PHONY: attack
attack: build-wasm build-bodies ## hostile requests for SECONDS (60); fails if one gets by
	@envoy=$$($(setup)/envoy); \
	ENVOY=$$envoy $(CARGO) run --quiet --profile measure -p e2e --bin attack -- \
		--seconds $(or $(SECONDS),60) $(if $(REQUESTS),--requests $(REQUESTS)) \
		$(if $(SEED),--seed $(SEED)) $(ARGS)

.PHONY: lint
lint: ## formatting and lints, for the host and for wasm
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	@if $(setup)/cargo-wasm clippy --version >/dev/null 2>&1; then \
		$(setup)/cargo-wasm clippy -p egress-reading -p egress-cel -p egress-config -p egress-filter \
			--features egress-filter/trap-for-tests --target wasm32-wasip1 -- -D warnings; \
	else echo 'no clippy for the wasm target here: the filter glue was not linted'; fi

.PHONY: modules
modules: ## prints the modules and crates, each behind those that it uses
	@$(CARGO) test --quiet -p egress-filter --test house -- --nocapture \
		no_module_and_no_crate_is_in_a_circle | sed '/^\.*$$/d; /^running/d; /^test result/d'

.PHONY: fix
fix: ## formats, and applies what clippy can mend by itself
	$(CARGO) fmt --all
	$(CARGO) clippy --workspace --all-targets --fix --allow-dirty --allow-staged

.PHONY: check
check: lint test ## all that CI runs

.PHONY: clean
clean: ## removes everything that was built or fetched
	rm -rf target
