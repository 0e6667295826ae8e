"""Random calls of everything public, with arguments from the table of hostile ones and results of earlier calls, for as long as it is told.

python tests/stress/calls.py [CALLS [SEED]]   prints the last call's number and what went wrong; the exit status tells whether anything did."""
# ruff: noqa: E501  (tables)
import collections, gc, os, random, resource, signal, sys, time, warnings

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import numpy as np

import hostile
from teenygrad import Tensor, _engine

class Late(Exception):
  """Raised by the alarm: some calls ask for more than can be computed."""

def late(*_):
  if waiting: raise Late("took too long")
waiting = False

def argument(rng, values, made):
  """One of the values, one made earlier, or a list or tuple of such."""
  kind = rng.random()
  if kind < .6: return rng.choice(values)
  if kind < .85 and made: return rng.choice(made)
  return rng.choice((list, tuple))(argument(rng, values, made) for _ in range(rng.randrange(4)))

def main(count, seed):
  warnings.simplefilter("ignore")
  signal.signal(signal.SIGALRM, late)
  resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))  # what asks for more gets a MemoryError
  global waiting
  rng, entries, outcomes, wrong = random.Random(seed), hostile.entries(), collections.Counter(), []
  values, made, start, kept = hostile.values(), [], time.monotonic(), Tensor(np.arange(12.).reshape(3, 4))
  for n in range(count):
    if n % 2000 == 0:
      values, made = hostile.values(), made[-10:]
      if not np.array_equal(kept.numpy(), np.arange(12.).reshape(3, 4)): wrong.append((n, "a tensor has changed"))
      Tensor.training, Tensor.no_grad = False, False
    name, get = rng.choice(entries)
    try:
      waiting = True
      signal.setitimer(signal.ITIMER_REAL, 1)
      f = get(rng.choice([t for t in made if isinstance(t, Tensor) and hasattr(t, "lazydata")] or hostile.subjects()))
      args = [argument(rng, values, made) for _ in range(rng.choice((0, 1, 1, 2, 2, 3)))]
      result = f(*args)
      hostile.look(result, 10**4)
      waiting = False
      outcomes["result"] += 1
      if isinstance(result, Tensor) and hasattr(result, "lazydata") and result.numel() <= 10**4 and "__init__" not in name: made = [*made[-30:], result]
    except BaseException as e:
      waiting = False
      outcomes[type(e).__name__] += 1
      fault = None if isinstance(e, Late) else hostile.verdict(e)
      if fault: wrong.append((n, name, fault))
    signal.setitimer(signal.ITIMER_REAL, 0)
    if n % 10000 == 9999: gc.collect()
  print(f"{count} calls in {time.monotonic() - start:.0f} s, seed {seed}: {dict(outcomes.most_common())}")
  for w in wrong[:30]: print("WRONG", *w)
  print(f"{len(wrong)} wrong; {_engine.memory()['block_bytes']} bytes in blocks")
  return bool(wrong)

if __name__ == "__main__": sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000, int(sys.argv[2]) if len(sys.argv) > 2 else 1))
