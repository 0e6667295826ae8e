# The commands of daily work. Everything runs in the virtual environment .venv, which is made and filled when needed;
# PYTHON=... chooses another interpreter that has what the last rule here installs.
# PYTEST=... are arguments for pytest, for example: make test PYTEST='-x -k conv'
# FUZZ=... are arguments for the fuzzer of graphs: make fuzz FUZZ='--seed 5000 --count 100000 --minutes 60 --isa avx2'

PYTHON ?= .venv/bin/python
PYTEST ?=
FUZZ ?=
VENV := $(if $(filter .venv/%,$(PYTHON)),.venv/ready.stamp)
SOURCES := $(shell find csrc -name '*.[ch]' -o -name '*.inc' -o -name '*.def') setup.py
# For targets that run elsewhere than here.
RUN = $(if $(findstring /,$(PYTHON)),$(abspath $(PYTHON)),$(PYTHON))

.PHONY: build debug test test-isa test-aarch64 test-memory test-references fuzz stress asan ubsan tsan bench lint tidy types dist docs size clean

build: build/release.stamp

build/release.stamp: $(SOURCES) | $(VENV)
	$(PYTHON) setup.py -q build_ext --inplace
	@mkdir -p build && touch $@

# Replaces the extension in teenygrad/ by one with checks and debugging information.
debug: | $(VENV)
	rm -f build/release.stamp
	TEENYGRAD_BUILD=debug $(PYTHON) setup.py -q build_ext --inplace

test: build
	$(PYTHON) -m pytest $(PYTEST)

# Kernels that this machine can't run fall back to the best that it can.
test-isa: build
	set -e; for isa in base avx2 avx512; do echo "ISA $$isa"; TEENYGRAD_ISA=$$isa $(PYTHON) -m pytest -q $(PYTEST); done

# The tests of the engine, built for 64-bit ARM and run under qemu (Debian, root).
AARCH64 ?= tests/test_engine.py tests/test_exact.py tests/test_schedule.py tests/test_view.py tests/test_random.py
test-aarch64:
	tests/aarch64.sh $(AARCH64)

# Random graphs, compared with PyTorch.
fuzz: build
	PYTHONPATH=. $(PYTHON) tests/stress/graphs.py $(FUZZ)

# Every test that allocates again with one allocation failing, or all from there on: FAILURES times each, or with
# FAILURES=all at every place of those that need no more than SECONDS for it. Then Python's own allocations.
FAILURES ?= 20
SECONDS ?= 10
test-memory: build
	PYTHONPATH=tests/stress FAILURES=$(FAILURES) SECONDS=$(SECONDS) $(PYTHON) -m pytest -q -p failing -m "not slow" $(PYTEST)
	PYTHONPATH=.:tests/stress $(PYTHON) tests/stress/nomemory.py

# Every test REPEATS times, or for SECONDS, on a debug Python: nothing may be left. The programs first, errors among them.
# DEBUG_PYTHON needs what the extra `testing` installs; any other Python will do, but checks less.
DEBUG_PYTHON ?= .venv-debug/bin/python
DEBUG_VENV := $(if $(filter .venv-debug/%,$(DEBUG_PYTHON)),.venv-debug/ready.stamp)
REPEATS ?= 1000
test-references: | $(DEBUG_VENV)
	$(DEBUG_PYTHON) setup.py -q build_ext --inplace
	set -e; for tests in tests/stress/programs.py tests; do PYTHONPATH=.:tests/stress REPEATS=$(REPEATS) SECONDS=$(SECONDS) \
	  $(DEBUG_PYTHON) -W ignore -m pytest -q -p references -m "not slow" $(PYTEST) $$tests; done

# What docs/reliability.md promises, measured: minutes. CALLS and STEPS: how many.
CALLS ?= 1000000
STEPS ?= 100000
stress: build
	PYTHONPATH=. $(PYTHON) tests/stress/interrupt.py
	PYTHONPATH=. $(PYTHON) tests/stress/depth.py
	PYTHONPATH=. $(PYTHON) tests/stress/growth.py $(STEPS)
	PYTHONPATH=. $(PYTHON) tests/stress/calls.py $(CALLS)

# Sanitizers (Linux), by gcc or with CC=clang. Each has its own tree under build/, with the package built for it and links
# to the tests. Python itself is not built for it: the compiler's runtime is loaded first. What it reports goes to the
# terminal, not to where pytest keeps a test's output. Two processes: make asan PYTEST="-n 2", with pytest-xdist.
SANITIZER_PYTEST = -q -p no:cacheprovider --capture=sys -m "not slow"
ifeq ($(origin CC),default)
CC = gcc
endif
runtime = $(if $(findstring clang,$(CC)),libclang_rt.$(1)-$(shell uname -m).so,lib$(2).so)
preload = $(shell $(CC) -print-file-name=$(call runtime,$(1),$(2))) $(shell gcc -print-file-name=libstdc++.so.6)

asan: PRELOAD = $(call preload,asan,asan)
asan: OPTIONS = ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=4096 UBSAN_OPTIONS=print_stacktrace=1
ubsan: PRELOAD = $(call preload,ubsan_standalone,ubsan)
ubsan: OPTIONS = UBSAN_OPTIONS=print_stacktrace=1
# Address randomization is off because ThreadSanitizer can't place its shadow under all of it. A fork while threads
# run is beyond it: it knows the parent's threads in the child.
tsan: PRELOAD = $(if $(findstring clang,$(CC)),$(abspath build/first.so)) $(call preload,tsan,tsan)
tsan: OPTIONS = OMP_NUM_THREADS=1 TSAN_OPTIONS=die_after_fork=0:allocator_may_return_null=1:report_signal_unsafe=0 setarch -R
tsan: SANITIZER_PYTEST += -k "not fork"
# clang's runtime is used by constructors of other libraries before its own has run, unless something calls it first.
tsan: $(if $(findstring clang,$(CC)),build/first.so)
build/first.so:
	@mkdir -p build
	printf '%s\n' 'void __tsan_init(void);' '__attribute__((constructor)) static void first(void) { __tsan_init(); }' \
	  | $(CC) -x c - -shared -fPIC -Wl,-z,initfirst -o $@

asan ubsan tsan: TREE = build/$@-$(notdir $(CC))
asan ubsan tsan: | $(VENV)
	rm -rf $(TREE)
	TEENYGRAD_BUILD=$@ CC=$(CC) $(PYTHON) setup.py -q build --build-lib $(TREE) --build-temp $(TREE)-objects
	for name in $(filter-out teenygrad build dist %.egg-info,$(wildcard *)); do ln -sfn ../../$$name $(TREE)/$$name; done
	cd $(TREE) && env LD_PRELOAD="$(PRELOAD)" PYTHONMALLOC=malloc $(OPTIONS) \
	  $(RUN) -m pytest $(SANITIZER_PYTEST) $(PYTEST) tests

bench: build
	$(PYTHON) benchmarks/run.py

# Every C file with every compiler there is, warnings being errors, as the baseline and with the checks of a debug build.
WARNINGS = -std=c11 -Wall -Wextra -Wshadow -Wstrict-prototypes -Werror -Wno-pass-failed
INCLUDES = -Icsrc $(shell $(PYTHON) -c "import numpy, sysconfig; \
  print('-isystem', sysconfig.get_path('include'), '-isystem', numpy.get_include())")
C_FILES := $(sort $(filter %.c,$(SOURCES)))

lint: tidy
	$(PYTHON) -m ruff check .
	@for cc in gcc clang; do command -v $$cc >/dev/null || { echo "no $$cc here: skipped"; continue; }; \
	  for flags in "-O2" "-O2 -DTG_DEBUG"; do \
	    echo "$$cc $$flags"; \
	    printf '%s\n' $(C_FILES) | xargs -P 4 -I{} $$cc $(WARNINGS) $$flags $(INCLUDES) -c {} -o /dev/null || exit 1; \
	  done; done

tidy: | $(VENV)
	@if command -v clang-tidy >/dev/null; then echo clang-tidy; \
	  printf '%s\n' $(C_FILES) | xargs -P 4 -I{} clang-tidy --quiet {} -- -std=c11 $(INCLUDES) 2>/dev/null; \
	else echo "no clang-tidy here: skipped"; fi

types: | $(VENV)
	$(PYTHON) -m mypy

# The source distribution and a wheel, in build/dist. Fails if a file of the repository is missing in the former, or if the latter
# is larger than 1 MB.
dist: | $(VENV)
	rm -rf build/dist
	$(PYTHON) -m pip -q install build
	$(PYTHON) -m build -q -o build/dist
	@git ls-files | sort > build/dist/tracked
	@tar tzf build/dist/*.tar.gz | sed 's|^[^/]*/||' | sort | comm -23 build/dist/tracked - | \
	  { ! grep . || { echo "not in the source distribution" >&2; exit 1; }; }
	@ls -l build/dist/*.whl build/dist/*.tar.gz | awk '{print $$5, $$NF}'
	@test $$(stat -c %s build/dist/*.whl 2>/dev/null || stat -f %z build/dist/*.whl) -lt 1000000

# The pages that are made of the sources.
docs: build
	$(PYTHON) docs/generate.py

# What a reader reads.
size: | $(VENV)
	$(PYTHON) sz.py

clean:
	rm -rf build dist *.egg-info teenygrad/*.so

.venv/ready.stamp: pyproject.toml
	test -x .venv/bin/python || python3 -m venv .venv
	.venv/bin/pip -q install 'setuptools>=77' 'numpy>=2.0' -e '.[mnist,testing,lint]'
	touch $@

# Debian: python3-dbg and python3-venv.
.venv-debug/ready.stamp: pyproject.toml
	test -x .venv-debug/bin/python || python3-dbg -m venv .venv-debug
	.venv-debug/bin/pip -q install 'setuptools>=77' 'numpy>=2.0' pytest hypothesis torch==2.13.0 tqdm tabulate
	touch $@
