"""What must not break the process: depth, forks, threads, failing allocations, hostile arguments; and what must not grow: memory."""
import gc, itertools, multiprocessing, os, signal, subprocess, sys, threading

import numpy as np
import pytest

from teenygrad import Tensor, _engine
from teenygrad.helpers import dtypes
from teenygrad.lazy import LazyBuffer
from teenygrad.ops import BinaryOps, LoadOps, MathOps, MovementOps, ReduceOps, TernaryOps, UnaryOps

def value(lb): return lb.realized.toCPU()
def ones(*shape): return LazyBuffer(np.ones(shape, np.float32))
def add(a, b): return a.e(BinaryOps.ADD, b)
def mul(a, b): return a.e(BinaryOps.MUL, b)
def total(a): return a.r(ReduceOps.SUM, (1,)*len(a.shape))

def matmul(a, b):
  (m, k), n = a.shape, b.shape[1]
  wide = a.reshape((m, 1, k)).expand((m, n, k)), b.permute((1, 0)).reshape((1, n, k)).expand((m, n, k))
  return mul(*wide).r(ReduceOps.SUM, (m, n, 1)).reshape((m, n))

def live():
  gc.collect()
  memory = _engine.memory()
  return memory["objects"], memory["blocks"], memory["block_bytes"]

def graphs():
  """Several graphs that between them pass through every part of the engine, and what they compute."""
  a, b = np.arange(48, dtype=np.float32).reshape(6, 8) % 7, np.arange(96, dtype=np.float32).reshape(8, 12) % 5
  x, y = LazyBuffer(a), LazyBuffer(b)
  mm = a @ b
  yield matmul(x, y).e(BinaryOps.MAX, y.const(10).shrink([(0, 6)])), np.maximum(mm, 10)
  s = matmul(x, y).r(ReduceOps.MAX, (6, 1))
  below = matmul(x, y).e(BinaryOps.SUB, s.expand((6, 12)))
  yield below.e(UnaryOps.NEG).pad(((1, 0), (0, 2))), np.pad(mm.max(1, keepdims=True) - mm, ((1, 0), (0, 2)))
  w = x.window((3, 2), (1, 2), (1, 1))
  views = np.lib.stride_tricks.sliding_window_view(a, (3, 2))[:, ::2]
  yield w.r(ReduceOps.SUM, (4, 4, 1, 1)), views.sum((2, 3), keepdims=True)
  yield total(x.window((3, 2), (1, 2), (1, 1)).window_adjoint((6, 8), (1, 2), (1, 1))), views.sum().reshape(1, 1)
  i = LazyBuffer.arange(48, dtypes.int32).reshape((6, 8))
  yield i.cast(dtypes.float16).e(BinaryOps.CMPLT, x.cast(dtypes.float16)).e(TernaryOps.WHERE, x, y.const(2).shrink([(0, 6), (0, 8)])), \
    np.where(np.arange(48).reshape(6, 8) < a, a, 2).astype(np.float32)
  r = LazyBuffer.loadop(LoadOps.RAND, (6, 8), dtypes.float32, "CPU", 3)
  yield add(r.cast(dtypes.int32, True), i).e(BinaryOps.SUB, r.cast(dtypes.int32, True)), np.arange(48, dtype=np.int32).reshape(6, 8)
  index = LazyBuffer(np.array([[1], [-1], [0]]))
  yield x.cumsum(1).gather(index, 0).e(BinaryOps.MUL, y.const(2).shrink([(0, 3), (0, 1)])), 2*a.cumsum(1)[[1, -1, 0], :1]
  yield y.shrink([(0, 3), (0, 1)]).cast(dtypes.float16).scatter_add(index, 0, (4, 1)), np.array([[b[2, 0]], [b[0, 0]], [0], [b[1, 0]]], np.float16)
  yield total(add(x.permute((1, 0)).stride((-1, 2)).reshape((24,)).contiguous(), ones(24))), a.T[::-1, ::2].sum().reshape(1) + 24

def check_graphs():
  for lb, want in graphs(): np.testing.assert_array_equal(value(lb), want)

def test_graphs(): check_graphs()

# ---- depth ----

@pytest.fixture
def unlimited():
  """Nothing is computed until it is read, however much is pending."""
  before = _engine.set_pending(0, 0)
  yield
  _engine.set_pending(*before)

def test_a_million_operations(unlimited):
  before = live()
  x = one = ones(4)
  for _ in range(1_000_000): x = add(x, one)
  np.testing.assert_array_equal(value(x), np.full(4, 1_000_001, np.float32))
  del x, one
  assert live() == before

@pytest.mark.parametrize("step", [
  lambda x: add(x, x), lambda x: x.cast(dtypes.float64).cast(dtypes.float32), lambda x: x.permute((1, 0)).contiguous(),
  lambda x: x.r(ReduceOps.MAX, (1, 2)).expand((2, 2)), lambda x: x.cast(dtypes.int32, True).cast(dtypes.float32, True)])
def test_deep_graphs_that_never_run(step, unlimited):
  before = live()
  x = ones(2, 2)
  for _ in range(200_000): x = step(x)
  del x
  assert live() == before

def test_deep_graphs_of_stored_steps():
  x = ones(2, 2)
  for i in range(3000):
    x = x.e(BinaryOps.MUL, x.const(.5)).r(ReduceOps.SUM, (2, 1)).expand((2, 2))
    if i % 3 == 0: x = x.permute((1, 0)).contiguous()
  np.testing.assert_array_equal(value(x), np.ones((2, 2), np.float32))

def test_a_value_used_by_both_sides_again_and_again():
  """2^60 paths through 60 operations."""
  x = ones(3, 3)
  for _ in range(60): x = add(x, x.permute((1, 0)))
  np.testing.assert_array_equal(value(x), np.full((3, 3), 2.0**60, np.float32))

# ---- processes and threads ----

def large_sum(): return float(value(total(add(ones(700, 700), ones(700, 700))))[0, 0])

def in_child(work):
  """Exit status of a forked child that runs `work`; a child that hangs is stopped."""
  pid = os.fork()
  if pid == 0:
    signal.alarm(60)
    try: os._exit(0 if work() else 1)
    except BaseException: os._exit(2)
  return os.waitpid(pid, 0)[1]

def works(): return large_sum() == 980_000 and check_graphs() is None

@pytest.mark.threads
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_fork():
  threads = _engine.info()["threads"]
  _engine.set_threads(4)
  try:
    assert large_sum() == 980_000
    pending = add(ones(700, 700), ones(700, 700))
    shared = value(pending)
    assert in_child(works) == 0
    assert in_child(lambda: in_child(works) == 0 and works()) == 0
    assert in_child(lambda: (value(total(pending)) == 980_000).all() and (shared == 2).all()) == 0
    stop, errors = threading.Event(), []
    def busy():
      while not stop.is_set():
        if large_sum() != 980_000: errors.append("wrong")
    workers = [threading.Thread(target=busy) for _ in range(2)]
    for t in workers: t.start()
    statuses = [in_child(works) for _ in range(10)]
    stop.set()
    for t in workers: t.join()
    assert statuses == [0]*10 and not errors
    assert large_sum() == 980_000
  finally: _engine.set_threads(threads)

@pytest.mark.threads
def test_spawn():
  with multiprocessing.get_context("spawn").Pool(2) as pool: assert pool.map(spawned, range(3)) == [10.0, 12.0, 14.0]

def spawned(i): return float(value(total(add(ones(5), ones(5).const(1 + i*.4))))[0])

@pytest.mark.threads
def test_threads():
  """Each thread has graphs of its own, all of them realize parts of shared ones."""
  shared = ones(300, 300)
  parts = [shared]
  for _ in range(24): parts.append(mul(add(parts[-1], shared), parts[-1].const(.5)).pad(((0, 0), (0, 1))).shrink(((0, 300), (0, 300))))
  errors, start = [], threading.Barrier(6)
  def work(seed):
    try:
      rng = np.random.default_rng(seed)
      start.wait()
      for _ in range(20):
        np.testing.assert_array_equal(value(parts[rng.integers(25)].shrink([(0, int(rng.integers(1, 300)))])), 1)
        assert float(value(total(add(parts[rng.integers(25)], ones(300, 300))))[0, 0]) == 180_000
        check_graphs()
        _engine.schedule(parts)
    except BaseException as e: errors.append(e)
  threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
  for t in threads: t.start()
  for t in threads: t.join()
  assert not errors, errors

# ---- failing allocations ----

@pytest.mark.parametrize("forever", [False, True])
@pytest.mark.parametrize("index", range(9))
def test_every_allocation_may_fail(index, forever):
  """The n-th fails, for every n: MemoryError or the right value, and nothing is lost; then all works."""
  def build(): return next(itertools.islice(graphs(), index, None))
  check_graphs()
  before, n, failed = live(), 0, True
  while failed:
    n, failed, lb = n + 1, False, None
    _engine.fail_at(n, forever)
    try:
      lb, want = build()
      np.testing.assert_array_equal(value(lb), want)
    except MemoryError: failed = True
    finally: _engine.fail_at(0)
    if lb is not None: np.testing.assert_array_equal(value(lb), want)
    lb = None
    memory = _engine.memory()
    assert (memory["objects"], memory["blocks"], memory["block_bytes"]) == before, n
  assert n > 20
  check_graphs()

def test_every_allocation_may_fail_for_several_outputs():
  """As above, with results that share kernels: rows, and what reads a result in two ways."""
  a = np.arange(48, dtype=np.float32).reshape(6, 8) % 7
  def attempt():
    x = Tensor(a) * 2
    y = x - x.max(1, keepdim=True)
    results = [x, y, y.sum(1), x + x.permute(1, 0).reshape(6, 8), y * 3 + x]
    Tensor.corealize(results)
    return [t.numpy() for t in results]
  want = attempt()
  before, n, failed = live(), 0, True
  while failed:
    n, failed = n + 1, False
    _engine.fail_at(n)
    try:
      for got, right in zip(attempt(), want): np.testing.assert_array_equal(got, right)
    except MemoryError: failed = True
    finally: _engine.fail_at(0)
    memory = _engine.memory()
    assert (memory["objects"], memory["blocks"], memory["block_bytes"]) == before, n
  assert n > 20
  np.testing.assert_array_equal(want[1], 2 * a - 2 * a.max(1, keepdims=True))

def test_python_out_of_memory():
  """Each allocation of Python within the engine's calls fails; what crashes then ends a process of its own."""
  pytest.importorskip("_testcapi")
  script = os.path.join(os.path.dirname(__file__), "stress", "nomemory.py")
  done = subprocess.run([sys.executable, script], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
  assert done.returncode == 0, done.stdout[-2000:] + done.stderr

# ---- memory ----

def peak(work):
  """The most the engine held beyond what it held before, in bytes, and the result."""
  _engine.trim()
  gc.collect()
  _engine.reset_peak()
  before = _engine.memory()["block_bytes"]
  result = work()
  return _engine.memory()["peak_bytes"] - before, result

def test_a_matrix_product_stores_no_product():
  a, b = (np.random.default_rng(i).integers(-2, 3, (2048, 2048)).astype(np.float32) for i in range(2))
  x, y = LazyBuffer(a), LazyBuffer(b)
  used, result = peak(lambda: (out := matmul(x, y), _engine.realize([out]))[0])
  assert used - a.nbytes < 16 << 20
  np.testing.assert_array_equal(value(result)[::97], a[::97] @ b)

def test_a_convolution_stores_no_windows():
  x, k = ones(8, 16, 64, 64), ones(16, 16, 3, 3)
  full = (8, 16, 16, 64, 64, 3, 3)
  def conv():
    seen = x.pad(((0, 0), (0, 0), (1, 1), (1, 1))).window((3, 3), (1, 1), (1, 1)).reshape((8, 1, 16, 64, 64, 3, 3)).expand(full)
    out = mul(seen, k.reshape((1, 16, 16, 1, 1, 3, 3)).expand(full)).r(ReduceOps.SUM, (8, 16, 1, 64, 64, 1, 1)).reshape((8, 16, 64, 64))
    _engine.realize([out])
    return out
  used, out = peak(conv)
  assert used < (2 << 20) + (8 << 20)  # the result and the packed panels; the windows would be 18 MiB, the product 302
  assert value(out)[3, 2, 5, 5] == 144 and value(out)[3, 2, 0, 0] == 64

def test_temporaries_are_freed():
  """30 stored steps of 4 MiB: a few at a time, not 30."""
  def chain():
    x = ones(1024, 1024)
    for _ in range(30): x = mul(x, x.const(2)).permute((1, 0)).contiguous().e(BinaryOps.SUB, x.r(ReduceOps.MAX, (1024, 1)).expand((1024, 1024)))
    _engine.realize([x])
    return x
  used, x = peak(chain)
  assert used < 5*(4 << 20)
  np.testing.assert_array_equal(value(x), np.ones((1024, 1024), np.float32))

def test_nothing_grows():
  """Objects of the engine, references and blocks of Python."""
  far = LazyBuffer(np.array([1, 9]))
  def once():
    check_graphs()
    for bad in (lambda: ones(2, 3).reshape((7,)), lambda: ones(2).e(BinaryOps.ADD, 3), lambda: LazyBuffer(np.zeros(2, complex)),
                lambda: ones(2).e(UnaryOps.CAST), lambda: ones(3).shrink([(0, 1)]*2), lambda: ones(2).const("x"), lambda: ones(2).window((1,), 2, 3),
                lambda: LazyBuffer.loadop(LoadOps.RAND, (2,), dtypes.int8, "CPU", 1), lambda: ones(2).cast(dtypes.bfloat16).realized,
                lambda: ones(2).gather(far, 0).realized, lambda: total(ones(2).gather(far, 0)).realized,
                lambda: ones(2).gather(far, 0).cumsum(0).realized, lambda: ones(2).scatter_add(far, 0, (4,)).realized,
                lambda: ones(2).gather(ones(2), 0)):
      with pytest.raises((ValueError, TypeError, IndexError, NotImplementedError)): bad()
    lb = ones(3)
    lb.note = [lb, lb.shape, lb.base, repr(lb), lb.contiguous(), lb.schedule(), _engine.schedule([total(lb)])]  # a cycle for the collector
    return lb.dtype
  watched = [None, True, dtypes.float32, dtypes.int32, BinaryOps.ADD, ReduceOps.SUM, LazyBuffer, _engine.ScheduleItem]
  for _ in range(500): once()  # fills the interpreter's caches
  before, references, blocks = live(), [sys.getrefcount(w) for w in watched], sys.getallocatedblocks()
  for _ in range(1000): once()
  assert live() == before
  assert all(abs(sys.getrefcount(w) - r) < 100 for w, r in zip(watched, references))
  assert abs(sys.getallocatedblocks() - blocks) < 500  # those caches still grow a little; a leak would make 1000

def test_no_aliases():
  """Arrays are copied in and out; nobody's writes surprise anybody."""
  a = np.ones(5, np.float32)
  x = LazyBuffer(a)
  a[:] = 7
  first = value(x)
  assert (first == 1).all() and first.flags.writeable and first.flags.owndata
  first[:] = 9
  assert (value(x) == 1).all() and (value(add(x, x)) == 2).all()
  moved = value(x.reshape((5, 1)).expand((5, 3)))
  moved[0, 0] = 8
  assert moved[0, 1] == 1 and (value(x) == 1).all()

def test_arrays_of_any_layout():
  a = np.arange(60, dtype=np.int32).reshape(3, 4, 5)
  misaligned = np.frombuffer(b"x" + a.tobytes(), np.uint8)[1:].view(np.int32).reshape(a.shape)
  frozen = a.copy()
  frozen.flags.writeable = False
  for v in (a[::-1, ::2, ::-3], a.T, a.astype(">i4"), misaligned, frozen, np.asfortranarray(a), a[:, :0], np.broadcast_to(a[0], (6, 4, 5)),
            a[1, 2, 3, ...], np.ma.masked_array(a, a > 5), a[0].view(np.matrix), np.zeros((1,)*32), a.astype(np.longlong), a.astype(">f8"),
            a.astype(">f2")):
    got = value(LazyBuffer(v))
    assert got.shape == v.shape and got.dtype == np.dtype(v.dtype).newbyteorder("=") and type(got) is np.ndarray
    np.testing.assert_array_equal(got, np.asarray(v))

# ---- hostile arguments ----

class Raising:
  def __index__(self): raise ZeroDivisionError
  def __iter__(self): raise ZeroDivisionError
  def __float__(self): raise ZeroDivisionError
  def __eq__(self, other): raise ZeroDivisionError

class Liar:
  """An index that changes the list it stands in."""
  def __init__(self, items): self.items = items
  def __index__(self):
    self.items.clear()
    return 1

def hostile():
  liar = [2, 3]
  liar[0] = Liar(liar)
  return [None, 1.5, "ab", b"12", 2**63, -2**63, -2**63 - 1, 2**200, -1, True, (), (2**63,), (2**62, 2**62), (2**31,)*3, (-1, -1), (1,)*33,
          [1]*40, (None,), (1.0,), (x for x in (2, 3)), iter([Raising()]), Raising(), [Raising()], liar, {1: 2}, object(), np.array([2, 3]),
          np.array(3), np.float32(2), float("nan"), float("inf"), ((0, 1), (0, 1)), ((1, 2), None), ((0, 2**63), (0, 0)),
          ((-2**63, 2**63-1),)*2, ((0, 1, 2),), ((Raising(), 0),), [[0, 1], [2**62, 2**62]], dtypes.float32, BinaryOps.ADD, UnaryOps.NOOP,
          MovementOps.PAD, LoadOps.RAND, ReduceOps.SUM, LazyBuffer, _engine, np.zeros((2, 3), np.float32), ones(2, 3), ones(0), "\udc80",
          [2, "3"], range(2), {"float32": 1}]

ALLOWED = (TypeError, ValueError, IndexError, OverflowError, NotImplementedError, AssertionError, ZeroDivisionError, MemoryError)

def attack(fn, *args):
  try: result = fn(*args)
  except ALLOWED: return
  if isinstance(result, LazyBuffer) and 0 < np.prod(result.shape, dtype=object) < 10**6 and result.dtype != dtypes.bfloat16: value(result)

METHODS = ["reshape", "expand", "permute", "shrink", "pad", "stride", "const", "cast", "e", "r", "cumsum", "gather", "scatter_add", "window",
           "window_adjoint", "contiguous", "schedule", "is_unrealized_contiguous_const", "copy_to_device", "__init__", "__reduce_ex__"]

@pytest.mark.parametrize("name", METHODS)
def test_hostile_arguments_of_methods(name):
  if not hasattr(LazyBuffer, name): return
  for arity, lb in itertools.product((0, 1, 2), (ones(2, 3), ones(), ones(0, 3), add(ones(2, 3), ones(2, 3)))):
    for args in itertools.product(hostile(), repeat=arity): attack(getattr(lb, name), *args)
  for args in zip(*(hostile()*2 for _ in range(4))): attack(getattr(ones(2, 3), name), *args)
  check_graphs()

def test_hostile_arguments_of_elementwise():
  for op in [*UnaryOps, *MathOps, *BinaryOps, *TernaryOps, *ReduceOps, *MovementOps, *LoadOps]:
    for bad in hostile():
      attack(ones(2, 3).e, op, bad)
      attack(ones(2, 3).e, op, ones(2, 3), bad)
      attack(ones(2, 3).r, op, bad)
      attack(LazyBuffer.loadop, op, (2, 3), dtypes.float32, "CPU", bad)
      attack(LazyBuffer.loadop, op, bad, dtypes.float32, "CPU", 1)
      attack(LazyBuffer.loadop, op, (2, 3), bad, "CPU", 1)

FUNCTIONS = [LazyBuffer, LazyBuffer.fromCPU, LazyBuffer.loadop, LazyBuffer.arange, _engine.realize, _engine.schedule, _engine.memory, _engine.info]

@pytest.mark.parametrize("fn", FUNCTIONS, ids=lambda f: getattr(f, "__name__", str(f)))
def test_hostile_arguments_of_functions(fn):
  for arity in (0, 1, 2):
    for args in itertools.product(hostile(), repeat=arity): attack(fn, *args)
  for a in hostile(): attack(fn, [ones(2), a])
  for n, dtype in itertools.product([2**62, 2**59, 2**40], [dtypes.int8, dtypes.float64]): attack(LazyBuffer.arange, n, dtype)
  check_graphs()

def test_hostile_arguments_of_switches():
  before = _engine.info()
  for bad in [None, 1.5, "2", b"2", 0, -1, 2**31, 2**63, -2**63, 2**200, (), (2,), Raising(), np.array([2, 3]), object()]:
    pytest.raises(ALLOWED, _engine.set_threads, bad)
    pytest.raises(ALLOWED, _engine.set_isa, bad)
  for bad in ("", "AVX2", "avx2\0", "\udc80", "neon" * 1000): pytest.raises(ValueError, _engine.set_isa, bad)
  for bad in [None, {}, {"float32": 1}, 3, Raising()]: pytest.raises((TypeError, KeyError, *ALLOWED), _engine.set_dtypes, bad)
  for bad in [None, "x", 2**70]: pytest.raises(ALLOWED, _engine.fail_at, bad)
  assert _engine.info() == before
  check_graphs()

def test_arrays_without_a_counterpart():
  for dtype in (object, complex, "c8", "S3", "U3", "M8[s]", "m8[s]", [("a", "f4")], "V4", "(2,)f4,i4", np.longdouble):
    if np.dtype(dtype) != np.float64: pytest.raises(TypeError, LazyBuffer, np.zeros(3, dtype))

def test_sizes_that_no_machine_has():
  one = ones(1)
  huge = one.expand((2**60,))
  pytest.raises((ValueError, MemoryError), lambda: huge.realized)
  pytest.raises((ValueError, MemoryError), lambda: add(huge, huge).realized)
  pytest.raises((ValueError, MemoryError), LazyBuffer.loadop, LoadOps.EMPTY, (2**40, 2**10), dtypes.float64, "CPU")
  pytest.raises(ValueError, one.expand, (2**62, 4))
  pytest.raises(ValueError, one.reshape, (1,)*33)
  pytest.raises(ValueError, ones(*(1,)*20).window, (1,)*13, (1,)*13, (1,)*13)
  check_graphs()

def test_interpreter_exits_cleanly():
  """With graphs pending, threads asleep and objects in cycles."""
  code = ("import numpy as np; from teenygrad.lazy import LazyBuffer; from teenygrad import _engine; _engine.set_threads(3)\n"
          "from teenygrad.ops import BinaryOps; a = LazyBuffer(np.ones((600, 600), np.float32)); b = a.e(BinaryOps.ADD, a)\n"
          "b.me = b; b.realized; c = b.e(BinaryOps.MUL, b); c.me = c; import sys; sys.keep = c")
  done = subprocess.run([sys.executable, "-X", "dev", "-c", code], capture_output=True, text=True, timeout=60)
  assert done.returncode == 0 and not done.stderr, done.stderr

def levels(x, n):
  for _ in range(n): x = x.reshape(2, -1).permute(1, 0).reshape(-1)
  return x

@pytest.mark.parametrize("n", [3, 40, 20_000])
def test_views_of_any_number_of_levels(n):
  """Reshapes that no strides can say: of what is stored, computed, or too large to be."""
  x, want = Tensor(np.arange(12, dtype=np.float32)).realize(), np.arange(12, dtype=np.float32)
  for _ in range(n % 10 if n > 1000 else n): want = want.reshape(2, -1).T.reshape(-1)  # after ten the numbers are back where they were
  np.testing.assert_array_equal(levels(x, n).numpy(), want)
  np.testing.assert_array_equal((levels(x + 1, n) * 2).numpy(), want * 2 + 2)
  assert _engine.explain([(levels(x + 1, n) + 1).lazydata]) and levels(x, n).lazydata.schedule() is not None
  y = levels(Tensor.arange(2**40, dtype=dtypes.int64), min(n, 20))[:3].numpy()
  at = np.arange(3)
  for _ in range(min(n, 20)): at = at % 2 * 2**39 + at // 2
  np.testing.assert_array_equal(y, at)

def test_many_levels_on_a_small_stack():
  """A thread's stack may be small."""
  code = """
import threading
import numpy as np
from teenygrad import Tensor
def work():
  x = Tensor(np.arange(6, dtype=np.float32)).realize()
  for _ in range(5000): x = x.reshape(2, 3).permute(1, 0).reshape(6)
  print(sorted(x.numpy().tolist()))
threading.stack_size(256 << 10)
t = threading.Thread(target=work)
t.start()
t.join()
"""
  done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
  assert done.returncode == 0 and done.stdout == "[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]\n", done
