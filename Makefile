# setup · demo · test · soak · bench: each does all of its own installing on a fresh Debian machine.
SHELL := /bin/bash
PY := .venv/bin/python
FOR ?=
DEMO_ARGS ?=

.PHONY: setup demo test soak bench lint types clean

setup: .venv/.ready

.venv/.ready: requirements.lock pyproject.toml tools/setup.sh
	@bash tools/setup.sh

demo: setup
	@$(PY) -m ccengine demo $(if $(FOR),--for $(FOR)) $(DEMO_ARGS)

lint: setup
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .

types: setup
	@.venv/bin/mypy

test: setup lint types
	@bash tools/test.sh

soak: setup
	@bash tools/soak.sh

bench: setup
	@$(PY) -m benchmarks

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* var
