#!/usr/bin/env python3
"""Measures teenygrad, PyTorch (eager) and NumPy side by side; README.md says how to read the table.

Each workload runs in one fresh process for each implementation (`worker`). This process, the parent, compares their first results, then asks
them for a measurement in turn, round by round, so that whatever else the machine does hits all alike."""
import argparse, collections, ctypes, gc, json, math, os, platform, resource, signal, statistics, subprocess, sys, tempfile, time
from importlib import metadata
from workloads import WORKLOADS

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
IMPLEMENTATIONS = {"ours": "ours", "torch": "PyTorch", "numpy": "NumPy"}
LIMIT = 120     # seconds until a silent worker is given up
BUDGET = 20     # seconds of a workload's rounds, of which there are three at least
BATCH = 0.02    # seconds that a round lasts at least, by repeating short calls
PAUSE = 0.2    # seconds between two turns, in which the threads of the one before stop spinning

# *** the worker ***

def peak_memory(reset=False):
  """The process's peak of resident bytes, since the last reset where the system can do that (Linux)."""
  try:
    if reset:
      with open("/proc/self/clear_refs", "w") as f: f.write("5")
    with open("/proc/self/status") as f: return next(int(line.split()[1]) for line in f if line.startswith("VmHWM")) * 1024
  except OSError: return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if platform.system() == "Darwin" else 1024)

def load(impl):
  """The library; a function that makes its tensor of an ndarray; one that computes pending results; one that makes an ndarray of a tensor."""
  if impl == "ours":
    from teenygrad import Tensor
    return Tensor, lambda a, grad: Tensor(a, requires_grad=grad or None).realize(), Tensor.corealize, lambda t: t.numpy()
  if impl == "torch":
    import torch
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    return torch, lambda a, grad: torch.from_numpy(a).requires_grad_(grad), lambda ts: None, \
      lambda t: (t.float() if t.dtype is torch.bfloat16 else t).detach().numpy()
  import numpy as np
  return np, lambda a, grad: a, lambda ts: None, lambda t: t

def script_call(path):
  """A function that runs the script and returns the number its output ends with, and one for the peak memory of such processes."""
  def call():
    done = subprocess.run([sys.executable, os.path.join(ROOT, path)], capture_output=True, text=True, timeout=LIMIT - 5,
                          env={**os.environ, "CI": "1"})
    if done.returncode: raise RuntimeError((done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1])
    return [float(done.stdout.split()[-1])]
  unit = 1 if platform.system() == "Darwin" else 1024
  return call, lambda reset=False: 0 if reset else resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit

def library_call(w, function, impl):
  """A function that computes the workload and returns its results, and one that makes an ndarray of a result."""
  import numpy as np
  lib, tensor, compute, array = load(impl)
  rng = np.random.default_rng(1)
  inputs = [make(rng) for make in w.inputs]
  inputs = [tensor(a, w.backward is not None and a.dtype == np.float32) for a in inputs]
  leaves = [t for t in inputs if getattr(t, "requires_grad", False)]
  upstream = tensor(rng.standard_normal(w.backward, np.float32), False) if w.backward else None
  step = function(lib, *inputs) if w.steps else None

  def call():
    if step: results = step()
    else:
      out = function(lib, *inputs)
      results = out if isinstance(out, tuple) else (out,)
      for leaf in leaves: leaf.grad = None
      if w.backward == (): out.backward()
      elif w.backward and impl == "torch": out.backward(upstream)
      elif w.backward: (out * upstream).sum().backward()  # the sum itself is never computed
      results += tuple(leaf.grad for leaf in leaves)
    compute(results)
    return results
  return call, array

def worker(name, impl, path):
  """Makes the first call, with its peak of memory, and leaves the results in the file `path`; then one measurement for each line of input.
  Answers are lines of JSON."""
  answers = os.fdopen(os.dup(1), "w", buffering=1)
  os.dup2(2, 1)  # what a library prints is no answer
  def answer(value):
    signal.alarm(0)
    print(json.dumps(value), file=answers)
  signal.alarm(LIMIT)
  w = WORKLOADS[name]
  function = getattr(w, impl)
  def timed(count=1):
    start = time.perf_counter()
    for _ in range(count): call()
    return (time.perf_counter() - start) / count
  try:
    peak, array = peak_memory, None
    if isinstance(function, str): call, peak = script_call(function)
    else: call, array = library_call(w, function, impl)
    gc.collect()
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"): libc.malloc_trim(0)  # what making the inputs left is not for the first call to use
    before, start = peak(reset=True), time.perf_counter()
    results = call()
    first, growth = time.perf_counter() - start, peak() - before
    import numpy as np
    arrays = [np.asarray(array(r) if array else r) for r in results]
    np.savez(path, *arrays)
    del results
    seconds = first if first > 0.5 else min(timed() for _ in range(3))
  except Exception as e:
    return answer({"skipped": f"{type(e).__name__}: {(str(e).splitlines() or [''])[0]}"})
  outputs = 0 if w.steps or not array else sum(a.nbytes for a in arrays)
  facts = {"seconds": seconds, "growth": growth / 2**20, "beyond": (growth - outputs) / 2**20}
  if w.flops and impl == "ours":
    from teenygrad import _engine
    facts["peak"] = _engine.limits()["flops_f32"]
  answer(facts)
  for _ in sys.stdin:
    signal.alarm(LIMIT)
    if seconds < 0.2: call()  # what the others pushed out of the caches comes back
    answer(timed(max(1, int(BATCH / seconds))))

# *** the parent ***

class Worker:
  """A worker's process and its first answer: {"skipped": reason} or what `worker` measured."""
  def __init__(self, name, impl, path, threads):
    variables = ("TEENYGRAD_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    env = {**os.environ, **{v: str(threads) for v in variables}, "PYTHONPATH": os.pathsep.join(filter(None, (os.getenv("PYTHONPATH"), ROOT)))}
    self.process = subprocess.Popen([sys.executable, os.path.abspath(__file__), "--worker", name, impl, path], env=env, text=True, bufsize=1,
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    self.path, self.first = path, self.answer()
  def answer(self):
    """The next answer; {"skipped": reason} from a dead worker."""
    if line := self.process.stdout.readline(): return json.loads(line)
    code = self.process.wait()
    return {"skipped": f"took more than {LIMIT} s" if code == -signal.SIGALRM else f"ended with status {code}"}
  def measure(self):
    print(file=self.process.stdin)
    return self.answer()
  def close(self):
    self.process.stdin.close()
    self.process.wait()

def difference(w, a, b):
  """What is unequal in the results of a pair of workers, or None."""
  import numpy as np
  with np.load(a.path) as x, np.load(b.path) as y:
    if len(x.files) != len(y.files): return f"{len(x.files)} and {len(y.files)} results"
    for i, (u, v) in enumerate(zip(x.values(), y.values())):
      if u.shape != v.shape: return f"result {i}: shapes {u.shape} and {v.shape}"
      u, v = (np.asarray(w.summary(r) if w.summary else r, np.float64) for r in (u, v))
      if not (np.abs(u - v) <= w.tol * (np.abs(v) + np.sqrt((v * v).mean()))).all(): return f"result {i}: off by up to {np.abs(u - v).max():.3g}"
  return None

def measure(name, repeat, threads, folder):
  """What is known of a workload in the end: each implementation's numbers, or why there are none."""
  w, rows = WORKLOADS[name], {}
  workers = {i: Worker(name, i, os.path.join(folder, f"{i}.npz"), threads) for i in IMPLEMENTATIONS if getattr(w, i)}
  try:
    rows = {i: dict(worker.first) for i, worker in workers.items()}
    running = {i: worker for i, worker in workers.items() if "skipped" not in rows[i]}
    reference = next((i for i in ("torch", "numpy") if i in running), None)
    for i in running:
      if i != reference and reference and (wrong := difference(w, running[i], running[reference])):
        rows[i]["wrong"] = f"differs from {IMPLEMENTATIONS[reference]}, {wrong}"
    if not running or any("wrong" in row for row in rows.values()): return rows
    if rows["ours"].get("beyond", 0) > (w.limit or math.inf): rows["ours"]["wrong"] = f"takes more than {w.limit} MiB beyond the results"
    rounds = max(3, min(repeat, int(BUDGET / sum(max(rows[i]["seconds"], BATCH) + PAUSE for i in running))))
    times = collections.defaultdict(list)
    for _ in range(rounds):
      for i, worker in running.items():
        time.sleep(PAUSE)
        answer = worker.measure()
        if isinstance(answer, dict): return {**rows, i: answer}
        times[i].append(answer)
    for i in running:
      rows[i].update(times=times[i], ms=statistics.median(times[i]) * 1e3)
      if "peak" in rows[i]: rows[i].update(share=w.flops / min(times[i]) / rows[i]["peak"])
      if i != "ours" and "ours" in running:
        ratios = [a / b for a, b in zip(times["ours"], times[i])]
        rows[i].update(ratio=statistics.median(ratios), quartiles=statistics.quantiles(ratios, n=4)[::2])
  finally:
    for worker in workers.values(): worker.close()
  return rows

def line(name, rows):
  """A line of the table, and one for each reason why a number is missing."""
  def cells(key, width, digits): return "".join(f"{rows.get(i, {}).get(key, math.nan):>{width}.{digits}f}" for i in IMPLEMENTATIONS)
  text = f"{name:<34}"
  for row in (rows.get("torch", {}), rows.get("numpy", {})):
    low, high = row.get("quartiles", (0, 0))
    text += f"{('~' if high - low > 0.2 * row.get('ratio', 0) else '') + format(row.get('ratio', math.nan), '.2f'):>9}"
  text = (text + cells("ms", 10, 3) + "  " + cells("growth", 8, 1) + "  " + cells("beyond", 8, 1)).replace("nan", "  -")
  if "share" in (ours := rows.get("ours", {})): text += f"\n    ours: {ours['share']:.0%} of the {ours['peak'] / 1e9:.0f} GFLOP/s of multiply-adds"
  return text + "".join(f"\n    {IMPLEMENTATIONS[i]} {k}: {row[k]}" for i, row in rows.items() for k in ("skipped", "wrong") if k in row)

def main():
  cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
  parser = argparse.ArgumentParser(description="Measures teenygrad, PyTorch and NumPy side by side.")
  parser.add_argument("names", nargs="*", help="only workloads whose name contains one of these")
  parser.add_argument("--json", metavar="FILE", help="write everything measured to FILE")
  parser.add_argument("--repeat", type=int, default=15, metavar="N", help="rounds (15), fewer for slow workloads, at least 3")
  parser.add_argument("--threads", type=int, default=cores, metavar="N", help=f"threads for each implementation ({cores})")
  args = parser.parse_args()
  names = [w for w in WORKLOADS if not args.names or any(n in w for n in args.names)]
  if not names: parser.error(f"no workload has such a name; there are: {', '.join(WORKLOADS)}")
  packages = {d.metadata["Name"]: d.version for d in metadata.distributions() if d.metadata["Name"] in ("torch", "numpy")}
  machine = {"machine": platform.machine(), "system": platform.system(), "python": platform.python_version(), **packages,
             "threads": args.threads, "load": round(os.getloadavg()[0], 2)}
  print(", ".join(f"{k} {v}" for k, v in machine.items()))
  print(f"{'':<34}{'ours /':>9}{'ours /':>9}{'milliseconds':>30}{'first call: MiB grown':>26}{'beyond the results':>26}")
  print(f"{'workload':<34}{'PyTorch':>9}{'NumPy':>9}" + "".join(f"{i:>10}" for i in IMPLEMENTATIONS.values())
        + ("  " + "".join(f"{i:>8}" for i in IMPLEMENTATIONS.values())) * 2)
  report = {}
  with tempfile.TemporaryDirectory() as folder:
    for name in names:
      report[name] = measure(name, args.repeat, args.threads, folder)
      print(line(name, report[name]), flush=True)
  if args.json:
    with open(args.json, "w") as f: json.dump({"machine": machine, "workloads": report}, f, indent=1)
  return any("wrong" in row for rows in report.values() for row in rows.values())

if __name__ == "__main__":
  if sys.argv[1:2] == ["--worker"]: worker(*sys.argv[2:])
  else: sys.exit(main())
