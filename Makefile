.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin

.PHONY: help install run test check format lock words bench

help: ## Show this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-9s %s\n", $$1, $$2}'

install: ## Set up .venv, locked dependencies and front-end files
	@setup/install.sh run

run: install ## Start everything on http://127.0.0.1:8000 with a demo merchant
	@$(BIN)/flask --app wsgi serve

test: ## Run the whole suite: SQLite, PostgreSQL, Chromium
	@setup/install.sh dev
	@setup/browser.sh
	@$(BIN)/python -m pytest -n $${TEST_WORKERS:-2} --dist worksteal $(ARGS)

check: ## Format, lint, types, import walls, templates, no registry address
	@setup/install.sh dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@PYTHONPATH=. $(BIN)/lint-imports --no-cache
	@cd sdk/python && PYTHONPATH=. ../../$(BIN)/lint-imports --no-cache
	@$(BIN)/djlint --quiet --lint templates
	@setup/no_addresses.sh

format: ## Put the code into its form
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

lock: ## Make the locks anew from the *.in files (ARGS=--upgrade for newer versions)
	@setup/install.sh run
	@setup/lock.sh $(ARGS)

words: ## Take new words of the shopper pages into the catalogues; then translate what is empty
	@setup/install.sh dev
	@$(BIN)/pybabel -q extract -F babel.cfg --no-location --sort-output --ignore-dirs 'node_modules .*' -o .words.pot .
	@$(BIN)/pybabel -q update -i .words.pot -d app/translations --no-fuzzy-matching --width 110; rm .words.pot

bench: ## Print throughput and latency as ratios to a bare floor app, and Lighthouse
	@setup/install.sh dev
	@$(BIN)/python -m bench $(ARGS)
