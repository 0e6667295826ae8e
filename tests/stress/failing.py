"""A plugin for pytest: every test that allocates runs again and again with one allocation failing, or all from one on.

PYTHONPATH=tests/stress FAILURES=20 python -m pytest -p failing          at 20 random places of each test
PYTHONPATH=tests/stress FAILURES=all SECONDS=10 python -m pytest -p failing   at every place, once for a moment and once for good; at random ones for
so many seconds if that takes longer.
Such a run may pass, as some failures are made good, or end with a MemoryError, alone or behind another exception; anything else fails the test, as
does an engine that then computes anything wrong or holds more than before. Left out: tests that can't be run twice, and those that start threads or
processes, where an error ends a thread or a process and not the test."""
import gc, itertools, os, random, time

import numpy as np
import pytest
from repeated import Watch, again, held, summary

from teenygrad import Tensor, _engine

EVERY, FAILURES = os.environ.get("FAILURES") == "all", os.environ.get("FAILURES") or "20"
SECONDS, TITLE = float(os.environ.get("SECONDS") or 10), "failing allocations"
watch = Watch()

def out_of_memory(e):
  """Is a MemoryError among what led to the exception?"""
  while e is not None:
    if isinstance(e, MemoryError) or "MemoryError" in str(e) or "out of memory" in str(e): return True
    e = e.__cause__ or e.__context__
  return False

def places(used, seconds, rng, counts):
  """(n, forever): which allocation is to fail, and whether all after it are."""
  if not EVERY: return [(rng.randint(1, used), rng.random() < .3) for _ in range(int(FAILURES))]
  if used * seconds <= SECONDS:  # a run that fails ends half-way through, on average
    counts["tests with every allocation"] = 1
    return itertools.product(range(1, used + 1), (False, True))
  return ((rng.randint(1, used), rng.random() < .5) for _ in range(int(SECONDS / seconds)))

def fail(run, n, forever, what):
  """Whether the run ended with a MemoryError."""
  _engine.fail_at(n, forever)
  try: run()
  except KeyboardInterrupt: raise
  except BaseException as e:
    _engine.fail_at(0)
    if not out_of_memory(e): raise AssertionError(f"with {what}") from e
    return True
  finally: _engine.fail_at(0)
  return False

def check(before, what):
  x = Tensor(np.arange(12, dtype=np.float32).reshape(3, 4))
  assert (x @ x.T + x.sum()).numpy().tolist() == [[80, 104, 128], [104, 192, 280], [128, 280, 432]], f"after {what}"
  del x
  grown = {name: (before[name], n) for name, n in held().items() if n > before[name]}
  assert not grown, f"{what} left {grown}"

@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem):
  before = _engine.memory()["requests"]
  watch.look()
  result = yield
  used = _engine.memory()["requests"] - before
  if not used or watch.look() or "fail_at" in pyfuncitem.function.__code__.co_names: return result
  run = again(pyfuncitem)
  before, start = _engine.memory()["requests"], time.perf_counter()
  try: run()
  except BaseException: return result  # it can't be run twice
  used, seconds = _engine.memory()["requests"] - before, time.perf_counter() - start
  counts = {"tests": 1, "tests with every allocation": 0, "runs": 0, "MemoryError": 0}
  pyfuncitem.user_properties.append((TITLE, counts))
  gc.collect()
  gc.freeze()  # what lives already need not be looked at in each collection
  try:
    before = held()
    for n, forever in places(used, seconds, random.Random(pyfuncitem.nodeid), counts):
      what = f"allocation {n} of {used} failing{', and all after it' if forever else ''}"
      counts["runs"] += 1
      counts["MemoryError"] += fail(run, n, forever, what)
      check(before, what)
  finally: gc.unfreeze()
  return result

def pytest_terminal_summary(terminalreporter): summary(terminalreporter, TITLE)
