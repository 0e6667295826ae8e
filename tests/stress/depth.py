"""A chain of many operations: built, pickled, copied, differentiated, computed and dropped, with the time that each takes.

python tests/stress/depth.py [OPERATIONS]"""
import copy, gc, pickle, resource, sys, time

import numpy as np
from teenygrad import Tensor, _engine

def timed(name, work):
  start = time.perf_counter()
  result = work()
  print(f"{name:9s} {time.perf_counter() - start:7.2f} s", flush=True)
  return result

def chain(n):
  w = x = Tensor.ones(4, requires_grad=True)
  for i in range(n): x = x * 1.0 if i % 2 else x + w
  return w, x

def main(n):
  _engine.set_pending(0, 0)
  w, x = timed("build", lambda: chain(n))
  want = np.full(4, n // 2 + n % 2 + 1, np.float32)
  for name, clone in (("pickle", lambda: pickle.loads(pickle.dumps(x))), ("deepcopy", lambda: copy.deepcopy(x))):
    assert (timed(name, clone).numpy() == want).all()
  y = x.sum()
  timed("backward", y.backward)
  timed("realize", lambda: Tensor.corealize([y, w.grad]))
  assert (w.grad.numpy() == want).all()
  timed("drop", gc.collect)
  pending = [chain(n)]
  timed("drop", pending.clear)  # with its graph
  print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")

if __name__ == "__main__": main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
