# Pinsight: `make` lists what there is. A fresh Debian 12 or 13 or Ubuntu 24.04 machine needs only
# make and rustup's cargo; `make run` and `make test` see to the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

# rustup's cargo is found from a shell that has not read its profile, too.
export PATH := $(PATH):$(HOME)/.cargo/bin

TARGET := $(or $(CARGO_TARGET_DIR),target)
PINSIGHT := $(TARGET)/release/pinsight
PINSIGHT_BENCH := $(TARGET)/release/pinsight-bench

BOARD ?= boards/demo.toml
SECONDS_TO_RUN ?= 10
PROOF := $(basename $(notdir $(BOARD)))-proof.json
SECONDS_PER_TARGET ?= 60
SECONDS_TO_MEASURE ?= 10
BENCH := $(TARGET)/bench
CLAIMS := queue channel sharing header leak numa stages

# On another machine than 64-bit ARM its compiler and emulator are Debian's.
ifneq ($(shell uname -m),aarch64)
CROSS := aarch64-linux-gnu-
ARM_ROOT := -L /usr/aarch64-linux-gnu
EMULATOR := qemu-aarch64-static $(ARM_ROOT)
endif
ARM := aarch64-unknown-linux-gnu

# A comma inside a call's argument.
, := ,
step = @printf '\n== %s\n' "$(1)"
# A filter that matches nothing passes, so what ran is counted: $(call counted,LOG,WHAT)
counted = grep -qE '^running [1-9][0-9]* tests?$$' $(1) || { echo "make: no $(2) ran" >&2; exit 1; }

.PHONY: help setup setup-test run test test-arm64 fuzz lint bench bench-preprocess bench-peers bench-arm64 pages clean

help: ## this list
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

setup: ## install and fetch what `make run` needs; silent when all is there
	@.setup/packages
	@.setup/fetch board $(BOARD)

setup-test:
	@.setup/packages
	@.setup/fetch test

run: setup ## the demo board for 10 seconds: a camera, a detector, a proof; BOARD=boards/ssd.toml another
	$(call step,building (release))
	cargo build --release
	@mkdir -p target
	$(call step,running $(BOARD) for $(SECONDS_TO_RUN) s; the proof goes to target/$(PROOF))
	$(PINSIGHT) run --board $(BOARD) --seconds $(SECONDS_TO_RUN) --proof target/$(PROOF)

test: setup-test ## every test: unit, property, command line, loom, and the guest with real V4L2
	$(call step,unit$(,) property$(,) contract and command-line tests)
	cargo test --workspace
	$(call step,fuzzing: each reader of bytes from outside for 10 s)
	@FUZZ_SECONDS=10 cargo test --quiet --test fuzz -- --nocapture --test-threads 1 2>&1 | tee $(TARGET)/fuzz.log
	@grep -q '^fuzz jpeg: [1-9]' $(TARGET)/fuzz.log || { echo "make: nothing was fuzzed" >&2; exit 1; }
	$(call step,loom models of the ring and its wake-up)
	@mkdir -p $(TARGET)/loom
	RUSTFLAGS="--cfg loom" cargo test --release --lib --target-dir $(TARGET)/loom loom_ 2>&1 | tee $(TARGET)/loom/log
	@$(call counted,$(TARGET)/loom/log,loom model)
	$(call step,mutants of the frame core: each weakened ordering and check has to be noticed)
	tests/mutants/run
	$(call step,the guest: a kernel with real V4L2$(,) NUMA nodes and hugepages)
	@tests/vm/setup
	cargo test --release --test guest --test outputs_guest --test numa --test capture_guest -- --ignored --skip inside:: --nocapture --test-threads 1 2>&1 | tee $(TARGET)/guest.log
	@$(call counted,$(TARGET)/guest.log,guest test)

fuzz: setup-test ## each reader of bytes from outside on changed inputs for SECONDS_PER_TARGET
	FUZZ_SECONDS=$(SECONDS_PER_TARGET) cargo test --test fuzz -- --nocapture --test-threads 1

# Tests of what is written for that processor alone. The machine itself may be one.
test-arm64: ## the NEON kernel's tests: built for 64-bit ARM, run under qemu-user
	@.setup/packages arm64
	@.setup/fetch aarch64
	$(call step,the NEON kernel against the plain ones (64-bit ARM))
	@mkdir -p $(TARGET)
	CARGO_PROFILE_TEST_OPT_LEVEL=1 \
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=$${CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER:-$(CROSS)gcc} \
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="$${CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER:-$(EMULATOR)}" \
		cargo test --target $(ARM) --lib preprocess:: 2>&1 | tee $(TARGET)/arm64.log
	@$(call counted,$(TARGET)/arm64.log,test of the NEON kernel)

lint: ## format and lints, as CI judges them
	@.setup/packages lint
	@.setup/fetch run
	$(call step,format)
	cargo fmt --all --check
	$(call step,lints)
	cargo clippy --workspace --all-targets -- -D warnings

bench: setup ## every claim of the design beside what it replaces; writes benches/README.md's tables
	$(call step,building (release))
	cargo build --release --package pinsight-bench
	@mkdir -p $(BENCH)
	$(call step,the claims$(,) one by one)
	@for claim in $(CLAIMS); do \
		printf '\n-- %s\n' $$claim; \
		$(PINSIGHT_BENCH) $$claim --json $(BENCH)/$$claim.json --svg $(BENCH)/$$claim.svg \
			|| { test $$? = 4 && rm -f $(BENCH)/$$claim.*; }; \
	done
	@cp $(BENCH)/queue.svg benches/queue.svg
	$(call step,8 cameras before a real model)
	@.setup/fetch board boards/ssd.toml
	$(PINSIGHT_BENCH) queue --model .cache/models/ssd_mobilenetv2_oidv4_fp16.tflite \
		--phases in-step --designs rendezvous,array-queue,ring --json $(BENCH)/queue-model.json
	$(call step,the two designs of the experiment in Go)
	@rm -f $(BENCH)/queue-go.json
	@if command -v go > /dev/null; then \
		cd benches/seed-go && go run . -json $(abspath $(BENCH))/queue-go.json; \
	else \
		echo "go is not installed, so its rows are left out; on Debian and Ubuntu: apt-get install golang-go"; \
	fi
	@$(MAKE) bench-preprocess
	$(call step,ring and doorbell beside their peers)
	cargo bench --package pinsight-bench --bench ring --bench doorbell
	@BENCH_CONDITIONS="$$(date -u +%F), commit $$(git rev-parse --short HEAD)$$(git diff --quiet HEAD -- src benches ':!benches/queue.svg' || echo ' and changes'), $$(rustc --version), cargo's release profile$${RUSTFLAGS:+ with RUSTFLAGS $$RUSTFLAGS}" \
		cargo bench --quiet --package pinsight-bench --bench table

bench-preprocess: setup ## camera buffer to tensor beside OpenCV, yuv and fast_image_resize
	$(call step,building (release); the peers take some minutes once)
	cargo build --release --package pinsight-bench
	cargo build --release --locked --manifest-path benches/preprocess-peers/Cargo.toml --target-dir $(TARGET)/peers
	@test -x .cache/bench-venv/bin/python || python3 -m venv .cache/bench-venv
	@.cache/bench-venv/bin/python -c 'import cv2, numpy' 2> /dev/null \
		|| .cache/bench-venv/bin/pip install -q --disable-pip-version-check opencv-python-headless==5.0.0.93 numpy==2.4.6
	@mkdir -p $(BENCH)
	$(call step,ours and the peers take turns)
	.cache/bench-venv/bin/python benches/preprocess_peers.py --ours $(PINSIGHT_BENCH) \
		--rust $(TARGET)/peers/release/preprocess-peers --folder $(BENCH)

# Debian's own Python: its GStreamer is there for no other.
PEERS_PYTHON := .cache/peers-venv/bin/python
bench-peers: setup ## the whole way from cameras to results beside GStreamer, OpenCV and LiteRT; SECONDS_TO_MEASURE=2 to try it
	@.setup/packages peers
	@.setup/fetch board boards/ssd.toml
	$(call step,building (release); the peers take some minutes once)
	cargo build --release
	cargo build --release --locked --manifest-path benches/peers/gstreamer/Cargo.toml --target-dir $(TARGET)/peers
	@mkdir -p $(BENCH)
	cc -O2 -Wall -shared -fPIC -o $(BENCH)/peers-count.so benches/peers/count.c
	@test -x $(PEERS_PYTHON) || /usr/bin/python3 -m venv --system-site-packages .cache/peers-venv
	@$(PEERS_PYTHON) -c 'import cv2, numpy, ai_edge_litert.interpreter' 2> /dev/null \
		|| $(PEERS_PYTHON) -m pip install -q --disable-pip-version-check \
			opencv-python-headless==5.0.0.93 numpy==2.4.6 ai-edge-litert==2.3.0
	$(call step,ours and the peers$(,) one after the other)
	@BENCH_CONDITIONS="$$(date -u +%F), commit $$(git rev-parse --short HEAD)$$(git diff --quiet HEAD -- src benches || echo ' and changes'), $$(rustc --version)" \
		$(PEERS_PYTHON) benches/peers/bench.py --pinsight $(PINSIGHT) \
		--gstreamer-rs $(TARGET)/peers/release/peer-gstreamer --counter $(BENCH)/peers-count.so --folder $(BENCH) \
		--seconds $(SECONDS_TO_MEASURE) --readme benches/README.md

# Instructions do not depend on what else the machine does, nor on what machine it is.
bench-arm64: ## a tensor's instructions on 64-bit ARM beside the peers', counted under qemu-user; no such machine is needed
	@.setup/packages arm64-bench
	@.setup/fetch aarch64
	$(call step,building for 64-bit ARM (release); the first time takes some minutes)
	@mkdir -p $(BENCH)
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=$${CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER:-$(CROSS)gcc} \
		cargo build --release --no-default-features --target $(ARM) --example tensor
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=$${CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER:-$(CROSS)gcc} \
		cargo build --release --locked --target $(ARM) \
		--manifest-path benches/preprocess-peers/Cargo.toml --target-dir $(TARGET)/peers
	cc -O2 -Wall -shared -fPIC -o $(BENCH)/count.so benches/arm64/count.c
	$(call step,one tensor$(,) counted: ours and the peers)
	python3 benches/arm64/bench.py --ours $(TARGET)/$(ARM)/release/examples/tensor \
		--peers $(TARGET)/peers/$(ARM)/release/preprocess-peers --plugin $(BENCH)/count.so \
		--emulator "qemu-aarch64 $(ARM_ROOT)" --json $(BENCH)/arm64.json --readme benches/README.md

pages: setup ## man pages and shell completions, for a package, into target/doc-pages
	cargo run --release --package pinsight-pages -- $(TARGET)/doc-pages

clean: ## remove what was built; the fetched files stay in .cache
	cargo clean
