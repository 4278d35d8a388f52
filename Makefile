# headrace: every command of a day. Each target works from a fresh clone: it installs what it needs
# first (into .venv and .cache, Debian packages by name) and is quick when nothing has changed.
.DEFAULT_GOAL := help
SHELL := /bin/bash
MAKEFLAGS += --no-print-directory

PYTHON := .venv/bin/python
NATIVE := PYTHONPATH=deploy/native $(PYTHON) -m headrace_native

# ENGINE=docker runs the cluster of deploy/compose instead of the native one. Only from the command
# line: an ENGINE that a shell carries means something else.
ifeq ($(origin ENGINE),command line)
  ifeq ($(filter native docker,$(ENGINE)),)
    $(error ENGINE=$(ENGINE): say native or docker)
  endif
else
  override ENGINE := native
endif
ifeq ($(ENGINE),docker)
  CLUSTER := bash deploy/compose/cluster.sh
else
  CLUSTER := $(NATIVE)
  INSTALLED := setup
endif

# A cluster is described in deploy/native/cluster.toml; these change it for one command:
#   make cluster-up BROKERS=3 GATEWAYS=3 WRITERS_TRACES=2 OFFSET=1000 NAME=second
export BROKERS PARTITIONS SHARDS REPLICAS GATEWAYS MIGRATE RETENTION MERGE_ALL
export WRITERS_TRACES WRITERS_METRICS WRITERS_LOGS BATCH_MAX_MIB INSERT_QUORUM TRACE_EVERY_S
# Only from the command line: some shells carry a NAME of their own in the environment.
ifeq ($(origin NAME),command line)
  export HEADRACE_CLUSTER := $(NAME)
endif
ifeq ($(origin OFFSET),command line)
  export HEADRACE_PORT_OFFSET := $(OFFSET)
endif

# Arguments for pytest and for loadgen: make test ARGS='-k gateway', make slo ARGS='--rate 20000'
ARGS ?=

.PHONY: help
help: ## this list
	@echo "headrace: OTLP in, provably complete telemetry in ClickHouse out"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  variables: NAME= OFFSET= BROKERS= SHARDS= REPLICAS= GATEWAYS= WRITERS_TRACES= … (deploy/native/cluster.toml)"

.PHONY: setup
setup: ## install everything this machine lacks (root or sudo for Debian packages)
	@bash deploy/native/setup/setup.sh

.PHONY: cluster-up
cluster-up: $(INSTALLED) ## start the cluster, wait until it is ready, print its endpoints; ENGINE=docker: in containers
	@$(CLUSTER) up

.PHONY: cluster-down
cluster-down: ## stop the cluster; WIPE=1 deletes its data, too
	@if [ -x $(PYTHON) ] || [ $(ENGINE) = docker ]; then $(CLUSTER) down $(if $(filter 1,$(WIPE)),--wipe); \
	else echo "nothing is installed, so nothing runs"; fi

.PHONY: cluster-status
cluster-status: $(INSTALLED) ## health, lag per partition, rows per table, replica queue; JSON=1 for programs
	@$(CLUSTER) status $(if $(filter 1,$(JSON)),--json)

.PHONY: demo
demo: cluster-up ## the whole pipeline under load, every record checked; leaves the cluster up
	@$(CLUSTER) demo

.PHONY: dbt
dbt: ## dbt for the project in schema/dbt, in .cache/dbt; a minute the first time
	@bash deploy/native/setup/dbt.sh

.PHONY: test
test: setup dbt ## every test: kernel, unit, property, contract, integration, chaos
	@if [ -e services/kernel/Cargo.toml ]; then \
	  cargo test -q --manifest-path services/kernel/Cargo.toml; fi
	@bash deploy/native/setup/helm.sh
	@bash deploy/native/setup/s3.sh
	@$(PYTHON) -m pytest $(ARGS)

.PHONY: check
check: setup ## formatting, linters, types, generated pages, a bounded fuzz run
	@bash deploy/native/setup/check.sh

.PHONY: fuzz
fuzz: setup ## hostile bytes against the kernel for DURATION=60 seconds
	@bash deploy/native/setup/fuzz.sh $(or $(DURATION),60)

.PHONY: bench
bench: setup ## CPU per record of kernel and writer, beside the Collector's; ARGS='--quick' for less
	@bash deploy/native/setup/peer.sh
	@PYTHONPATH=tests:deploy/native $(PYTHON) -m bench $(ARGS)

.PHONY: bench-check
bench-check: setup ## the kernel against docs/benchmarks/baseline.json, by instructions and ratios; ARGS=--update
	@bash deploy/native/setup/apt.sh valgrind
	@PYTHONPATH=tests:deploy/native $(PYTHON) -m bench.check $(ARGS)

.PHONY: bench-curves
bench-curves: setup ## CPU per span over request size, attributes, shards, partitions; writes docs/benchmarks
	@PYTHONPATH=tests:deploy/native $(PYTHON) -m bench.curves $(ARGS)

.PHONY: bench-storage
bench-storage: setup ## bytes on disk per span, point and log by column; writes docs/benchmarks; ARGS=--candidates tries codecs
	@PYTHONPATH=tests:deploy/native $(PYTHON) -m bench.storage $(ARGS)

# Measures processes of this machine by cluster.json, which containers have not.
.PHONY: native-only
native-only:
	@[ $(ENGINE) = native ] || { echo "error: this target knows the native cluster only; leave ENGINE away" >&2; exit 2; }

.PHONY: bench-coefficients
bench-coefficients: setup ## what `headrace size` calculates with: each signal alone, everything merged
	@PYTHONPATH=tests:deploy/native $(PYTHON) -m bench.coefficients

.PHONY: slo
slo: native-only cluster-up ## the promise under load: 100,000 spans/s + 50,000 points/s for DURATION=300 seconds
	@.venv/bin/loadgen --rate 100000 --metrics-rate 50000 --duration $(or $(DURATION),300) \
	  --max-metric-lag-p99 5 --json .cache/slo.json $(ARGS) \
	  --cluster .cache/cluster/$(or $(HEADRACE_CLUSTER),default)/cluster.json

.PHONY: bench-slo
bench-slo: setup ## the promise three times, three outages of ClickHouse, the cost of a quorum; fifty minutes; writes docs/benchmarks
	@PYTHONPATH=tests:deploy/native $(PYTHON) -m bench.slo $(ARGS)

# Pages that `loadgen --report` wrote: of a run, and of --find-max.
.PHONY: screenshots
screenshots: setup ## REPORT=run.html SEARCH=max.html in headless Chromium, light, dark, phone; writes docs/images
	@bash deploy/native/setup/apt.sh chromium pngquant
	@PYTHONPATH=tests:deploy/native $(PYTHON) -m look $(REPORT) $(SEARCH)

.PHONY: bench-joins
bench-joins: setup ## what it costs that a writer joins or leaves; writes docs/benchmarks
	@PYTHONPATH=tests:deploy/native $(PYTHON) -m bench.joins $(ARGS)

.PHONY: autoscale-run
autoscale-run: setup ## real writers scaled 1 → n → 1 while load steps × 10, beside the simulator; ARGS='--runs 3'
	@PYTHONPATH=tests:deploy/native $(PYTHON) -m bench.autoscale $(ARGS)

.PHONY: chaos
chaos: setup ## faults against a real cluster under load; ARGS="--seed 7" repeats, "--mutants" switches protections off
	@PYTHONPATH=tests:deploy/native $(PYTHON) -m chaos $(ARGS)

.PHONY: kube-e2e
kube-e2e: setup ## the Helm chart in a real control plane (compiled once, a quarter of an hour), pods on paper
	@bash deploy/native/setup/helm.sh
	@bash deploy/native/setup/kube.sh
	@$(PYTHON) -m pytest tests/kube/e2e.py $(ARGS)

.PHONY: kube-e2e-keda
kube-e2e-keda: setup ## KEDA scales the chart's writers on the native cluster's real load (compiled once), twenty minutes
	@bash deploy/native/setup/helm.sh
	@bash deploy/native/setup/kube.sh
	@bash deploy/native/setup/keda.sh
	@$(PYTHON) -m pytest tests/kube/keda.py $(ARGS)

.PHONY: alerts-fault-run
alerts-fault-run: setup ## five faults against a real cluster; the right alerts fire, end, and no others; forty minutes
	@PYTHONPATH=tests:deploy/native $(PYTHON) -m alerts $(ARGS)

.PHONY: docs
docs: setup ## write the generated pages (docs/configuration.md, docs/metrics.md, …)
	@bash deploy/native/setup/docs.sh

.PHONY: clean
clean: ## stop every cluster of this checkout and delete .venv, .cache and build products
	@for described in .cache/cluster/*/cluster.json; do \
	  [ -e "$$described" ] && HEADRACE_CLUSTER=$$(basename $$(dirname $$described)) $(NATIVE) down --wipe; done; true
	rm -rf .cache .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis services/kernel/target
	find . -name __pycache__ -prune -exec rm -rf {} +
