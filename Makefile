# `make demo` shows the main job, `make test` proves it. Both set up what they need.
.PHONY: help setup demo test unit chaos bench audit lint clean

help:
	@echo "make demo    a site dies and comes back up in Azure, told in four acts (about a minute)"
	@echo "make test    every test, the linters and the type checker (about 20 minutes)"
	@echo "make unit    the tests that need no lab (seconds)"
	@echo "make chaos   every crash point, every fault of Azure, thirty random bad days (about half an hour)"
	@echo "make bench   recovery time against the critical path, a storm of alerts, the cold start"
	@echo "make audit   known vulnerabilities and mistakes: packages, templates, workflows (a minute)"
	@echo "make clean   removes .venv and Azurite"

setup:
	@bash lab/setup.sh

demo: setup
	@.venv/bin/python -m cli.demo

test: lint
	@.venv/bin/python -m pytest tests -n logical --dist worksteal

unit: setup
	@.venv/bin/python -m pytest tests/shared

bench: setup
	@.venv/bin/python bench/recovery_time.py
	@.venv/bin/python bench/alert_storm.py
	@.venv/bin/python bench/cold_start.py

chaos: setup
	@.venv/bin/python -m lab.chaos --seed 2026

audit:
	@bash lab/setup.sh audit
	@.venv-audit/bin/python -m tests.audit

lint: setup
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy shared functions lab cli bench function_app.py

clean:
	rm -rf .venv .venv-audit lab/azurite/node_modules
