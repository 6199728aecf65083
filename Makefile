# Each target sets up what it needs in .venv first, and needs no more than Python 3.11 to 3.13, git and make.
# The Python is found by scripts/set_up.sh; `make demo PYTHON=/path/to/python3` names another one.

.DEFAULT_GOAL := help
.NOTPARALLEL:

BIN := .venv/bin
# When these were last installed: what runs postga, and what develops it (the same packages and more).
RUN := .venv/.installed-run
DEV := .venv/.installed-dev

$(RUN): requirements.lock pyproject.toml
	@sh scripts/set_up.sh requirements.lock
	@touch $@

$(DEV): requirements-dev.txt pyproject.toml
	@sh scripts/set_up.sh requirements-dev.txt
	@touch $(RUN) $@

.PHONY: help
help: ## Print this list.
	@awk -F ':.*## ' '/^[a-z0-9_-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: $(RUN) ## Run the whole week on the shipped recording; no server needed. Ends with the path of the report.
	@rm -rf demo_output
	$(BIN)/postga run test_data/release.yaml --recording test_data/recording --output-dir demo_output

.PHONY: test
test: lint ## Run lint and all tests. Those against a real server need Prometheus: apt-get install prometheus
	$(BIN)/python -m pytest

.PHONY: torture
torture: $(DEV) ## Kill the watcher at 200 random moments, and at every call that changes the disk; takes ten minutes.
	$(BIN)/python -m tests.torture
	POSTGA_TORTURE=1 $(BIN)/python -m pytest tests/test_watcher.py -k "killed or full_disk"

.PHONY: lint
lint: $(DEV) ## Check the style and the types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: test-phase14_6
test-phase14_6: test-retro-unit test-retro-smoke ## Run the unit tests and the smoke test of the retrospective.

.PHONY: test-retro-unit
test-retro-unit: $(DEV) ## Run the unit tests of the retrospective.
	$(BIN)/python -m pytest tests/test_retrospective_generator.py -v

.PHONY: test-retro-smoke
test-retro-smoke: $(RUN) ## Run the smoke test: the retrospective of the flat test data, start to end.
	PATH="$(CURDIR)/$(BIN):$$PATH" ./scripts/test_phase14_6_pipeline.sh

.PHONY: retro-test
retro-test: $(RUN) ## Write the retrospective of the flat test data to test_output/.
	$(BIN)/python scripts/generate_retrospective.py \
	  --ga-data test_data/ga_kpis \
	  --7day-data test_data/stability \
	  --regression test_data/regression/regression_summary.json \
	  --anomalies test_data/anomalies/anomaly_events.json \
	  --output test_output/retrospective.md

.PHONY: clean-test
clean-test: ## Remove what the tests wrote.
	rm -rf test_output htmlcov .coverage .pytest_cache .hypothesis

.PHONY: clean
clean: clean-test ## Remove everything that make made, .venv too.
	rm -rf demo_output .mypy_cache .ruff_cache .venv

.PHONY: reference
reference: $(RUN) ## Export docs/commands.md, docs/kpis.md and docs/schemas/ from the code.
	$(BIN)/python -m scripts.export_reference
	$(BIN)/python -m scripts.export_schemas

.PHONY: test-data
test-data: $(RUN) ## Generate the shipped recording, the flat test data and their truth again.
	$(BIN)/python test_data/generate.py all test_data

# pip cannot read uv.lock, so what it needs of it is exported, with the hashes.
define export_lock
@printf '# %s\n# Exported from uv.lock by: make lock\n' $(2) > $(1).new
@uv export --quiet --frozen --no-header --no-emit-project --format requirements-txt $(3) >> $(1).new
@mv $(1).new $(1)
endef

.PHONY: lock
lock: ## Lock the dependencies again after a change in pyproject.toml. This one needs uv.
	uv lock --default-index https://pypi.org/simple
	$(call export_lock,requirements.lock,'What postga needs to run.',--no-dev)
	$(call export_lock,requirements-dev.txt,'What postga needs to run and to be developed.',)
