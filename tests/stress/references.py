"""A plugin for pytest: every test runs REPEATS times more, or for as many SECONDS, and must not leave anything: references to what lived before,
blocks of Python, objects and blocks of the engine.

PYTHONPATH=tests/stress REPEATS=1000 SECONDS=60 python3-dbg -m pytest -p references
A debug build of Python also checks each count of references and each block that it frees. Its own total, sys.gettotalrefcount(), is of no use here:
NumPy and PyTorch, not built for it, drop references that it has counted. A test does the same in every run, so what it leaves it leaves each time: a
count that grows in every one of ROUNDS rounds fails it. (Caches of texts fill by a few in hundreds of runs; the one of Python's types by one in each
run that looks up a fresh text, so that one is emptied first.) Tests that can't be run twice, or not LEAST times a round in their SECONDS, are left
out."""
import functools, gc, itertools, os, sys, time

import pytest
from repeated import again, held, summary

REPEATS, SECONDS = int(os.environ.get("REPEATS") or 1000), float(os.environ.get("SECONDS") or 60)
ROUNDS, WARM_UP, LEAST, TITLE = 5, 200, 20, "repeated tests"
empty_type_cache = getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache  # the first from Python 3.13 on

@functools.cache
def living():
  """All objects at the time of the first call."""
  tracked = gc.get_objects()
  return list({id(x): x for x in itertools.chain(tracked, *map(gc.get_referents, tracked))}.values())

def state():
  empty_type_cache()
  return {**held(), "references": sum(map(sys.getrefcount, living())), "python_blocks": sys.getallocatedblocks()}

def growth(run, repeats):
  """The least that each count grows by in a round."""
  before, least = state(), dict.fromkeys(state(), sys.maxsize)
  for _ in range(ROUNDS):
    for _ in range(repeats): run()
    after = state()
    for name in least: least[name] = min(least[name], after[name] - before[name])
    before = after
  return least

@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem):
  result = yield
  run, counts = again(pyfuncitem), dict(tests=1)
  pyfuncitem.user_properties.append((TITLE, counts))
  start = time.perf_counter()
  try: run()
  except BaseException:
    counts["not twice"] = 1
    return result
  repeats = min(REPEATS, int(SECONDS / max(time.perf_counter() - start, 1e-6))) // ROUNDS
  if repeats < LEAST:
    counts["too long"] = 1
    return result
  for _ in range(min(WARM_UP, ROUNDS * repeats)): run()
  gc.collect()
  gc.freeze()  # what lives already need not be looked at in each collection
  try: least = growth(run, repeats)
  finally: gc.unfreeze()
  counts.update({"repeats": ROUNDS * repeats, f"{REPEATS} times": int(ROUNDS * repeats == REPEATS)})
  grown = {name: n for name, n in least.items() if n > 0}
  assert not grown, f"grew in each of {ROUNDS} rounds of {repeats} runs, by at least {grown}"
  return result

def pytest_terminal_summary(terminalreporter): summary(terminalreporter, TITLE)
