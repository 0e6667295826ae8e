"""How long after a SIGINT the KeyboardInterrupt comes, for each kind of kernel and for scheduling and copying: the worst of several moments.
Beside the time on the clock stands what the process computed in it: the rest is waiting for a core.

python tests/stress/interrupt.py [THREADS ...]"""
import functools, gc, os, signal, sys, threading, time

import numpy as np
from teenygrad import Tensor, _engine

MOMENTS = (.02, .15, .4)  # seconds after the start

def rand(*shape): return Tensor.rand(*shape).realize()
def index(n): return Tensor((np.arange(n) * 7919 % n).astype(np.int32)).lazydata

def into(array): return [Tensor(array) for _ in range(9)]
def out_of(x): return [x.contiguous_backward().numpy() for _ in range(9)]

def chain(n):
  x, one = Tensor.ones(4), Tensor.ones(4)
  for _ in range(n): x = x + one
  return x

def stored(n):
  x = rand(64, 64)
  for _ in range(n): x = (x.permute(1, 0).contiguous() * 0.5).sum(1, keepdim=True).expand(64, 64)
  return x

# Each makes what is to be computed, which takes a second and more; inputs of those too large for memory are computed where they are read.
CASES = {
  "map": lambda: [Tensor.rand(1 << 28) ** Tensor.rand(1 << 28)],
  "map in tiles": lambda: [((x.T.contiguous() + 1).T.contiguous() * i).T.contiguous() for x in [rand(8192, 4096)] for i in range(8)],
  "sum of all": lambda: [Tensor.rand(1 << 40).sum()],
  "sum along rows": lambda: [Tensor.rand(64, 1 << 36).sum(1)],
  "sum along columns": lambda: [Tensor.rand(1 << 30, 4096).sum(0)],
  "maximum of what is stored": lambda: [x.max(1) + i for x in [rand(40, 1 << 20)] for i in range(1000)],
  "rows": lambda: [Tensor.rand(1 << 17, 4096).softmax()],
  "running sum": lambda: [Tensor.rand(4, 1 << 26).cumsum(1) for _ in range(4)],
  "running sum of columns": lambda: [Tensor.rand(1 << 16, 4096).cumsum(0) for _ in range(4)],
  "gather": lambda: [Tensor(x.lazydata.gather(i, 0)) * j for x, i in [(rand(1 << 24), index(1 << 24))] for j in range(40)],
  "scatter": lambda: [Tensor(Tensor.rand(1 << 24).lazydata.scatter_add(i, 0, (1 << 24,))) for i in [index(1 << 24)] for _ in range(40)],
  "contraction": lambda: [a @ (a @ (a @ a)) for a in [rand(4096, 4096)]],
  "contraction in float64": lambda: [a @ (a @ a) for a in [Tensor(np.ones((4096, 4096)))]],
  "contraction of long sums": lambda: [(a * i) @ a.T for a in [rand(32, 1 << 22)] for i in range(1, 9)],
  "convolution": lambda: [x.conv2d(w, padding=1).conv2d(w).conv2d(w).conv2d(w) for x, w in [(rand(64, 64, 112, 112), rand(64, 64, 3, 3))]],
  "scheduling of 400,000 operations": lambda: [chain(400_000)],
  "scheduling of 20,000 kernels": lambda: [stored(20_000)],
  "array to tensor": lambda: [functools.partial(into, np.ones(1 << 30, np.int8)[::-1])],
  "tensor to array": lambda: [functools.partial(out_of, Tensor.rand(1).expand(1 << 29))],
}

def latency(targets, moment):
  """Seconds from the signal to the exception, on the clock and of computing; None if the work was done before."""
  sent = []
  def send():
    time.sleep(moment)
    sent[:] = time.perf_counter(), time.process_time()
    os.kill(os.getpid(), signal.SIGINT)
  thread = threading.Thread(target=send)
  try:
    thread.start()
    if callable(targets[0]): targets[0]()
    else: Tensor.corealize(targets)
    thread.join()
  except KeyboardInterrupt: return time.perf_counter() - sent[0], time.process_time() - sent[1]
  return None

def main():
  _engine.set_pending(0, 0)
  for threads in map(int, sys.argv[1:] or (1, 2)):
    _engine.set_threads(threads)
    for name, make in CASES.items():
      found = []
      for moment in MOMENTS:
        try: found.append(latency(make(), moment))
        except KeyboardInterrupt: pass  # it was done at that very moment
        gc.collect()
        _engine.trim()
      late = [seconds for seconds in found if seconds is not None]
      worst = [f"{1e3 * max(part):6.1f} ms" for part in zip(*late)]
      print(f"{threads} threads  {name:34s}", f"{worst[0]}, computing {worst[1]}" if worst else "done before", flush=True)

if __name__ == "__main__": main()
