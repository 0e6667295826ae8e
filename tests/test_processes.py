"""Processes and threads: fork before, during and after use, every way of multiprocessing, many threads, interpreters, deep and wide graphs."""
import copy, multiprocessing, os, pickle, subprocess, sys, textwrap, threading

import numpy as np
import pytest

from teenygrad import Tensor, _engine
from teenygrad.helpers import dtypes

def run(code):
  done = subprocess.run([sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=600)
  assert done.returncode == 0, done.stderr

# ---- processes ----

def square(values):
  x = Tensor(values)
  return (x @ x.T).sum().item()

def through(t): return t * 2

@pytest.mark.threads
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_multiprocessing(method):
  """Used before, while and after; tensors go there and come back."""
  x = np.ones((300, 300), np.float32)
  assert square(x) == 300**3
  with multiprocessing.get_context(method).Pool(2) as pool:
    results = pool.map_async(square, [x * i for i in range(1, 9)])
    for _ in range(5): assert square(x) == 300**3
    assert np.allclose(results.get(60), [i * i * 300**3 for i in range(1, 9)])
    pending = Tensor([1., 2.], requires_grad=True) * 3
    for t in pool.map(through, [pending, Tensor([1, 2], dtype=dtypes.int8), Tensor([1.5], dtype=dtypes.bfloat16)]): assert isinstance(t, Tensor)
    assert pool.apply(through, (pending,)).numpy().tolist() == [6, 12]
  assert square(x) == 300**3

@pytest.mark.threads
def test_fork_before_anything_is_computed():
  run("""
    import os
    from teenygrad import Tensor
    x = Tensor.ones(500, 500)
    child = os.fork()
    ok = (x @ x).sum().item() == 500**3
    if not child: os._exit(not ok)
    assert ok and os.waitpid(child, 0)[1] == 0
  """)

@pytest.mark.threads
def test_fork_in_many_threads_at_once():
  """While all of them compute."""
  run("""
    import os, signal, threading
    from teenygrad import Tensor
    def compute(): return ((Tensor.ones(200, 200) + 1) @ Tensor.ones(200, 200)).sum().item() == 2 * 200**3
    failed = []
    def work():
      for _ in range(8):
        child = os.fork()
        if not child:
          signal.alarm(50)
          os._exit(not compute())
        if not compute() or os.waitpid(child, 0)[1]: failed.append(1)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads: t.start()
    for t in threads: t.join()
    assert not failed
  """)

# ---- interpreters ----

def test_a_second_interpreter_is_refused():
  """ImportError: the engine has one state. The first one goes on."""
  run("""
    import sys
    from teenygrad import Tensor
    try: import _interpreters as interpreters
    except ImportError: import _xxsubinterpreters as interpreters
    code = "import sys; sys.path[:] = %r\\ntry: import teenygrad\\nexcept ImportError: pass\\nelse: raise SystemExit('imported')" % sys.path
    for _ in range(2):
      other = interpreters.create()
      failed = interpreters.run_string(other, code)
      assert failed is None, failed
      interpreters.destroy(other)
      assert (Tensor([1., 2.]) * 2).numpy().tolist() == [2, 4]
  """)

def test_the_gil_stays_on():
  """The module says nothing of doing without, so that a free-threaded build of Python switches the GIL on when it is imported."""
  assert getattr(sys, "_is_gil_enabled", lambda: True)()

# ---- threads ----

@pytest.mark.threads
def test_threads_share_graphs():
  """Tensors that are built, realized, differentiated and dropped by many threads at once."""
  shared = [Tensor(np.full((64, 64), i, np.float32), requires_grad=True) for i in range(1, 5)]
  errors, start = [], threading.Barrier(8)
  def work(seed):
    try:
      rng = np.random.default_rng(seed)
      start.wait()
      for _ in range(30):
        i, j = (int(k) for k in rng.integers(0, 4, 2))
        own = Tensor(np.full((64, 64), seed, np.float32), requires_grad=True)
        y = (shared[i].detach() @ own + shared[j].detach()).sum()
        y.backward()
        assert y.item() == 64**3 * (i + 1) * seed + 64**2 * (j + 1)
        assert (own.grad.numpy() == 64 * (i + 1)).all()
        Tensor.corealize([shared[i], own])
    except BaseException as e: errors.append(e)
  threads = [threading.Thread(target=work, args=(seed,)) for seed in range(1, 9)]
  for t in threads: t.start()
  for t in threads: t.join()
  assert not errors, errors

# ---- depth and size ----

@pytest.fixture
def unlimited():
  before = _engine.set_pending(0, 0)
  yield
  _engine.set_pending(*before)

def test_a_deep_graph_of_tensors(unlimited):
  """Built, differentiated, computed, copied, pickled and dropped; 1,000,000 operations are in stress/depth.py."""
  w = x = Tensor.ones(4, requires_grad=True)
  for i in range(30_000): x = x * 1.0 if i % 2 else x + w
  for c in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x), copy.copy(x)): assert (c.numpy() == 15_001).all()
  x.sum().backward()
  assert (w.grad.numpy() == 15_001).all()
  y = w
  for _ in range(30_000): y = y + w
  del y

@pytest.mark.parametrize("dim", [0, 1])
def test_wide_graphs(dim):
  parts = [Tensor(np.full((2, 3), i, np.float32), requires_grad=True) for i in range(2000)]
  joined = Tensor.cat(*parts, dim=dim)
  np.testing.assert_array_equal(joined.numpy(), np.concatenate([np.full((2, 3), i, np.float32) for i in range(2000)], dim))
  (joined * 2).sum().backward()
  assert all((p.grad.numpy() == 2).all() for p in parts[::97])
  assert (Tensor.stack([p.detach() for p in parts]).numpy()[:, 1, 2] == np.arange(2000)).all()

def test_a_diamond_is_linear():
  """2^60 paths, 120 operations; forward and backward."""
  x = y = Tensor.ones(3, 3, requires_grad=True)
  for _ in range(60): y = (y + y.T) * .5
  y.sum().backward()
  assert (y.numpy() == 1).all() and (x.grad.numpy() == 1).all()

@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sysconf") or os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") < 8 << 30, reason="needs 8 GiB")
def test_more_elements_than_an_int_counts():
  """2^31 + 12 of one byte: a sparse check of positions beyond 2^31."""
  n = 2**31 + 12
  x = Tensor.arange(n, dtype=dtypes.int64).cast(dtypes.uint8).realize()
  for at in (0, 255, 256, 2**31 - 1, 2**31, 2**31 + 5, n - 1): assert x[at].item() == at % 256
  y = (x.flip(0)[7:] + 1).realize()
  for at in (0, 2**31 - 1, 2**31, n - 8): assert y[at].item() == (n - 8 - at + 1) % 256
  del y
  assert (x == 3).cast(dtypes.int64).sum().item() == 2**23 + 1
  assert x.reshape(4, n // 4).max(1).numpy().tolist() == [255] * 4
  a = x.numpy()
  assert a.shape == (n,) and a[-1] == (n - 1) % 256
  assert Tensor(a)[n - 2:].numpy().tolist() == [(n - 2) % 256, (n - 1) % 256]
  assert x[Tensor([2**31 + 3, -1], dtype=dtypes.int64)].numpy().tolist() == [3, 11]
