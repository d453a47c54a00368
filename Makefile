# The words of this repository; each works on a fresh clone. `make` lists them.
.DEFAULT_GOAL := help
UV := $(shell command -v uv || echo .uv/bin/uv)

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

.PHONY: install
install: ## uv where it is missing, then exactly what uv.lock names
	@test -x "$$(command -v $(UV))" || python3 -m pip install --quiet --target .uv uv==0.13.9
	@$(UV) sync --quiet --locked

.PHONY: console
console: console/dist/index.html ## the web console, built; needs Node.js 20 or newer
console/dist/index.html: docs/openapi.json $(shell find console/src console/*.json console/*.ts console/index.html 2>/dev/null)
	cd console && npm ci --no-audit --no-fund --silent && npm run --silent build
	@touch $@

.PHONY: pictures
pictures: install ## every page of the console as a picture, into pictures/; two of them into docs/pictures/
	$(UV) run --no-sync python -m tests.console.pictures

.PHONY: run
run: install ## CMP on http://127.0.0.1:8000 with SQLite and the simulator, until Ctrl-C
	@if command -v npm > /dev/null; then $(MAKE) --silent console || echo "The console could not be built (Node.js 20 or newer, and npm's registry?); the API serves without it."; else echo "No console: install Node.js 20 or newer for it."; fi
	@exec $(UV) run --no-sync python main.py

.PHONY: check
check: install ## lint, types, import contracts, generated files
	$(UV) run --no-sync ruff check .
	$(UV) run --no-sync ruff format --check .
	$(UV) run --no-sync mypy
	$(UV) run --no-sync lint-imports
	$(UV) run --no-sync python docs/generate.py --check

.PHONY: test
test: check ## every test but those that need the Kubernetes binaries to be built first
	$(UV) run --no-sync pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not kubernetes and not node and not kubevirt" --durations 30 --durations-min 5

.PHONY: test-kubernetes
test-kubernetes: install ## builds kube-apiserver, etcd, kwok … when missing, then the tests on them
	$(UV) run --no-sync python -m testbed build
	$(UV) run --no-sync pytest -n 2 --dist loadfile --no-loadscope-reorder -m kubernetes

.PHONY: test-node
test-node: install ## builds kubelet, containerd … when missing, then the tests on a real node (needs root)
	$(UV) run --no-sync python -m testbed build node
	$(UV) run --no-sync pytest -n 2 --dist loadfile --no-loadscope-reorder -m node

.PHONY: test-kubevirt
test-kubevirt: install ## builds KubeVirt when missing, then the tests on it (needs root, gcc)
	$(UV) run --no-sync python -m testbed build kubevirt
	$(UV) run --no-sync pytest -m kubevirt

.PHONY: test-failed
test-failed: install ## what failed last time, once more, one at a time
	$(UV) run --no-sync pytest --last-failed --last-failed-no-failures none

.PHONY: fuzz
fuzz: install ## Schemathesis against the running API, and the isolation matrix with 50,000 probes and more
	CMP_FUZZ=full $(UV) run --no-sync pytest -s -m fuzz

.PHONY: sbom
sbom: install ## dist/sbom.json: what a running CMP is made of, CycloneDX
	mkdir -p dist
	$(UV) export --quiet --frozen --no-dev --format cyclonedx1.5 --output-file dist/sbom.json

.PHONY: audit
audit: install ## known vulnerabilities of what uv.lock names; asks osv.dev
	$(UV) audit --frozen --no-dev

.PHONY: bench
bench: install ## the hot paths against a bare reference, side by side
	$(UV) run --no-sync python -m bench.api

.PHONY: docs
docs: install ## docs/openapi.json and docs/settings.md from the code
	$(UV) run --no-sync python docs/generate.py

.PHONY: clean
clean: ## what tests and tools left; never .cmp/, which is your data
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
