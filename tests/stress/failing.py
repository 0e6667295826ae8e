"""A plugin for pytest: every test that allocates runs again and again with one allocation failing, or all from one on.

PYTHONPATH=tests/stress FAILURES=20 python -m pytest -p failing. Such a run may pass, as some failures are made good, or end with a MemoryError,
alone or behind another exception; anything else fails the test, as does an engine that then computes anything wrong. Tests whose work is done by
threads of their own, or that can't be run twice, are left out."""
import os, random

import numpy as np
import pytest

FAILURES = int(os.environ.get("FAILURES") or 20)
counts = {"tests": 0, "runs": 0, "MemoryError": 0}

def out_of_memory(e):
  """Is a MemoryError among what led to the exception?"""
  while e is not None:
    if isinstance(e, MemoryError) or "MemoryError" in str(e) or "out of memory" in str(e): return True
    e = e.__cause__ or e.__context__
  return False

@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem):
  from teenygrad import Tensor, _engine
  before = _engine.memory()["requests"]
  result = yield
  used = _engine.memory()["requests"] - before
  if not used or "fail_at" in pyfuncitem.function.__code__.co_names or "threads" in pyfuncitem.name: return result
  rng = random.Random(pyfuncitem.nodeid)
  arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
  try: pyfuncitem.obj(**arguments)
  except BaseException: return result  # it can't be run twice
  counts["tests"] += 1
  for _ in range(FAILURES):
    n, forever = rng.randint(1, used), rng.random() < .3
    counts["runs"] += 1
    _engine.fail_at(n, forever)
    try: pyfuncitem.obj(**arguments)
    except BaseException as e:
      _engine.fail_at(0)
      counts["MemoryError"] += 1
      if not out_of_memory(e): raise AssertionError(f"with allocation {n} of {used} failing{', and all after it' if forever else ''}") from e
    finally: _engine.fail_at(0)
    x = Tensor(np.arange(12, dtype=np.float32).reshape(3, 4))
    assert (x @ x.T + x.sum()).numpy().tolist() == [[80, 104, 128], [104, 192, 280], [128, 280, 432]]
  return result

def pytest_terminal_summary(terminalreporter):
  terminalreporter.write_line(f"failing allocations: {counts}")
