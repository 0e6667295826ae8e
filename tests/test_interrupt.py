"""Signals while the engine works: Ctrl-C ends any computation soon and changes nothing; other handlers run, and may compute themselves.

Each test runs in a process of its own with real signals. How soon is printed by tests/stress/interrupt.py; here no time is checked, but what is
computed takes seconds to hours."""
# ruff: noqa: E501  (tables)
import subprocess, sys, textwrap

import pytest

HEAD = """
import gc, os, signal, threading, time
import numpy as np
from teenygrad import Tensor, _engine
from teenygrad.helpers import dtypes
from teenygrad.lazy import LazyBuffer

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's jobs in the background ignore it

def interrupted(work, number=signal.SIGINT, delay=0.15):
  "The exception of the work, which a signal met after so many seconds."
  def send():
    time.sleep(delay)
    os.kill(os.getpid(), number)
  thread = threading.Thread(target=send)
  try:
    thread.start()  # which may last until the signal, on a busy machine
    work()
  except BaseException as e: return type(e)
  finally: thread.join()

def works():
  x = Tensor(np.arange(64, dtype=np.float32).reshape(8, 8))
  return np.array_equal((x @ x + x.sum(1)).numpy(), x.numpy() @ x.numpy() + x.numpy().sum(1))
"""

def run(code, threads=2):
  done = subprocess.run([sys.executable, "-c", HEAD + f"_engine.set_threads({threads})\n" + textwrap.dedent(code)], capture_output=True, text=True, timeout=600)
  assert done.returncode == 0, done.stderr

# What takes a second and more; inputs are computed where they are read, or soon.
KERNELS = {
  "map": "[Tensor.rand(1 << 28) ** Tensor.rand(1 << 28)]",
  "map_in_tiles": "[((x.T.contiguous() + 1).T.contiguous() * i).T.contiguous() for x in [Tensor.rand(8192, 4096).realize()] for i in range(8)]",
  "sum_of_all": "[Tensor.rand(1 << 40).sum()]",
  "sum_along_rows": "[Tensor.rand(64, 1 << 36).sum(1)]",
  "sum_along_columns": "[Tensor.rand(1 << 30, 4096).sum(0)]",
  "sum_of_what_is_stored": "[x.max(1) + i for x in [Tensor.rand(40, 1 << 20).realize()] for i in range(1000)]",
  "rows": "[Tensor.rand(1 << 16, 4096).softmax()]",
  "running_sum": "[Tensor.rand(4, 1 << 26).cumsum(1) for _ in range(4)]",
  "running_sum_of_columns": "[Tensor.rand(1 << 16, 4096).cumsum(0) for _ in range(4)]",
  "sort": "[(x * i).argsort() for x in [Tensor.rand(1 << 24).realize()] for i in range(1, 40)]",
  "sort_of_doubles": "[(x * i).argsort() for x in [Tensor.rand(1 << 24, dtype=dtypes.float64).realize()] for i in range(1, 20)]",
  "topk": "[(x * i).topk(1 << 20)[1] for x in [Tensor.rand(1 << 24).realize()] for i in range(1, 40)]",
  "gather": "[Tensor(x.lazydata.gather(index, 0)) * i for x in [Tensor.rand(1 << 24).realize()] for i in range(40)]",
  "scatter": "[Tensor(Tensor.rand(1 << 24).lazydata.scatter_add(index, 0, (1 << 24,))) for _ in range(40)]",
  "contraction": "[a @ (a @ (a @ a)) for a in [Tensor.rand(4096, 4096).realize()]]",
  "long_contraction": "[(a * i) @ a.T for a in [Tensor.rand(32, 1 << 22).realize()] for i in range(1, 9)]",
  "convolution": "[x.conv2d(w, padding=1).conv2d(w).conv2d(w).conv2d(w) for x, w in [(Tensor.rand(64, 64, 112, 112), Tensor.rand(64, 64, 3, 3))]]",
}

@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kernel", KERNELS)
def test_ctrl_c(kernel, threads):
  """KeyboardInterrupt; what was to be computed is still pending, and all else works."""
  run(f"""
    _engine.set_pending(0, 0)
    index = Tensor((np.arange(1 << 24) * 7919 % (1 << 24)).astype(np.int32)).lazydata
    small = Tensor.ones(4, 4) + 1
    targets = {KERNELS[kernel]}
    gc.collect()
    before = _engine.memory()
    assert interrupted(lambda: Tensor.corealize([small, *targets])) is KeyboardInterrupt
    after = _engine.memory()
    assert before["objects"] == after["objects"] and before["block_bytes"] == after["block_bytes"]
    assert not any(t.lazydata.computed for t in [small, *targets])
    assert (small.numpy() == 2).all() and works()
    assert interrupted(lambda: Tensor.corealize(targets), delay=.3) is KeyboardInterrupt
    assert works()
  """, threads)

def test_ctrl_c_while_scheduling():
  run("""
    _engine.set_pending(0, 0)
    x, one = Tensor.ones(4), Tensor.ones(4)
    for _ in range(400_000): x = x + one
    before = _engine.memory()["objects"]
    assert interrupted(x.realize, delay=.1) is KeyboardInterrupt
    assert not x.lazydata.computed and _engine.memory()["objects"] == before
    assert x.numpy()[0] == 400_001 and works()
  """)

def test_ctrl_c_while_copying():
  """Into and out of an array."""
  run("""
    def both():
      while True:
        x = Tensor(a[::-1])
        assert x.numpy()[0, 0] == 3
    a = np.full((2, 1 << 25), 3, np.int8)
    assert interrupted(both) is KeyboardInterrupt and works()
    wide = Tensor.ones(1).expand(1 << 31)
    x = Tensor.rand(1 << 20).realize()
    assert interrupted(lambda: [x.expand(64, 1 << 20).numpy() for _ in range(10000)]) is KeyboardInterrupt and works()
  """)

def test_ctrl_c_in_what_is_computed_on_its_own():
  """What is pending beyond the limit is computed by an operation: that operation raises, and nothing is lost."""
  run("""
    _engine.set_pending(500, 0)
    total, kept = Tensor.zeros(()), []
    def work():
      global total
      while True:
        total = total + Tensor.rand(1 << 16).sin().sum() * 0 + 1
        kept.append(total)
    for _ in range(3):
      kind = interrupted(work)
      assert kind is KeyboardInterrupt, kind
    for n, t in enumerate(kept): assert t.item() == n + 1
    assert works() and _engine.pending()["relieved"]
  """)

def test_a_handler_that_raises():
  """Whatever it raises is the outcome."""
  run("""
    class Timeout(Exception): pass
    def late(number, frame): raise Timeout
    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, .2)
    try: Tensor.rand(1 << 40).sum().realize()
    except Timeout: pass
    else: raise SystemExit("no timeout")
    assert works()
    signal.signal(signal.SIGTERM, lambda *_: exit(7))
    assert interrupted(lambda: Tensor.rand(1 << 40).sum().item(), signal.SIGTERM) is SystemExit and works()
  """)

@pytest.mark.parametrize("work", ["a.dot(a)", "a.exp().sort()[0]"])
def test_no_second_handler_runs_once_one_has_raised(work):
  """While many workers wind down, signals go on: what the next handler does must not meet the first one's exception."""
  run(f"""
    class Stop(Exception): pass
    ran = []
    def handler(number, frame):
      ran.append(number)
      if len(ran) == 1: raise Stop
      str(sys.exc_info())
    import sys
    signal.signal(signal.SIGALRM, handler)
    a = Tensor.rand(3000, 3000).realize()
    for _ in range(12):
      ran.clear()
      t = {work}
      try:
        signal.setitimer(signal.ITIMER_REAL, .02, .003)
        try: t.realize()
        finally: signal.setitimer(signal.ITIMER_REAL, 0)
      except Stop: pass
    assert works()
  """, threads=16)

def test_handlers_that_raise_nothing():
  """They run during the computation, which goes on."""
  run("""
    seen = []
    signal.signal(signal.SIGALRM, lambda *_: seen.append(len(seen)))
    signal.signal(signal.SIGINT, lambda *_: seen.append("int"))
    x = Tensor.rand(1 << 20)
    want = x.sum().numpy()
    signal.setitimer(signal.ITIMER_REAL, .02, .02)
    y = Tensor.rand(1 << 26).sin()
    z = Tensor.cat(*[(y * i).sum().reshape(1) for i in range(1, 12)])
    assert interrupted(z.realize, delay=.1) is None
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert "int" in seen and len(seen) > 2, seen
    assert np.allclose(z.numpy(), z.numpy()[0] * np.arange(1, 12), rtol=1e-5) and works() and (x.sum().numpy() == want).all()
    _engine.set_pending(0, 0)  # while a graph is scheduled: given up, and started again
    seen.clear()
    x, one = Tensor.ones(4), Tensor.ones(4)
    for _ in range(300_000): x = x + one
    assert interrupted(x.realize, delay=.1) is None and "int" in seen and x.numpy()[0] == 300_001
  """)

@pytest.mark.threads
def test_a_handler_that_computes():
  """Its own values and those that are being computed; switches it may not touch."""
  run("""
    errors, count = [], 0
    y = Tensor.rand(1 << 25).sin()
    parts = [(y * i).sum() for i in range(1, 30)]
    half = parts[3] * 2
    def handler(*_):
      global count
      count += 1
      try:
        assert works() and parts[4].item() == parts[4].item() and half.item() == 2 * parts[3].item()
        if count == 1:
          for switch in (lambda: _engine.set_threads(1), lambda: _engine.set_isa("base")):
            try: switch()
            except RuntimeError: pass
            else: errors.append("switched")
        _engine.schedule([p.lazydata for p in parts])
      except BaseException as e: errors.append(repr(e))
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, .03, .05)
    Tensor.corealize(parts)
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert count and not errors, (count, errors)
    got = np.array([p.item() for p in parts])
    assert np.allclose(got, got[0] * np.arange(1, 30), rtol=1e-5)
    _engine.set_threads(1)
    assert works()
  """)

def test_a_handler_that_forks():
  """The child, which lost the workers and what they had in hand, computes in the handler and then ends the computation, too."""
  run("""
    child = None
    def handler(*_):
      global child
      signal.setitimer(signal.ITIMER_REAL, 0)
      child = os.fork()
      if child: return
      signal.signal(signal.SIGALRM, signal.SIG_DFL)
      signal.alarm(500)
      assert works()
    y = Tensor(np.ones(1 << 24, np.float32))
    z = Tensor.cat(*[(y * i).sin().abs().floor().sum().reshape(1) + i for i in range(1, 40)])
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, .05)
    z.realize()
    ok = child is not None and (z.numpy() == np.arange(1, 40)).all() and works()
    if child == 0: os._exit(0 if ok else 1)
    assert ok and os.waitpid(child, 0)[1] == 0
  """)

@pytest.mark.threads
def test_ctrl_c_while_another_thread_computes():
  """The main thread waits for it, and need not."""
  run("""
    stop = False
    def busy():
      try: Tensor.rand(1 << 33).sum().realize()
      except BaseException as e: print(e)
    other = threading.Thread(target=busy, daemon=True)
    other.start()
    time.sleep(.1)
    assert interrupted((Tensor.ones(3) + 1).contiguous().realize) is KeyboardInterrupt
    assert interrupted((Tensor.ones(3) + 1).contiguous().realize) is KeyboardInterrupt
    assert other.is_alive()
    os._exit(0)
  """)

@pytest.mark.threads
def test_signals_while_other_threads_compute():
  """A Ctrl-C is the main thread's; computations of others go on and are right."""
  run("""
    errors, stop = [], False
    def busy():
      while not stop:
        x = Tensor.ones(300, 300) + 1
        if (x @ x).sum().item() != 300 * 300 * 300 * 4: errors.append("wrong")
    others = [threading.Thread(target=busy, daemon=True) for _ in range(2)]
    for t in others: t.start()
    for i in range(20):
      kind = interrupted(lambda: Tensor.rand(1 << 40).sum().realize(), delay=.03)
      if kind is not KeyboardInterrupt: errors.append(kind)
    stop = True
    for t in others: t.join()
    assert not errors and works(), errors
  """)
