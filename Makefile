# The door to everything: `make help`. CMake and Ninja do the work; nothing has to be configured first.
SHELL := /bin/bash
.DEFAULT_GOAL := all
BUILD ?= build
CC ?= cc
JOBS ?= $(shell nproc)
N ?= 10000
CCACHE := $(shell command -v ccache >/dev/null && echo -DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
CONFIGURE = cmake -S . -G Ninja $(CCACHE)
quiet = log=$$(mktemp); $(1) >$$log 2>&1 || { cat $$log; rm -f $$log; exit 1; }; rm -f $$log

.PHONY: all demo data test check san tsan fuzz sim bench install fmt clean help setup conformance peers

all: setup ## build build/rialto
	@test -f $(BUILD)/build.ninja || { $(call quiet,$(CONFIGURE) -B $(BUILD) -DCMAKE_BUILD_TYPE=Release); }
	@ninja -C $(BUILD) -j $(JOBS) rialto

setup:
	@tools/setup build

demo: ## a live pipeline: data, SQL, page; SINK=postgres adds a database (Ctrl-C ends it)
	@tools/setup demo
	@$(MAKE) --no-print-directory all
	@exec tools/demo $(if $(SINK),--sink $(SINK))

data: all ## send N records (N=10000) to the running demo with 10 parallel producers
	@exec tools/demo_data $(N)

test: ## all tests, unit to end to end; T=regex picks some
	@tools/setup test
	@test -f $(BUILD)/build.ninja || { $(call quiet,$(CONFIGURE) -B $(BUILD) -DCMAKE_BUILD_TYPE=Release); }
	@ninja -C $(BUILD) -j $(JOBS)
	@exec python3 tools/run_tests.py $(BUILD) $(if $(T),-R '$(T)')

peers: ## the full matrix of Kafka clients and tools (doc/compatibility.md); T='kcat java' picks some
	@tools/setup test peers
	@test -f $(BUILD)/build.ninja || { $(call quiet,$(CONFIGURE) -B $(BUILD) -DCMAKE_BUILD_TYPE=Release); }
	@ninja -C $(BUILD) -j $(JOBS) rialto
	@exec python3 test/peer/run $(BUILD)/rialto $(BUILD)/peer --full $(T)

conformance: ## SQL conformance cases: make conformance DIR=path/to/sql
	@ninja -C $(BUILD) -j $(JOBS) conformance
	@$(BUILD)/conformance $(DIR)

check: all ## layers, headers that stand alone, format, docs fresh
	@tools/setup test
	@python3 tools/check_layers.py
	@python3 tools/tidy.py
	@BUILD=$(BUILD) tools/check_headers
	@tools/check_docs $(BUILD)

san: ## all tests but the page's under ASan and UBSan, servers included
	@tools/setup test
	@test -f build-san/build.ninja || { $(call quiet,$(CONFIGURE) -B build-san -DCMAKE_BUILD_TYPE=Debug -DRIALTO_SANITIZE=address$(comma)undefined -DRIALTO_UI=OFF); }
	@ninja -C build-san -j $(JOBS)
	@exec python3 tools/run_tests.py build-san $(if $(T),-R '$(T)')

tsan: ## all tests but the page's under TSan, servers included
	@tools/setup test
	@test -f build-tsan/build.ninja || { $(call quiet,$(CONFIGURE) -B build-tsan -DCMAKE_BUILD_TYPE=Debug -DRIALTO_SANITIZE=thread -DRIALTO_UI=OFF); }
	@ninja -C build-tsan -j $(JOBS)
	@TSAN_OPTIONS=suppressions=$(CURDIR)/test/tsan.supp exec python3 tools/run_tests.py build-tsan $(if $(T),-R '$(T)')

fuzz: ## every fuzz target for SECONDS_EACH=60 with clang's libFuzzer; KEEP=1 adds new inputs to the corpus
	@tools/setup test
	@exec tools/fuzz $(if $(KEEP),--keep) $(or $(SECONDS_EACH),60)

sim: ## deterministic simulation of the broker: SEEDS=1000 FROM=1, or SEED=N to see one again
	@tools/setup test
	@test -f $(BUILD)/build.ninja || { $(call quiet,$(CONFIGURE) -B $(BUILD) -DCMAKE_BUILD_TYPE=Release); }
	@ninja -C $(BUILD) -j $(JOBS) sim
	@exec $(BUILD)/sim $(if $(SEED),--seed $(SEED) --verbose,--seeds $(or $(SEEDS),1000) --from $(or $(FROM),1))

bench: all ## measure against the real peers; writes bench/results (ARGS: start broker raw latency crowd sql --quick)
	@exec bench/run --build $(BUILD) $(ARGS)

install: all ## install build/rialto under PREFIX (/usr/local)
	@cmake --install $(BUILD) --prefix $(or $(PREFIX),/usr/local)

fmt: ## apply .clang-format
	@git ls-files --cached --others --exclude-standard '*.c' '*.h' '*.cc' | xargs clang-format -i

clean: ## remove all build directories
	@rm -rf build build-san build-tsan build-fuzz

help: ## this list
	@grep -hE '^[a-z]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | sort | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

comma := ,
