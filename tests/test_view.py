"""Movement ops against NumPy: random chains over stored and over computed values, with reductions in between.
All numbers are whole, so every comparison is exact."""
import itertools

import numpy as np
import pytest

from teenygrad.helpers import dtypes
from teenygrad.lazy import LazyBuffer
from teenygrad.ops import BinaryOps, ReduceOps, UnaryOps

LIMIT = 4000  # elements an array of a chain may have
DTYPES = {np.int32: dtypes.int32, np.float64: dtypes.float64}

def value(lb): return lb.realized.toCPU()

def same(lb, a, what=None):
  got = value(lb)
  assert lb.shape == got.shape == a.shape and got.dtype == a.dtype, what
  np.testing.assert_array_equal(got, a, err_msg=str(what))

# ---- NumPy's side of the ops that NumPy does not have ----

def out_size(n, k, s, d): return max(0, (n - d*(k-1) - 1)//s + 1)

def windows(kernel, out, stride, dilation):
  """For each kernel index, the slices of the source that it sees."""
  for ks in itertools.product(*map(range, kernel)):
    yield ks, tuple(slice(k*d, k*d + s*(o-1) + 1 if o else k*d, s) for k, o, s, d in zip(ks, out, stride, dilation))

def np_window(a, kernel, stride, dilation):
  lead = a.ndim - len(kernel)
  out = [out_size(*args) for args in zip(a.shape[lead:], kernel, stride, dilation)]
  r = np.zeros((*a.shape[:lead], *out, *kernel), a.dtype)
  if r.size:
    for ks, cut in windows(kernel, out, stride, dilation): r[(..., *ks)] = a[(slice(None),)*lead + cut]
  return r

def np_window_adjoint(a, size, stride, dilation):
  lead = a.ndim - 2*len(size)
  out, kernel = a.shape[lead:lead+len(size)], a.shape[lead+len(size):]
  r = np.zeros((*a.shape[:lead], *size), a.dtype)
  if a.size:
    for ks, cut in windows(kernel, out, stride, dilation): r[(slice(None),)*lead + cut] += a[(..., *ks)]
  return r

# ---- one random step on both sides: (LazyBuffer, array) -> the same, and what was done ----

def random_factors(rng, n):
  shape = []
  while n > 1 and len(shape) < 4 and rng.random() < .8:
    shape.append(int(rng.choice([d for d in range(1, n+1) if n % d == 0])))
    n //= shape[-1]
  shape.append(n)
  if rng.random() < .3: shape.insert(int(rng.integers(len(shape)+1)), 1)
  return shape

def pick(rng, items, n): return [items[i] for i in rng.integers(len(items), size=n)]

def reshape(rng, lb, a):
  shape = random_factors(rng, a.size) if a.size else pick(rng, (0, 1, 2, 3), 2) + [0]
  if a.ndim > 1 and rng.random() < .4:  # only two neighbours joined
    i = int(rng.integers(a.ndim-1))
    shape = [*a.shape[:i], a.shape[i]*a.shape[i+1], *a.shape[i+2:]]
  asked = list(shape)
  if a.size and rng.random() < .3: asked[int(rng.integers(len(shape)))] = -1
  return lb.reshape(asked), a.reshape(shape), asked

def permute(rng, lb, a):
  order = rng.permutation(a.ndim).tolist()
  asked = [o - a.ndim if rng.random() < .2 else o for o in order]
  return lb.permute(asked), a.transpose(order), asked

def expand(rng, lb, a):
  shape = [int(rng.choice([0, 1, 2, 3, 4], p=[.05, .2, .25, .25, .25])) if n == 1 else n for n in a.shape]
  if rng.random() < .2: shape.insert(0, int(rng.integers(1, 4)))
  return lb.expand(shape), np.broadcast_to(a, shape), shape

def shrink(rng, lb, a):
  pairs = []
  for n in a.shape[:int(rng.integers(a.ndim+1))]:
    lo, hi = sorted(rng.integers(0, n+1, 2).tolist())
    pairs.append((lo, hi) if lo < hi and rng.random() < .8 else (0, n) if rng.random() < .8 else tuple(rng.integers(-n-2, n+3, 2).tolist()))
  return lb.shrink(pairs), a[tuple(slice(*p) for p in pairs)], pairs

def pad(rng, lb, a):
  pairs = [tuple(pick(rng, (0, 0, 1, 2), 2)) for _ in a.shape]
  return lb.pad(pairs), np.pad(a, pairs) if a.ndim else a, pairs

def stride(rng, lb, a):
  steps = pick(rng, (1, 1, -1, 2, -2, 3, -3, 7), int(rng.integers(a.ndim+1)))
  return lb.stride(steps), a[tuple(slice(None, None, s) for s in steps)], steps

def window(rng, lb, a):
  n = int(rng.integers(min(2, a.ndim)+1))
  args = pick(rng, (1, 2, 3), n), pick(rng, (1, 1, 2, 3), n), pick(rng, (1, 1, 2), n)
  return lb.window(*args), np_window(a, *args), args

def window_adjoint(rng, lb, a):
  n = int(rng.integers(a.ndim//2+1))
  lead, steps, gaps = a.ndim - 2*n, pick(rng, (1, 2, 3), n), pick(rng, (1, 1, 2), n)
  size = []
  for o, k, s, d in zip(a.shape[lead:lead+n], a.shape[lead+n:], steps, gaps):
    if k == 0: return lb, a, "no window"
    size.append(s*(o-1) + d*(k-1) + 1 + int(rng.integers(s)) if o else int(rng.integers(d*(k-1)+1)))
  return lb.window_adjoint(size, steps, gaps), np_window_adjoint(a, size, steps, gaps), (size, steps, gaps)

def compute(rng, lb, a):
  """Values of which none is zero where the source is: zeros of a padding must be put after this, not before."""
  return lb.e(BinaryOps.MUL, lb.const(2)).e(BinaryOps.ADD, lb.const(1)), a*a.dtype.type(2) + a.dtype.type(1), None

def negate(rng, lb, a): return lb.e(UnaryOps.NEG), -a, None

def add_shifted(rng, lb, a):
  if not a.ndim: return lb, a, None
  return lb.e(BinaryOps.SUB, lb.stride([-1]).const(3).e(BinaryOps.MUL, lb.stride([-1]))), a - a[::-1]*a.dtype.type(3), None

def reduce(rng, lb, a):
  axes = tuple(i for i in range(a.ndim) if rng.random() < .4)
  op = ReduceOps.SUM if 0 in a.shape or rng.random() < .6 else ReduceOps.MAX
  shape = tuple(1 if i in axes else n for i, n in enumerate(a.shape))
  r = a.sum(axes, dtype=a.dtype, keepdims=True) if op is ReduceOps.SUM else a.max(axes, keepdims=True)
  return lb.r(op, shape), r, (op, axes)

def contiguous(rng, lb, a): return lb.contiguous(), a, None

MOVES = [reshape]*4 + [permute]*2 + [expand, shrink, shrink, pad, stride, window, window_adjoint]

def random_shape(rng): return pick(rng, [0] + [1]*6 + [2, 2, 3, 3, 4, 5, 6]*3, int(rng.integers(5)))

def run_chain(seed, steps, length):
  rng = np.random.default_rng(seed)
  dtype = list(DTYPES)[seed % 2]
  shape = random_shape(rng)
  a = np.arange(1, int(np.prod(shape))+1).reshape(shape).astype(dtype)
  lb, log = LazyBuffer(a), [shape]
  for _ in range(length):
    step = steps[int(rng.integers(len(steps)))]
    lb2, a2, args = step(rng, lb, a)
    assert lb2.shape == a2.shape and lb2.dtype == DTYPES[dtype], log
    # past 2^50 whole numbers are no longer exact in a float64
    if a2.size > LIMIT or a2.ndim > 8 or (dtype is np.float64 and np.abs(a2).max(initial=0) > 2**50): continue
    lb, a = lb2, a2
    log.append((step.__name__, args))
  same(lb, a, log)

@pytest.mark.parametrize("block", range(4))
def test_moves_of_stored_values(block):
  for seed in range(block*400, block*400+400): run_chain(seed, MOVES, 12)

@pytest.mark.parametrize("block", range(4))
def test_moves_of_computed_values(block):
  with np.errstate(over="ignore"):
    for seed in range(block*300, block*300+300): run_chain(10_000+seed, MOVES + [compute]*3 + [negate, add_shifted], 14)

@pytest.mark.parametrize("block", range(4))
def test_moves_between_reductions(block):
  with np.errstate(over="ignore"):
    for seed in range(block*300, block*300+300): run_chain(20_000+seed, MOVES + [compute, compute, negate, reduce, reduce, reduce, contiguous], 14)

def test_padding_lies_after_the_computation():
  x = LazyBuffer(np.full((2, 3), 5, np.float32))
  f = x.e(BinaryOps.MUL, x.const(2)).e(BinaryOps.ADD, x.const(1))
  same(f.pad(((1, 1), (0, 2))), np.pad(np.full((2, 3), 11, np.float32), ((1, 1), (0, 2))))
  g = f.pad(((1, 1), (0, 2))).e(UnaryOps.EXP2)
  same(g, np.exp2(np.pad(np.full((2, 3), 11, np.float32), ((1, 1), (0, 2)))))
  same(g.pad(((0, 1), (1, 0))).r(ReduceOps.MAX, (1, 6)), np.pad(value(g), ((0, 1), (1, 0))).max(0, keepdims=True))
  same(x.const(3).pad(((0, 1), (0, 1))), np.pad(np.full((2, 3), 3, np.float32), ((0, 1), (0, 1))))
  same(f.e(UnaryOps.NEG).pad(((0, 0), (1, 1))).r(ReduceOps.MAX, (2, 1)), np.zeros((2, 1), np.float32))

def test_window_and_its_adjoint():
  """<window(x), y> == <x, window_adjoint(y)>, and both are what they claim to be."""
  rng = np.random.default_rng(7)
  for _ in range(200):
    n, lead = int(rng.integers(1, 4)), rng.integers(1, 4, int(rng.integers(3))).tolist()
    size, kernel = rng.integers(1, 9, n).tolist(), pick(rng, (1, 2, 3, 4), n)
    steps, gaps = pick(rng, (1, 1, 2, 3, 5), n), pick(rng, (1, 1, 2, 3), n)
    x = rng.integers(-9, 10, (*lead, *size)).astype(np.int64)
    w = np_window(x, kernel, steps, gaps)
    y = rng.integers(-9, 10, w.shape).astype(np.int64)
    same(LazyBuffer(x).window(kernel, steps, gaps), w)
    adjoint = LazyBuffer(y).window_adjoint(size, steps, gaps)
    same(adjoint, np_window_adjoint(y, size, steps, gaps))
    assert (w*y).sum() == (x*value(adjoint)).sum()

@pytest.mark.parametrize("name, error, calls", [
  ("reshape", ValueError, [((4, 2),), ((-1, 4),), ((-1, -1),), ((-2, -3),), ((),)]),
  ("expand", ValueError, [((2, 4),), ((3,),), ((2, -3),), ((1, 3),)]),
  ("permute", ValueError, [((0, 0),), ((1, -1),), ((0,),), ((0, 1, 2),)]),
  ("permute", IndexError, [((0, 2),), ((0, -3),)]),
  ("shrink", IndexError, [(((0, 1),)*3,)]),
  ("pad", ValueError, [(((0, -1), (0, 0)),), (((0, 1),)*3,), (((2**62, 2**62), (0, 0)),)]),
  ("stride", ValueError, [((0, 1),)]),
  ("stride", IndexError, [((1, 1, 1),)]),
  ("window", ValueError, [((0,), (1,), (1,)), ((1,), (0,), (1,)), ((1,), (1,), (-1,)), ((1,)*3,)*3]),
  ("window_adjoint", ValueError, [((5,), (1,), (1,)), ((5, 5), (1, 1), (1, 1)), ((4,), (0,), (1,))]),
  ("r", AssertionError, [(ReduceOps.SUM, (1,))]),
])
def test_errors_name_the_shape(name, error, calls):
  a = np.arange(6, dtype=np.float32).reshape(2, 3)
  lb = LazyBuffer(a)
  for args in calls:
    with pytest.raises(error) as info: getattr(lb, name)(*args)
    assert "(2, 3)" in str(info.value), (args, info.value)
  same(lb, a)
  with pytest.raises(ValueError, match=r"\(2, 3\).*\(3, 2\)"): lb.e(BinaryOps.ADD, lb.permute((1, 0)))
  with pytest.raises(ValueError, match=r"\(0, 3\)"): lb.shrink(((0, 0), (0, 3))).r(ReduceOps.MAX, (1, 3))
  with pytest.raises(ValueError, match=r"\(1, 1\)"): lb.window((1, 1), (1,), (1, 1))

def test_slices_follow_python():
  a = np.arange(5, dtype=np.int32)
  for start, stop in itertools.product([None, -2**63, -7, -5, -1, 0, 2, 5, 9, 2**63-1], repeat=2):
    same(LazyBuffer(a).shrink([(start, stop)]), a[start:stop], (start, stop))
  for step in (1, 2, 4, 5, 6, 2**62, -1, -2, -5, -2**63): same(LazyBuffer(a).stride([step]), a[::step], step)
  same(LazyBuffer(np.ones((2, 2), np.int32)).pad([(1, 2)]), np.pad(np.ones((2, 2), np.int32), (1, 2)))

def test_positions_that_overflow_if_dims_are_joined():
  """Two levels say what one can't."""
  x = LazyBuffer.arange(2**40, dtypes.int64).reshape((2**10, 2**30)).permute((1, 0)).shrink(((5, 6), (0, 2**10))).pad(((3, 2**40), (0, 0)))
  size = x.shape[0] * x.shape[1]
  want = 5 + np.arange(3) * 2**30
  same(x.reshape((size,)).shrink(((3 * 2**10, 3 * 2**10 + 3),)), want)
  plus = x.e(BinaryOps.ADD, x.const(1)).reshape((size,))
  same(plus.shrink(((3 * 2**10, 3 * 2**10 + 3),)), want + 1)

def test_windows_too_large_to_be_spread():
  x = LazyBuffer(np.zeros((2, 2), np.float64))
  with pytest.raises(ValueError): value(x.window_adjoint((2**63 - 1,), (2**61 + 1,), (2**62,)))
