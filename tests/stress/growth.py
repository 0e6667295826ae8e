"""Does memory grow with the steps of a training? Prints what the process and the engine hold after a tenth of the steps and at the end.

python tests/stress/growth.py [STEPS]   the exit status is 1 if the engine holds more, or Python more than a few blocks, or the process 1 MiB."""
# ruff: noqa: E501  (tables)
import gc, os, sys, time

import numpy as np
from teenygrad import Tensor, _engine
from teenygrad.nn import optim

def state():
  gc.collect()
  memory = _engine.memory()
  with open("/proc/self/statm") as f: resident = int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
  return {"objects": memory["objects"], "blocks": memory["blocks"], "block_bytes": memory["block_bytes"], "pending": _engine.pending()["nodes"],
          "python_blocks": sys.getallocatedblocks(), "none_references": sys.getrefcount(None), "resident": resident}

def main(steps):
  rng = np.random.default_rng(1)
  X, Y = rng.standard_normal((64, 16)).astype(np.float32), rng.integers(0, 4, 64).astype(np.int32)
  w1, b1, w2 = Tensor.scaled_uniform(16, 32), Tensor.zeros(32), Tensor.scaled_uniform(32, 4)
  opt, start, early = optim.Adam([w1, b1, w2], lr=1e-4), time.monotonic(), {}
  Tensor.training = True
  for step in range(steps):
    rows = rng.integers(0, 64, 8)
    loss = (Tensor(X[rows]) @ w1 + b1).relu().dropout(.1).dot(w2).sparse_categorical_crossentropy(Tensor(Y[rows]))
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step == steps // 10:
      loss.item()
      early = state()
  loss.item()
  late = state()
  print(f"{steps} steps in {time.monotonic() - start:.0f} s")
  for name in early: print(f"{name:16s} {early[name]:12d} after {steps // 10} steps {late[name]:12d} at the end")
  grown = {name: late[name] - early[name] for name in early}
  return any(grown[name] > 0 for name in ("objects", "blocks", "block_bytes", "pending")) or grown["python_blocks"] > 100 or grown["resident"] > 1 << 20

if __name__ == "__main__": sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
