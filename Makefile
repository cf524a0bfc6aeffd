# `make demo` shows the main job, `make test` proves it. Both set up what they need.
.PHONY: help setup demo test unit scenarios engine chaos bench screens audit lint clean

# Without compiled modules every process of every lab would compile the project again.
unexport PYTHONDONTWRITEBYTECODE

help:
	@echo "make demo       an outage and a failover to Azure, and the way home, in five acts (about a minute)"
	@echo "make test       the linters, the type checker, every test, a sample of scenarios in the lab"
	@echo "make unit       everything without the lab, every scenario in virtual time included (about two minutes)"
	@echo "make scenarios  every scenario in the lab"
	@echo "make engine     the scenarios tagged 'engine', on the storage provider that runs in Azure"
	@echo "make chaos      every crash point, every fault of Azure, thirty random bad days (about half an hour)"
	@echo "make bench      Coldsite beside scripts, recovery time up to 50 workloads, a storm of alerts, the cold start"
	@echo "make screens    the pictures of the page in docs/images (needs chromium)"
	@echo "make audit      known vulnerabilities and mistakes: packages, templates, workflows (a minute)"
	@echo "make clean      removes .venv and Azurite"

setup:
	@bash lab/setup.sh

demo: setup
	@.venv/bin/python -m cli.demo

test: lint
	@bash lab/setup.sh browser
	@.venv/bin/python -m pytest tests -m "not nightly and not engine" -n logical --dist worksteal -rs

unit: setup
	@.venv/bin/python -m pytest tests/unit tests/model tests/replay tests/virtual/test_scenarios.py -n logical --dist worksteal

scenarios: setup
	@.venv/bin/python -m pytest tests/lab/test_scenarios.py -k holds -n logical --dist worksteal

engine: setup
	@.venv/bin/python -m pytest tests/lab/test_engine.py -m engine -n logical --dist worksteal -rs

bench: setup
	@.venv/bin/python bench/recovery_time.py
	@.venv/bin/python bench/alert_storm.py
	@.venv/bin/python bench/cold_start.py
	@.venv/bin/python -m bench.race

screens: setup
	@.venv/bin/python -m tests.lab.take_screens

chaos: setup
	@.venv/bin/python -m lab.chaos --seed 2026

audit:
	@bash lab/setup.sh audit
	@.venv-audit/bin/python -m tests.audit

lint: setup
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/lint-imports --no-logo
	@.venv/bin/mypy shared functions lab cli bench function_app.py

clean:
	rm -rf .venv .venv-audit lab/azurite/node_modules
