"""What the engine computes, against NumPy (bfloat16: PyTorch): every operation on every dtype, reductions, casts, creation,
and contractions; on every instruction set this machine has, with several numbers of threads."""
import fractions, functools, itertools, math

import numpy as np
import pytest

from teenygrad import _engine
from teenygrad.helpers import dtypes
from teenygrad.lazy import LazyBuffer
from teenygrad.ops import BinaryOps, LoadOps, MathOps, ReduceOps, TernaryOps, UnaryOps

from switches import ISAS, switches  # noqa: F401

NAMES = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64"]
INTS, FLOATS = NAMES[1:9], NAMES[9:]
SIZES = [0, 1, 2, 31, 32, 33, 47, 48, 49, 1023, 1024, 1025, 5000]

def dt(name): return getattr(dtypes, name)
def value(lb): return lb.realized.toCPU()
def buffers(*arrays): return [LazyBuffer(a) for a in arrays]

def equal(got, want, what=""):
  assert got.shape == want.shape and got.dtype == want.dtype, (got.shape, want.shape, got.dtype, want.dtype, what)
  np.testing.assert_array_equal(got, want, err_msg=str(what))

@pytest.fixture(params=ISAS)
def isa(request): _engine.set_isa(request.param)

def numbers(rng, name, n, special=True):
  """Numbers of a dtype, its ends and the special values of its kind among them."""
  if name == "bool": return rng.integers(0, 2, n).astype(bool)
  if name in INTS:
    info = np.iinfo(name)
    a = rng.integers(info.min, info.max, n, name, endpoint=True)
    a[rng.random(n) < .5] %= 7
    ends = [info.min, info.max, 0, 1, info.max-1]
  else:
    a = (rng.standard_normal(n) * 10.0**rng.integers(-3, 3, n)).astype(name)
    info = np.finfo(name)
    ends = [0.0, -0.0, np.inf, -np.inf, np.nan, 1, -1, .5, info.max, -info.max, info.tiny, info.smallest_subnormal, info.eps]
  if special and n: a[rng.integers(0, n, len(ends))] = np.array(ends, name)
  return a

def to_bf16(a):
  """Rounded to the nearest bfloat16, ties to even, as float32."""
  bits = np.asarray(a, np.float32).view(np.uint32)
  rounded = (bits + 0x7fff + (bits >> 16 & 1) & 0xffff0000).view(np.float32)
  return np.where(np.isnan(a), np.float32(np.nan), rounded)

# ---- elementwise ----

# NEG to SQRT and ADD to CMPLT are defined to the last bit. EXP2, LOG2 and SIN: float32 within 1 ULP of the true value, which
# float64 stands for; float64 within 2 of the C library's, two good libraries being that far apart; float16 is the rounded float32
# and may fall to the neighbour where that lies next to the middle between two.
EXACT, CLOSE = {UnaryOps.SQRT: np.sqrt, UnaryOps.NEG: np.negative}, {UnaryOps.EXP2: np.exp2, UnaryOps.LOG2: np.log2, UnaryOps.SIN: np.sin}
def sigmoid(x): return np.where(x < 0, np.exp(x), 1) / (1 + np.exp(-np.abs(x)))
MATH = dict(zip(MathOps, (np.cos, np.exp, np.log, np.expm1, np.log1p, np.tanh, sigmoid)))  # how close: docs/accuracy.md

def within_ulps(got, want, ulps):
  """want: in float64. Counted in the spacing of numbers at `want` in the dtype of `got`."""
  rounded = want.astype(got.dtype)
  finite = np.isfinite(rounded) & np.isfinite(got)
  edge = (np.abs(want) > np.finfo(got.dtype).max) & np.isfinite(want)  # an overflow may or may not be met just there
  np.testing.assert_array_equal(got[~finite & ~edge], rounded[~finite & ~edge])
  spacing = np.spacing(np.abs(rounded[finite])).astype(np.float64)
  assert np.all(np.abs(got[finite].astype(np.float64) - want[finite]) <= ulps*spacing)

@pytest.mark.parametrize("name", FLOATS)
def test_unary_floats(name, isa):
  rng = np.random.default_rng(1)
  for n in SIZES:
    a = numbers(rng, name, n)
    for op, fn in EXACT.items(): equal(value(LazyBuffer(a).e(op)), fn(a), op)
    equal(value(LazyBuffer(a).e(UnaryOps.RECIP)), a.dtype.type(1)/a)
    for op, fn in CLOSE.items():
      got = value(LazyBuffer(a).e(op))
      within_ulps(got, fn(a.astype(np.float64)), 2 if name == "float64" else 1)
    for op, fn in MATH.items(): within_ulps(value(LazyBuffer(a).e(op)), fn(a.astype(np.float64)), 2 if name == "float64" else 1.5)

@pytest.mark.parametrize("name", INTS)
def test_unary_integers(name, isa):
  """In float64, truncated back. The results fit the dtype: what lies outside is another test's."""
  a = numbers(np.random.default_rng(2), name, 300) % np.array(np.iinfo(name).bits - 1, name)
  for op, fn in {**CLOSE, UnaryOps.SQRT: np.sqrt}.items():
    x = a[a > 0]
    equal(value(LazyBuffer(x).e(op)), fn(x.astype(np.float64)).astype(name), op)
  equal(value(LazyBuffer(a).e(UnaryOps.NEG)), np.negative(a))

def test_bool():
  """Ors and ands; what has no meaning is refused."""
  a, b = np.array([False, False, True, True]), np.array([False, True, False, True])
  x, y = buffers(a, b)
  for op, want in ((BinaryOps.ADD, a | b), (BinaryOps.MUL, a & b), (BinaryOps.MAX, a | b), (BinaryOps.CMPLT, ~a & b)):
    equal(value(x.e(op, y)), want, op)
  for call in (lambda: x.e(UnaryOps.NEG), lambda: x.e(BinaryOps.SUB, y)): pytest.raises(TypeError, call)
  equal(value(x.e(UnaryOps.SQRT)), a)
  equal(value(LazyBuffer(np.array([2, 0, 255], np.uint8).view(bool)).cast(dtypes.int32)), np.array([1, 0, 1], np.int32))

def np_div(a, b): return np.trunc(a.astype(np.float64)/b.astype(np.float64)).astype(a.dtype) if a.dtype.kind in "iu" else a/b
BINARY = {BinaryOps.ADD: np.add, BinaryOps.SUB: np.subtract, BinaryOps.MUL: np.multiply, BinaryOps.DIV: np_div,
          BinaryOps.MAX: np.maximum, BinaryOps.CMPLT: np.less, BinaryOps.MOD: np.mod}

@pytest.mark.parametrize("name", NAMES)
def test_binary(name, isa):
  rng = np.random.default_rng(3)
  for n, (op, fn) in itertools.product(SIZES, BINARY.items()):
    if name == "bool" and op in (BinaryOps.SUB, BinaryOps.MOD): continue
    a, b = numbers(rng, name, n), numbers(rng, name, n)
    if op is BinaryOps.DIV and name in INTS:
      b[b == 0] = 3
      if name in ("int64", "uint64"): a, b = a >> a.dtype.type(11), b >> b.dtype.type(11) | b.dtype.type(1)  # a quotient that float64 holds
      keep = np.abs(a.astype(np.float64)/b.astype(np.float64)) <= np.iinfo(name).max
      a, b = a[keep], b[keep]
    if op is BinaryOps.MOD and name in FLOATS:  # NumPy's remainder of infinities and NaN is its own affair
      a, b = np.where(np.isfinite(a), a, 1).astype(name), np.where(np.isfinite(b) & (b != 0), b, 2).astype(name)
    equal(value(LazyBuffer(a).e(op, LazyBuffer(b))), fn(a, b).astype(name), (op, n))

@pytest.mark.parametrize("name", FLOATS)
def test_pow(name, isa):
  rng = np.random.default_rng(13)
  for n in SIZES:
    a, b = numbers(rng, name, n), numbers(rng, name, n)
    for x, y in ((a, b), (np.abs(a), b), (a, np.trunc(b % 7)), (1 + a/1000, b*100)):
      x, y = x.astype(name), y.astype(name)
      within_ulps(value(LazyBuffer(x).e(MathOps.POW, LazyBuffer(y))), x.astype(np.float64)**y.astype(np.float64), 2 if name == "float64" else 0.51)

BITS = {MathOps.AND: np.bitwise_and, MathOps.OR: np.bitwise_or, MathOps.XOR: np.bitwise_xor, MathOps.SHL: np.left_shift, MathOps.SHR: np.right_shift}

@pytest.mark.parametrize("name", NAMES)
def test_bits_and_floors(name, isa):
  """NumPy, too, gives 0 for x // 0 and x % 0, wraps INT_MIN // -1, and shifts by any number."""
  torch = pytest.importorskip("torch") if name in FLOATS else None
  rng = np.random.default_rng(5)
  for n, (op, fn) in itertools.product(SIZES, (BITS | {MathOps.FLOORDIV: np.floor_divide, BinaryOps.MOD: np.mod}).items()):
    a, b = numbers(rng, name, n), numbers(rng, name, n)
    if name in FLOATS and op in BITS or name == "bool" and op not in (MathOps.AND, MathOps.OR, MathOps.XOR):
      with pytest.raises(TypeError, match=f"{op.name} is not defined for {name}"): LazyBuffer(a).e(op, LazyBuffer(b))
      continue
    if n and name in INTS: a[:6], b[:6] = np.iinfo(name).min, np.array([-1, 0, 1, 3, -3, 0]).astype(name)[:n]
    if op in (MathOps.SHL, MathOps.SHR) and n: b = np.where(rng.random(n) < .8, rng.integers(0, 70, n), b).astype(name)
    if name in FLOATS:  # quotients that are whole numbers of the dtype, and PyTorch's infinities
      if op is BinaryOps.MOD: continue
      a, b = np.round(a.clip(-1000, 1000)), np.where(abs(b) > .3, b, 1).clip(-1000, 1000).astype(name)
      want = torch.floor_divide(torch.tensor(a), torch.tensor(b)).numpy()
    else:
      with np.errstate(all="ignore"): want = fn(a, b)
    equal(value(LazyBuffer(a).e(op, LazyBuffer(b))), want.astype(name), (op, n))
  if name in FLOATS:
    a, b = (x.ravel() for x in np.meshgrid(np.array([0., -0., 1, -1, 7, -7, np.inf, -np.inf, np.nan], name),
                                               np.array([0., -0., 2, -2, np.inf, -np.inf, np.nan], name)))
    equal(value(LazyBuffer(a).e(MathOps.FLOORDIV, LazyBuffer(b))), torch.floor_divide(torch.tensor(a), torch.tensor(b)).numpy())

@pytest.mark.parametrize("name", ["float32", "float64"])
def test_large_quotients_are_rounded_down(name, isa):
  """Exactly, by an FMA, as long as they have no more bits than a number; PyTorch's are one off at times."""
  rng, bits = np.random.default_rng(6), 24 if name == "float32" else 53
  y = rng.standard_normal(3000).astype(name)
  x = (y * 2.0 ** rng.uniform(0, bits, 3000) * rng.choice([-1, 1], 3000)).astype(name)
  x, y = x[abs(x / y) < 2.0 ** bits], y[abs(x / y) < 2.0 ** bits]
  floor = [math.floor(fractions.Fraction(float(a)) / fractions.Fraction(float(b))) for a, b in zip(x, y)]
  off = abs(value(LazyBuffer(x).e(MathOps.FLOORDIV, LazyBuffer(y))) - np.array(floor, name))
  assert off.max() <= (0 if _engine.info()["isa"] != "base" else 1)
  rest = [fractions.Fraction(float(a)) - fractions.Fraction(float(b)) * f for a, b, f in zip(x, y, floor)]
  equal(value(LazyBuffer(x).e(BinaryOps.MOD, LazyBuffer(y))), np.array([float(r) for r in rest], name))

@pytest.mark.parametrize("name", NAMES)
def test_where(name, isa):
  rng = np.random.default_rng(4)
  for n in SIZES:
    a, b = numbers(rng, name, n), numbers(rng, name, n)
    for kind in ("bool", "int32", "float16", "float32", "float64"):
      c = numbers(rng, kind, n)
      c[:n//2] = 0
      got = LazyBuffer(c).e(TernaryOps.WHERE, *buffers(a, b))
      assert got.dtype == max(dt(kind), dt(name))
      with np.errstate(all="ignore"): equal(value(got), np.where(c != 0, a, b).astype(got.dtype.np), kind)

@pytest.mark.parametrize("op", [BinaryOps.ADD, BinaryOps.MUL, BinaryOps.MAX, BinaryOps.CMPLT, BinaryOps.SUB, BinaryOps.DIV])
def test_mixed_dtypes(op):
  """In NumPy's common type, then cast to the dtype of the higher priority."""
  rng = np.random.default_rng(5)
  for m, n in itertools.permutations(NAMES, 2):
    a, b = (rng.integers(1, 100, 50).astype(k) for k in (m, n))
    got = LazyBuffer(a).e(op, LazyBuffer(b))
    assert got.dtype == max(dt(m), dt(n))
    common = np.result_type(a, b)
    x, y = a.astype(common), b.astype(common)
    want = np_div(x, y) if op is BinaryOps.DIV else x - y if op is BinaryOps.SUB else BINARY[op](x, y)
    equal(value(got), want.astype(np.int64).astype(got.dtype.np) if want.dtype.kind == "f" and got.dtype.np().dtype.kind in "iu"
          else want.astype(got.dtype.np), (m, n))

def test_mixed_integers_of_full_range():
  rng = np.random.default_rng(20)
  for m, n in itertools.permutations(INTS, 2):
    a, b = numbers(rng, m, 200), numbers(rng, n, 200)
    if {m, n} & {"uint64"} and np.result_type(a, b).kind == "f": continue  # in float64, of which the ends do not fit back
    for op in (BinaryOps.ADD, BinaryOps.MUL, BinaryOps.MAX, BinaryOps.CMPLT):
      got = LazyBuffer(a).e(op, LazyBuffer(b))
      x, y = (v.astype(np.result_type(a, b)) for v in (a, b))
      equal(value(got), BINARY[op](x, y).astype(got.dtype.np), (op, m, n))

def test_integer_division():
  for name in INTS:
    info = np.iinfo(name)
    a, b = np.array([7, 7, 1, info.max], name), np.array([2, 3, 5, 1], name)
    equal(value(LazyBuffer(a).e(BinaryOps.DIV, LazyBuffer(b)))[:3], np.array([3, 2, 0], name))
    if name.startswith("int"):
      equal(value(LazyBuffer(np.array([-7, 7, -7], name)).e(BinaryOps.DIV, LazyBuffer(np.array([2, -2, -2], name)))), np.array([-3, -3, 3], name))
    zero = value(LazyBuffer(a).e(BinaryOps.DIV, LazyBuffer(np.zeros(4, name))))
    equal(zero, np.full(4, info.min if name in ("int32", "int64") else 0, name), name)  # the same on every machine

def test_special_values():
  x = np.array([0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 1e-45, 3e38], np.float32)
  grid = np.repeat(x, len(x)), np.tile(x, len(x))
  for op in (BinaryOps.ADD, BinaryOps.SUB, BinaryOps.MUL, BinaryOps.DIV, BinaryOps.CMPLT):
    equal(value(LazyBuffer(grid[0]).e(op, LazyBuffer(grid[1]))), BINARY[op](*grid).astype(np.float32), op)
  got = value(LazyBuffer(grid[0]).e(BinaryOps.MAX, LazyBuffer(grid[1])))  # NaN wins from either side
  equal(got, np.maximum(*grid))
  for op, want in {UnaryOps.LOG2: [-np.inf, -np.inf, np.inf, np.nan, np.nan, 0], UnaryOps.EXP2: [1, 1, np.inf, 0, np.nan, 2],
                   UnaryOps.SQRT: [0, -0.0, np.inf, np.nan, np.nan, 1], UnaryOps.RECIP: [np.inf, -np.inf, 0, -0.0, np.nan, 1]}.items():
    got = value(LazyBuffer(x[:6]).e(op))
    equal(got, np.array(want, np.float32), op)
    equal(np.signbit(got)[[0, 1]], np.signbit(np.array(want, np.float32))[[0, 1]])
  equal(value(LazyBuffer(np.array([np.inf, -np.inf, np.nan, 0], np.float32)).e(UnaryOps.SIN)), np.array([np.nan]*3 + [0], np.float32))

  x = np.array([0, -0.0, np.inf, -np.inf, np.nan, -1, 1e-45, -1e-45, 3e38, -3e38], np.float32)
  with np.errstate(all="ignore"):
    for op, fn in MATH.items():
      got, want = value(LazyBuffer(x).e(op)), fn(x.astype(np.float64)).astype(np.float32)
      np.testing.assert_allclose(got, want, rtol=3e-7, err_msg=str(op))
      equal(np.signbit(got[~np.isnan(want)]), np.signbit(want[~np.isnan(want)]))

# ---- 16-bit floats ----

@pytest.mark.parametrize("length", [1, 5, 40])
def test_float16_rounds_after_each_step(length, isa):
  rng = np.random.default_rng(6)
  a = rng.uniform(.5, 2, 3000).astype(np.float16)
  lb = LazyBuffer(a)
  for _ in range(length):
    c = np.float16(rng.uniform(.5, 1.5))
    op, fn = [(BinaryOps.ADD, np.add), (BinaryOps.MUL, np.multiply), (BinaryOps.SUB, np.subtract), (BinaryOps.DIV, np.divide)][rng.integers(4)]
    a, lb = fn(a, c), lb.e(op, lb.const(c))
  equal(value(lb), a)
  equal(value(lb.e(UnaryOps.SQRT).cast(dtypes.float32)), np.sqrt(a).astype(np.float32))

def test_bfloat16(isa):
  torch = pytest.importorskip("torch")
  rng = np.random.default_rng(7)
  ops = {BinaryOps.ADD: torch.add, BinaryOps.SUB: torch.sub, BinaryOps.MUL: torch.mul, BinaryOps.DIV: torch.div, BinaryOps.MAX: torch.maximum,
         BinaryOps.CMPLT: torch.lt}
  for n in SIZES:
    a, b = numbers(rng, "float32", n), numbers(rng, "float32", n)
    x, y = (LazyBuffer(v).cast(dtypes.bfloat16) for v in (a, b))
    tx, ty = (torch.from_numpy(v).to(torch.bfloat16) for v in (a, b))
    assert x.dtype == dtypes.bfloat16
    equal(value(x.cast(dtypes.float32)), tx.float().numpy())
    for op, fn in ops.items(): equal(value(x.e(op, y).cast(dtypes.float32)), fn(tx, ty).to(torch.bfloat16).float().numpy(), op)
    for op, fn in {UnaryOps.NEG: torch.neg, UnaryOps.SQRT: torch.sqrt}.items():
      equal(value(x.e(op).cast(dtypes.float32)), fn(tx).float().numpy(), op)
    assert x.e(BinaryOps.ADD, LazyBuffer(a)).dtype == dtypes.float32
    w = rng.integers(-4, 5, n).astype(np.float32)
    equal(value(LazyBuffer(w).cast(dtypes.bfloat16).r(ReduceOps.SUM, (1,)).cast(dtypes.float32)), to_bf16(w.sum(keepdims=True)))
  chain, t = LazyBuffer(a).cast(dtypes.bfloat16), torch.from_numpy(a).to(torch.bfloat16)
  c, d = (torch.tensor(v).bfloat16() for v in (1.1, .3))
  for _ in range(9): chain, t = chain.e(BinaryOps.MUL, chain.const(1.1)).e(BinaryOps.ADD, chain.const(.3)), t*c + d
  equal(value(chain.cast(dtypes.float32)), t.float().numpy())
  bits = rng.integers(0, 2**16, 3000, np.uint16)
  equal(value(LazyBuffer(bits).cast(dtypes.bfloat16, True).cast(dtypes.uint16, True)), bits)
  pytest.raises(TypeError, lambda: LazyBuffer(bits).cast(dtypes.bfloat16).realized)

# ---- casts ----

@pytest.mark.parametrize("source", NAMES)
def test_casts(source, isa):
  rng = np.random.default_rng(8)
  for to, n in itertools.product(NAMES, (1, 33, 1500)):
    a = numbers(rng, source, n)
    if source in FLOATS and to in INTS:  # beyond its ends C says nothing
      info = np.iinfo(to)
      a = a[np.isfinite(a)]
      a = a[(a.astype(np.float64) > info.min - 1.0) & (a.astype(np.float64) < (2.0**info.bits if info.min == 0 else 2.0**(info.bits-1)))]
    equal(value(LazyBuffer(a).cast(dt(to))), a.astype(to), (source, to))
    b = numbers(rng, source, n)
    if source != "bool":  # twice in one kernel, with a step in between, is as if each were stored
      two = LazyBuffer(b).e(UnaryOps.NEG).cast(dtypes.float16).cast(dtypes.float32)
      equal(value(two), (-b).astype(np.float16).astype(np.float32), source)

def test_casts_round_once():
  """float64 and 64-bit integers to 16-bit floats, next to the middle between two."""
  a = np.array([1 + 2**-11 + 2**-40, 1 + 2**-11, 1 + 2**-11 - 2**-40, 65519.999999, 65520, 2**-25, 2**-25 + 2**-60, -2**-26], np.float64)
  equal(value(LazyBuffer(a).cast(dtypes.float16)), a.astype(np.float16))
  b = np.array([1 + 2**-8 + 2**-40, 1 + 2**-8, 1 + 2**-8 - 2**-40])
  equal(value(LazyBuffer(b).cast(dtypes.bfloat16).cast(dtypes.float32)), np.array([1 + 2**-7, 1, 1], np.float32))
  c = np.array([2**62 + 2**54 + 1, 2**62 + 2**54, 2**62 + 2**54 - 1], np.int64)
  equal(value(LazyBuffer(c).cast(dtypes.bfloat16).cast(dtypes.float32)), np.array([2**62 + 2**55, 2**62, 2**62], np.float32))
  d = np.array([2**24 + 1, 2**24 + 3, 2**63 - 1, 2**53 + 1], np.int64)
  equal(value(LazyBuffer(d).cast(dtypes.float32)), d.astype(np.float32))
  equal(value(LazyBuffer(d).cast(dtypes.float64)), d.astype(np.float64))

def test_bitcasts():
  rng = np.random.default_rng(9)
  for m, n in itertools.product(NAMES[1:], repeat=2):
    a = rng.integers(0, 256, (3, 48), np.uint8).view(m)
    for x, lb in ((a, LazyBuffer(a)), (a[::-1], LazyBuffer(a).stride((-1, 1))), (-a, LazyBuffer(a).e(UnaryOps.NEG))):
      got = value(lb.cast(dt(n), True))
      assert got.dtype == n and got.tobytes() == np.ascontiguousarray(x).view(n).tobytes() or np.isnan(x.astype(np.float64)).any()
      equal(value(lb.cast(dt(n), True).e(BinaryOps.MAX, lb.cast(dt(n), True))), np.maximum(got, got))
  with pytest.raises(ValueError): LazyBuffer(np.zeros((2, 3), np.uint8)).cast(dtypes.float32, True)
  with pytest.raises(ValueError): LazyBuffer(np.zeros((), np.uint8)).cast(dtypes.float32, True)

# ---- reductions ----

def keepdims(shape, axes): return tuple(1 if i in axes else n for i, n in enumerate(shape))

REDUCED = [1, 2, 3, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 1023, 1024, 1025, 2049, 5000, 200_000]

@pytest.mark.parametrize("name", NAMES)
def test_reductions_by_size(name, isa):
  """Small whole numbers: sums are exact in float32, so float16 is rounded just once. Along rows and along columns."""
  rng = np.random.default_rng(10)
  for n in REDUCED:
    for shape, axes in (((n,), {0}), ((3, n), {1}), ((n, 3), {0}), ((n, 70), {0}), ((2, n, 5), {0, 1})):
      if n > 5000 and len(shape) > 1: continue
      a = rng.integers(0, 2, shape).astype(bool) if name == "bool" else rng.integers(0, 5, shape).astype(name)
      lb, new, axes = LazyBuffer(a), keepdims(shape, axes), tuple(axes)
      wide = a if name == "bool" else a.astype(np.int64 if name in INTS else np.float64)
      want = wide.sum(axes, keepdims=True).astype(name)
      if new == shape: want = a
      equal(value(lb.r(ReduceOps.SUM, new)), want, (n, shape))
      b = numbers(rng, name, a.size, special=False).reshape(shape)
      equal(value(LazyBuffer(b).r(ReduceOps.MAX, new)), b.max(axes, keepdims=True), (n, shape))

@pytest.mark.parametrize("name", NAMES)
def test_products(name, isa):
  """Powers of 2, which floats multiply exactly; integers wrap."""
  rng = np.random.default_rng(12)
  for n in REDUCED:
    for shape, axes in (((n,), (0,)), ((3, n), (1,)), ((n, 3), (0,)), ((n, 70), (0,)), ((2, n, 5), (0, 1)), ((2, n, 5), (0, 2))):
      if n > 5000 and len(shape) > 1: continue
      if name in FLOATS:
        a = rng.choice(np.array([1, -1] * 40 + [2, .5], name), shape)
        if a.size > 9 and rng.random() < .2: a.ravel()[rng.integers(a.size)] = rng.choice([0, np.inf, np.nan])
      else: a = numbers(rng, name, math.prod(shape)).reshape(shape) | np.array(1, name)
      with np.errstate(all="ignore"): want = a.prod(axes, keepdims=True, dtype="float64" if name in FLOATS else name).astype(name)
      if name in FLOATS and not (abs(np.log2(abs(want[np.isfinite(want) & (want != 0)]))) < 10).all(): continue
      lb = LazyBuffer(a)
      equal(value(lb.r(MathOps.PROD, keepdims(shape, axes))), want, (n, shape))
      moved = lb.permute(tuple(range(a.ndim))[::-1]).pad([(0, 1)] + [(0, 0)] * (a.ndim - 1))  # times what is outside: zeros
      padded, back = np.pad(a.T, [(0, 1)] + [(0, 0)] * (a.ndim - 1)), tuple(a.ndim - 1 - i for i in axes)
      with np.errstate(all="ignore"): want = padded.prod(back, keepdims=True, dtype="float64" if name in FLOATS else name).astype(name)
      if not np.isnan(want).any(): equal(value(moved.r(MathOps.PROD, keepdims(padded.shape, back))), want, (n, shape))
  equal(value(LazyBuffer(np.zeros((2, 0), name)).r(MathOps.PROD, (2, 1))), np.ones((2, 1), name))

@pytest.mark.parametrize("name", ["int32", "float32", "float64"])
def test_reductions_over_any_axes(name):
  """Of views and of computed values, with an epilogue that reads the reduced value again."""
  rng = np.random.default_rng(11)
  for _ in range(150):
    shape = rng.integers(1, 7, rng.integers(1, 5)).tolist()
    if rng.random() < .1: shape[0] = 0
    a = rng.integers(-9, 10, shape).astype(name)
    order = rng.permutation(len(shape)).tolist()
    lb, v = LazyBuffer(a).permute(order).stride([-1]), a.transpose(order)[::-1]
    axes = tuple(i for i in range(v.ndim) if rng.random() < .5)
    new = keepdims(v.shape, axes)
    lb, v = lb.e(BinaryOps.MUL, lb.const(3)), v*v.dtype.type(3)
    s, want = lb.r(ReduceOps.SUM, new), v.sum(axes, keepdims=True, dtype=v.dtype)
    equal(value(s), want)
    equal(value(s.e(BinaryOps.ADD, s.const(1)).expand(v.shape).e(BinaryOps.SUB, lb)), want + v.dtype.type(1) - v)
    if v.size: equal(value(lb.r(ReduceOps.MAX, new).e(UnaryOps.NEG)), -v.max(axes, keepdims=True))
    some = np.sign(v) + (v == 0)
    equal(value(LazyBuffer(some).r(MathOps.PROD, new).e(BinaryOps.ADD, s)), some.prod(axes, keepdims=True, dtype=v.dtype) + want)

def test_reductions_of_nothing():
  for name in NAMES:
    lb = LazyBuffer(np.zeros((3, 0, 2), name))
    equal(value(lb.r(ReduceOps.SUM, (3, 1, 2))), np.zeros((3, 1, 2), name))
    equal(value(lb.r(ReduceOps.SUM, (1, 1, 1))), np.zeros((1, 1, 1), name))
    equal(value(lb.r(ReduceOps.MAX, (1, 0, 2))), np.zeros((1, 0, 2), name))
    equal(value(LazyBuffer(np.zeros((0, 0), name)).r(ReduceOps.MAX, (1, 0))), np.zeros((1, 0), name))
    for new in ((3, 1, 2), (1, 1, 1)): pytest.raises(ValueError, lb.r, ReduceOps.MAX, new)

def test_maximum_with_nan(isa):
  for n in (1, 5, 16, 33, 1025, 5000):
    for at in {0, n//2, n-1}:
      a = np.full((n, 3), -np.inf, np.float32)
      a[at, 1] = np.nan
      if n > 1:
        equal(value(LazyBuffer(a).r(ReduceOps.MAX, (1, 3))), a.max(0, keepdims=True))
        equal(value(LazyBuffer(np.ascontiguousarray(a.T)).r(ReduceOps.MAX, (3, 1))), a.T.max(1, keepdims=True))

def test_narrow_sums_wrap():
  equal(value(LazyBuffer(np.full(300, 200, np.uint8)).r(ReduceOps.SUM, (1,))), np.array([300*200 % 256], np.uint8))
  equal(value(LazyBuffer(np.full(3, 2**62, np.int64)).r(ReduceOps.SUM, (1,))), np.array([3*2**62 - 2**64], np.int64))
  half = value(LazyBuffer(np.ones(70_000, np.float16)).r(ReduceOps.SUM, (1,)))
  equal(half, np.array([np.inf], np.float16))
  equal(value(LazyBuffer(np.ones(4097, np.float16)).r(ReduceOps.SUM, (1,))), np.array([4096], np.float16))

@pytest.mark.parametrize("name, eps", [("float32", 2.0**-24), ("float64", 2.0**-53)])
def test_error_of_sums_grows_with_the_logarithm(name, eps, isa):
  """A number passes at most 32 additions within a block and one a level of a binary tree of blocks, twice if there are chunks:
  each adds at most half an ULP of a partial sum, which sum(|x|) bounds."""
  rng = np.random.default_rng(12)
  for shape, axis in (((1_000_000,), 0), ((3, 200_001), 1), ((100_000, 7), 0), ((5000, 100), 0)):
    a = rng.standard_normal(shape).astype(name)
    got = value(LazyBuffer(a).r(ReduceOps.SUM, keepdims(shape, {axis}))).ravel()
    rows = np.moveaxis(a, axis, 0).reshape(shape[axis], -1).T
    for x, g in zip(rows[:4], got):
      assert abs(math.fsum(x) - float(g)) <= (32 + 2*math.log2(len(x)))*eps*np.abs(x).sum(dtype=np.float64)

@pytest.mark.parametrize("name", ["int32", "float16", "float32", "float64"])
def test_sums_of_rows_and_columns_of_every_length(name, isa):
  """Whole numbers, exact in float16 as well: rows that lie in memory, those that don't, few columns and many."""
  rng = np.random.default_rng(20)
  many = [(50, 5000), (70, 4097), (200, 64), (1000, 511), (300, 512), (300, 513), (40, 2000)]
  for shape in [(3, n) for n in SIZES] + [(n, 3) for n in SIZES] + many:
    a = rng.integers(-1, 2, shape).astype(name)
    for axis, new in ((1, (shape[0], 1)), (0, (1, shape[1]))):
      want = a.sum(axis, keepdims=True, dtype=a.dtype)
      lb = LazyBuffer(a)
      equal(value(lb.r(ReduceOps.SUM, new)), want, (shape, axis))
      equal(value(lb.e(BinaryOps.MUL, lb.const(-1)).r(ReduceOps.SUM, new)), -want, (shape, axis))
      if 0 not in shape: equal(value(lb.stride([-1, -1]).r(ReduceOps.MAX, new)), a[::-1, ::-1].max(axis, keepdims=True), (shape, axis))

@pytest.mark.parametrize("name", ["float16", "float32", "float64"])
def test_sums_of_products_have_the_bits_of_stored_products(name, isa):
  """Products are summed where their factors lie, or not: rounded once each, to float32 even those of halves, and added in the same order."""
  rng = np.random.default_rng(22)
  for shape in [(3, n) for n in SIZES if n] + [(300, 20), (70, 4097), (16, 30_000), (9, 5, 1000), (40, 3, 70)]:
    a, b, c = (LazyBuffer(rng.standard_normal(s).astype(name)) for s in (shape, shape, (1,)*(len(shape)-1) + shape[-1:]))
    order = (0, 1) if len(shape) == 2 else (1, 0, 2)
    for x, y in ((a, b), (a, c.expand(shape)), (a, a)):
      wide = dtypes.float32 if name == "float16" else dt(name)
      stored = LazyBuffer(value(x.cast(wide).e(BinaryOps.MUL, y.cast(wide)))).permute(order)
      x, y, new = x.permute(order), y.permute(order), stored.shape[:-1] + (1,)
      equal(value(x.e(BinaryOps.MUL, y).r(ReduceOps.SUM, new)), value(stored.r(ReduceOps.SUM, new).cast(dt(name))), shape)

@pytest.mark.parametrize("name", ["int32", "float32", "float64"])
def test_rows_of_several_runs(name, isa):
  """Rows that lie in memory in parts, each of them long or short, few or many; whole numbers, so that every order gives the same."""
  rng = np.random.default_rng(23)
  for shape, axes in (((9, 17, 8, 9), (0, 2, 3)), ((600, 5, 100), (0, 2)), ((3, 40, 7, 70), (0, 2, 3)), ((2000, 1, 64), (0, 2)),
                      ((700, 2, 500), (0, 2)), ((5, 6, 7, 200), (1, 3)), ((20, 30, 63), (0, 2))):
    a, b = (rng.integers(-2, 3, shape).astype(name) for _ in range(2))
    x, y, new = LazyBuffer(a), LazyBuffer(b), keepdims(shape, set(axes))
    equal(value(x.r(ReduceOps.SUM, new)), a.sum(axes, keepdims=True, dtype=a.dtype), shape)
    equal(value(x.r(ReduceOps.MAX, new)), a.max(axes, keepdims=True), shape)
    equal(value(x.e(BinaryOps.MUL, y).r(ReduceOps.SUM, new)), (a*b).sum(axes, keepdims=True, dtype=a.dtype), shape)
    cut = (slice(None),)*(len(shape) - 1) + (slice(1, None),)
    part = x.shrink([(int(i == len(shape) - 1), n) for i, n in enumerate(shape)])
    equal(value(part.r(ReduceOps.SUM, new)), a[cut].sum(axes, keepdims=True, dtype=a.dtype), shape)

@pytest.mark.parametrize("name", ["uint8", "float16", "float32", "int64"])
def test_maps_across_memory(name, isa):
  """Copies and sums of what lies along another axis than the result, whose sizes fit tiles or do not."""
  rng = np.random.default_rng(21)
  for shape, order in (((256, 320), (1, 0)), ((70, 1021), (1, 0)), ((1021, 65), (1, 0)), ((5, 130, 111), (0, 2, 1)), ((66, 20, 70), (2, 1, 0)),
                       ((3, 64, 20, 30), (0, 2, 3, 1)), ((1, 300, 1, 300), (3, 2, 1, 0))):
    a = rng.integers(0, 100, shape).astype(name)
    lb, v = LazyBuffer(a).permute(order), a.transpose(order)
    _engine.set_threads(rng.integers(1, 4).item())
    equal(value(lb.contiguous()), v, shape)
    b = rng.integers(0, 100, v.shape).astype(name)
    equal(value(lb.e(BinaryOps.ADD, LazyBuffer(b)).cast(dtypes.float32)), (v+b).astype(np.float32), shape)
    equal(value(lb.stride([-1]*v.ndim).contiguous()), np.flip(v), shape)
    pad = [(1, 2)] * v.ndim
    equal(value(lb.pad(pad).e(BinaryOps.MUL, lb.pad(pad))), np.pad(v*v, pad), shape)
    flat = LazyBuffer.arange(a.size, dtypes.int32).reshape(shape).permute(order)
    equal(value(flat.pad(pad).e(BinaryOps.ADD, lb.pad(pad).cast(dtypes.int32))),
          np.pad(np.arange(a.size, dtype=np.int32).reshape(shape).transpose(order) + v.astype(np.int32), pad), shape)

@pytest.mark.threads
def test_large_results(isa):
  """Results large enough to be written past the cache, several of a kernel, of every itemsize; rows that end within a line of memory."""
  rng = np.random.default_rng(23)
  a = rng.integers(-50, 50, (1021, 2053)).astype(np.float32)
  lb = LazyBuffer(a)
  for threads in (1, 3):
    _engine.set_threads(threads)
    plus, wide, half = lb.e(BinaryOps.ADD, lb.const(1)), lb.cast(dtypes.float64), lb.pad([(0, 0), (0, 2053)]).cast(dtypes.float16)
    small = lb.pad([(0, 0), (0, 8*2053)]).cast(dtypes.int8)
    _engine.realize([plus, wide, half, small])
    equal(value(plus), a + 1), equal(value(wide), a.astype(np.float64))
    equal(value(half), np.pad(a, [(0, 0), (0, 2053)]).astype(np.float16)), equal(value(small), np.pad(a, [(0, 0), (0, 8*2053)]).astype(np.int8))
    equal(value(lb.permute((1, 0)).contiguous()), a.T)
    total = lb.r(ReduceOps.SUM, (1021, 1))
    less, more = lb.e(BinaryOps.SUB, total.expand(a.shape)), lb.e(BinaryOps.MUL, lb.r(ReduceOps.MAX, (1021, 1)).expand(a.shape))
    _engine.realize([less, more])
    equal(value(less), a - a.sum(1, keepdims=True)), equal(value(more), a * a.max(1, keepdims=True))

@pytest.mark.parametrize("name", ["int8", "int16", "float32", "float64"])
def test_views_of_two_levels(name, isa):
  """What no single affine map leads to: elements repeated along an axis that is then cut, padded, turned, stepped through."""
  rng = np.random.default_rng(22)
  for (h, w), (y, x) in itertools.product(((1, 1), (7, 5), (40, 33)), ((1, 2), (2, 2), (3, 1), (2, 5))):
    a = rng.integers(-99, 99, (3, h, w)).astype(name)
    lb = LazyBuffer(a).reshape((3, h, 1, w, 1)).expand((3, h, y, w, x)).reshape((3, h*y, w*x))
    v = a.repeat(y, 1).repeat(x, 2)
    equal(value(lb.contiguous()), v)
    equal(value(lb.permute((2, 0, 1)).contiguous()), v.transpose(2, 0, 1))
    equal(value(lb.stride([1, -1, 2]).contiguous()), v[:, ::-1, ::2])
    equal(value(lb.pad([(1, 0), (2, 1), (0, 3)]).e(UnaryOps.NEG)), -np.pad(v, ((1, 0), (2, 1), (0, 3))))
    equal(value(lb.reshape((3*h*y, 1, w*x)).expand((3*h*y, 2, w*x)).reshape((6*h*y, w*x)).contiguous()), v.reshape(-1, w*x).repeat(2, 0))
    equal(value(lb.shrink(((0, 3), (0, h*y), (0, 1))).expand((3, h*y, 9)).contiguous()), np.broadcast_to(v[:, :, :1], (3, h*y, 9)))

# ---- creation ----

def test_random_numbers():
  def rand(shape, key, dtype=dtypes.float32): return LazyBuffer.loadop(LoadOps.RAND, shape, dtype, "CPU", key)
  for dtype, bits in ((dtypes.float32, 24), (dtypes.float64, 53)):
    a = value(rand((100_000,), 5, dtype))
    assert a.dtype == dtype.np and a.min() >= 0 and a.max() < 1 and np.all(a*2.0**bits == np.floor(a*2.0**bits))
    # mean 1/2 and variance 1/12 within five standard errors of 100,000 numbers
    assert abs(a.mean(dtype=np.float64) - 1/2) < 5*math.sqrt(1/12/1e5) and abs(a.var(dtype=np.float64) - 1/12) < 5*math.sqrt(1/180/1e5)
    equal(value(rand((77, 3), 5, dtype)), a[:231].reshape(77, 3))
    other = rand((10, 100), 5, dtype)
    equal(value(other.permute((1, 0)).shrink(((3, 9), (2, 4)))), a[:1000].reshape(10, 100).T[3:9, 2:4])
    equal(value(other.e(BinaryOps.ADD, other).r(ReduceOps.MAX, (1, 100))), (a[:1000]*dtype.np(2)).reshape(10, 100).max(0, keepdims=True))
    for isa, threads in itertools.product(ISAS, (1, 2, 5)):
      _engine.set_isa(isa)
      _engine.set_threads(threads)
      equal(value(rand((100_000,), 5, dtype)), a)
    b = value(rand((100_000,), 6, dtype))
    assert abs(np.corrcoef(a, b)[0, 1]) < 5/math.sqrt(1e5) and np.mean(a == b) < 1e-4
  pytest.raises(TypeError, rand, (3,), 1, dtypes.int32)

def test_constants_arange_empty():
  def load(op, *args): return LazyBuffer.loadop(op, *args[:2], "CPU", *args[2:])
  for name in NAMES:
    for v in (0, 1, 3.7, True) + ((-2, 300) if name != "bool" else ()):
      want = np.array(v).astype(np.int64 if name in INTS else name).astype(name) * np.ones((2, 3), name)
      equal(value(load(LoadOps.CONST, (2, 3), dt(name), v)), want, (name, v))
      equal(value(LazyBuffer(np.zeros((2, 3), name)).const(v)), want, (name, v))
    empty = load(LoadOps.EMPTY, (4, 5), dt(name))
    assert value(empty).shape == (4, 5) and value(empty).dtype == name and empty.computed
    if name != "bool":
      for n in (0, 1, 5, 2000):
        lb, a = LazyBuffer.arange(n, dt(name)), np.arange(n).astype(name)
        equal(value(lb), a)
        equal(value(lb.stride([-1]).pad([(1, 2)]).e(UnaryOps.NEG)), -np.pad(a[::-1], (1, 2)))
        equal(value(lb.r(ReduceOps.SUM, (1,))), a.sum(keepdims=True, dtype=np.float64 if name == "float16" else name).astype(name) if n != 1 else a)
  equal(value(load(LoadOps.CONST, (), dtypes.int64, 2**63 - 1)), np.array(2**63 - 1))
  equal(value(load(LoadOps.CONST, (), dtypes.uint64, 2**64 - 1)), np.array(2**64 - 1, np.uint64))
  for op in (LoadOps.FROM, LoadOps.CUSTOM, LoadOps.CONTIGUOUS): pytest.raises(NotImplementedError, load, op, (1,), dtypes.int32)
  pytest.raises(ValueError, load, LoadOps.EMPTY, (2, -1), dtypes.int32)

# ---- running sums, indexed loads, scattered additions ----

@pytest.mark.parametrize("name", NAMES)
def test_cumsum(name, isa):
  """Of rows and of columns, of views, of computed values; small whole numbers, exact in float16 up to 2048."""
  rng = np.random.default_rng(18)
  for shape in ((1,), (5,), (1025,), (3, 7), (2, 1100), (1100, 2), (3, 4, 70), (0, 3), (3, 0)):
    a = rng.integers(0, 2, shape).astype(name)
    moved, v = LazyBuffer(a).permute(tuple(range(a.ndim))[::-1]).stride([-1]), a.T[::-1]
    for lb, x in ((LazyBuffer(a), a), (moved, v), (moved.pad([(1, 2)] + [(0, 0)]*(a.ndim-1)), np.pad(v, [(1, 2)] + [(0, 0)]*(a.ndim-1)))):
      for axis in range(-x.ndim, x.ndim):
        want = np.logical_or.accumulate(x, axis) if name == "bool" else np.cumsum(x, axis, dtype=name)
        equal(value(lb.cumsum(axis)), want, (shape, axis))
        twice = lb.e(BinaryOps.ADD, lb).cumsum(axis)
        equal(value(twice.e(BinaryOps.MAX, lb)), want if name == "bool" else np.maximum(want*x.dtype.type(2), x), (shape, axis))
  for axis in (1, -2): pytest.raises(IndexError, LazyBuffer(np.zeros(3, name)).cumsum, axis)

def in_order(x, axis, descending):
  """The indices of a stable sort, NaN being the largest."""
  rank = np.unique(np.where(np.signbit(x), x + x.dtype.type(0), x) if x.dtype.kind == "f" else x, return_inverse=True)[1].reshape(x.shape)
  return np.argsort(-rank if descending else rank, axis, kind="stable")

@pytest.mark.parametrize("name", NAMES)
def test_argsort(name, isa):
  """Of rows that are merged and of those that are not, with ties; along any axis of views and of computed values; the first few only."""
  rng = np.random.default_rng(19)
  for shape in ((1,), (5,), (17,), (255,), (256,), (3000,), (3, 7), (2, 1100), (40, 300), (1100, 2), (3, 4, 70), (0, 3), (3, 0)):
    a = numbers(rng, name, math.prod(shape)).reshape(shape)
    if rng.random() < .5: a = a % np.array(7, name) if name in INTS else np.round(a).clip(-9, 9)
    moved, v = LazyBuffer(a).permute(tuple(range(a.ndim))[::-1]).stride([-1]), a.T[::-1]
    for lb, x in ((LazyBuffer(a), a), (moved, v), (moved.pad([(1, 2)] + [(0, 0)]*(a.ndim-1)), np.pad(v, [(1, 2)] + [(0, 0)]*(a.ndim-1)))):
      for axis, descending in itertools.product(range(-x.ndim, x.ndim), (False, True)):
        want = in_order(x, axis, descending)
        equal(value(lb.argsort(axis, descending, x.shape[axis])), want, (shape, axis))
        count = rng.integers(0, x.shape[axis] + 1) // rng.choice([1, 20])
        got = lb.argsort(axis, descending, count)
        equal(value(got.e(BinaryOps.ADD, got)), want.take(range(count), axis)*2, (shape, axis, count))
        if name != "bool":
          twice = x.astype(x.dtype) * np.array(0, name) + x
          equal(value(lb.e(BinaryOps.MUL, lb.const(0)).e(BinaryOps.ADD, lb).argsort(axis, descending, count)),
                in_order(twice, axis, descending).take(range(count), axis))
  lb = LazyBuffer(np.zeros((2, 3), name))
  for axis in (2, -3): pytest.raises(IndexError, lb.argsort, axis, False, 1)
  for count in (-1, 4): pytest.raises(ValueError, lb.argsort, 1, False, count)
  for args in ((), (0, False), ("a", False, 1), (0, False, "a")): pytest.raises(TypeError, lb.argsort, *args)
  assert lb.argsort(1, True, 2).schedule()[0].text == "SORT (2,) along (3,) int64:"

@pytest.mark.parametrize("threads", [1, 2, 16, 256])
def test_rows_that_no_memory_holds(threads):
  """Every worker would have one: 2^60 bytes."""
  _engine.set_threads(threads)
  row = LazyBuffer(np.ones((1, 1), np.float32)).expand((2, 2**56))
  with pytest.raises(MemoryError): _engine.realize([row.argsort(1, False, 1)])

def random_index(rng, shape, n, shift=100):
  """Indices into n, some from the end; the buffer computes them from what is outside: zeros of a padding would be out of range."""
  a = rng.integers(-n, n, shape)
  lb = LazyBuffer((a + shift).astype(np.int64))
  return lb.e(BinaryOps.SUB, lb.const(shift)), a

def test_computed_index_in_a_transposed_map():
  """Such a map runs in tiles, which overhang it: no index is looked at there."""
  data, shifted, other = np.random.randn(60, 301), np.random.randint(-100, -50, (300, 301)), np.random.randn(301, 300)
  index = LazyBuffer(shifted) + 100
  transposed = LazyBuffer(other).permute((1, 0))
  got = LazyBuffer(data).gather(index, 0).e(BinaryOps.ADD, transposed).e(BinaryOps.SUB, transposed.e(UnaryOps.NEG))
  equal(value(got), np.take_along_axis(data, shifted + 100, 0) + other.T + other.T)

@pytest.mark.parametrize("name", NAMES)
def test_gather_and_scatter(name):
  rng = np.random.default_rng(19)
  for _ in range(60):
    shape = rng.integers(1, 6, int(rng.integers(1, 4))).tolist()
    axis = int(rng.integers(len(shape)))
    size = [int(rng.integers(0, 9)) if i == axis else int(rng.integers(1, n+1)) for i, n in enumerate(shape)]
    a = rng.integers(0, 2 if name == "bool" else 5, shape[::-1]).astype(name).T
    lb = LazyBuffer(a.T.copy()).permute(tuple(range(a.ndim))[::-1])
    index, i = random_index(rng, size, shape[axis])
    cut = a[tuple(slice(None) if d == axis else slice(n) for d, n in enumerate(size))]
    want = np.take_along_axis(cut, i, axis)
    got = lb.gather(index, axis)
    equal(value(got), want)
    pads = [(1, 2)]*a.ndim
    padded = lb.e(BinaryOps.ADD, lb).gather(index, axis - a.ndim).pad(pads)
    equal(value(padded.e(BinaryOps.MAX, padded.const(0))), np.pad(want + want, pads))
    spread, places = np.zeros(shape, name), list(np.ix_(*map(np.arange, size)))
    places[axis] = i
    (np.logical_or if name == "bool" else np.add).at(spread, tuple(places), want)
    equal(value(got.scatter_add(index, axis, shape)), spread)
    equal(value(got.scatter_add(index, axis, shape).pad(pads).e(BinaryOps.ADD, lb.pad(pads))), np.pad(spread + a, pads))

@pytest.mark.parametrize("name", NAMES)
def test_rows_are_gathered_and_scattered(name):
  """An index that is the same along inner axes: rows and parts of rows, short and long, read, masked, converted and indexed again."""
  rng = np.random.default_rng(24)
  for rows, shape, n in ((9, (64,), 40), (5, (7,), 300), (6, (1500,), 9), (4, (3, 50), 7), (30, (8,), 1000), (3, (1,), 5)):
    a = rng.integers(0, 2 if name == "bool" else 3, (rows,) + shape).astype(name)
    few, i = random_index(rng, (n,) + (1,)*len(shape), rows)
    index, places = few.expand((n,) + shape), i.ravel()
    base = np.concatenate([a]*(n//rows + 1))
    lb = LazyBuffer(base)
    inside, j = random_index(rng, (n,) + (1,)*len(shape), len(base))
    inside, j = inside.expand((n,) + shape), j.ravel()
    equal(value(lb.gather(inside, 0)), base[j])
    equal(value(lb.gather(inside, 0).cast(dtypes.float32).r(ReduceOps.SUM, (n,) + (1,)*len(shape))),
          base[j].astype(np.float32).sum(tuple(range(1, a.ndim)), keepdims=True))
    cut = lb.shrink([(0, len(base))] + [(0, m) for m in shape[:-1]] + [(shape[-1]//2, shape[-1])])
    part = inside.shrink([(0, n)] + [(0, m) for m in cut.shape[1:]])
    equal(value(cut.gather(part, 0)), base[j][..., shape[-1]//2:])
    pads = ((1, 2),)*a.ndim
    equal(value(lb.gather(inside, 0).pad(pads)), np.pad(base[j], pads))
    spread = np.zeros((rows,) + shape, name)
    (np.logical_or if name == "bool" else np.add).at(spread, places, base[j])
    equal(value(lb.gather(inside, 0).scatter_add(index, 0, (rows,) + shape)), spread)

def test_indices_out_of_range():
  """Found when computed; nothing changes by that."""
  a = LazyBuffer(np.arange(12, dtype=np.float32).reshape(3, 4))
  for bad in (3, -4, 2**31, -2**63, 2**63 - 1):
    index = LazyBuffer(np.array([[0, 1, bad, 2]]))
    one, two = a.gather(index, 0), a.e(UnaryOps.NEG)
    padded, spread = a.gather(index.stride((1, -1)), 0).pad(((0, 1), (0, 0))), LazyBuffer(np.ones((1, 4))).scatter_add(index, 0, (3, 4))
    for fails in (one, one.r(ReduceOps.SUM, (1, 1)), one.e(BinaryOps.ADD, one), one.cumsum(1), padded, spread):
      with pytest.raises(IndexError): _engine.realize([two, fails])
      assert not two.computed and not fails.computed
    equal(value(two), -value(a))
  equal(value(a.gather(LazyBuffer(np.array([[0, -3, 2, -1]], np.int8)), 0)), np.array([[0, 1, 10, 11]], np.float32))
  for dtype in (np.float32, bool): pytest.raises(TypeError, a.gather, LazyBuffer(np.zeros((1, 4), dtype)), 0)
  for shape in ((1, 5), (4,), (1, 1, 1)): pytest.raises(ValueError, a.gather, LazyBuffer(np.zeros(shape, np.int64)), 0)
  pytest.raises(ValueError, a.scatter_add, LazyBuffer(np.zeros((1, 4), np.int64)), 0, (3, 4))
  pytest.raises(IndexError, a.gather, LazyBuffer(np.zeros((1, 4), np.int64)), 2)

# ---- contractions: SUM over MUL of two views ----

EDGES = list(range(18)) + [31, 32, 33, 63, 64, 65]
SETTINGS = list(itertools.product(ISAS, (1, 2, 5)))

def contract(a, b, axes):
  """a and b: LazyBuffers of one shape."""
  return a.e(BinaryOps.MUL, b).r(ReduceOps.SUM, keepdims(a.shape, axes))

def matmul(a, b):
  (m, k), n = a.shape, b.shape[1]
  wide = a.reshape((m, 1, k)).expand((m, n, k)), b.permute((1, 0)).reshape((1, n, k)).expand((m, n, k))
  return contract(*wide, {2}).reshape((m, n))

def whole(rng, shape, name):
  """Small whole numbers: products are exact in every dtype, sums in the float32 that 16-bit floats are summed in."""
  return rng.integers(-2, 3, shape).astype(np.float32 if name == "bfloat16" else name)

def load(a, name): return LazyBuffer(a).cast(dtypes.bfloat16) if name == "bfloat16" else LazyBuffer(a)

def result(lb, name): return value(lb.cast(dtypes.float32)) if name == "bfloat16" else value(lb)

def exact(lb, want, name, what):
  """In every setting, as float64 has it and rounded once to the dtype."""
  want = to_bf16(want) if name == "bfloat16" else want.astype(name)
  for isa, threads in SETTINGS:
    _engine.set_isa(isa)
    _engine.set_threads(threads)
    equal(result(lb(), name), want, (isa, threads, what))

def random_operand(rng, sizes, uses, name):
  """A LazyBuffer and an array of shape `sizes` which do not vary along the dims not in `uses`: of permuted, reversed, padded,
  strided storage, sometimes computed."""
  shape = [n if u else 1 for n, u in zip(sizes, uses)]
  order = rng.permutation(len(shape))
  pads = [(1, 2) if n > 3 and rng.random() < .15 else (0, 0) for n in shape]
  steps = [int(rng.choice([1, 1, 1, -1, 2])) for _ in shape]
  stored = [max(n - sum(p), 0)*abs(s) - (abs(s) - 1 if n - sum(p) > 0 else 0) for n, p, s in zip(shape, pads, steps)]
  a = whole(rng, [stored[i] for i in order], name)
  back = np.argsort(order).tolist()
  lb = load(a, name).permute(back).stride(steps)
  a = a.transpose(back)[tuple(slice(None, None, s) for s in steps)]
  if rng.random() < .2: lb, a = lb.e(UnaryOps.NEG), -a
  lb, a = lb.pad(pads), np.pad(a, pads)
  return lb.expand(sizes), np.broadcast_to(a, sizes)

@pytest.mark.parametrize("name", ["float32", "float64", "float16", "bfloat16"])
def test_contractions_of_random_views(name):
  rng = np.random.default_rng(13)
  for _ in range(120):
    ndim = int(rng.integers(3, 7))
    kinds = rng.permutation([*"mnk", *rng.choice([*"bmnk"], ndim-3)]).tolist()  # what each dim is: batch, of a alone, of b alone, summed
    if rng.random() < .2: kinds = rng.choice([*"bmnk1"], ndim).tolist()
    sizes = rng.integers(1, 9, ndim).tolist()
    for i in rng.permutation(ndim)[:2]: sizes[i] = int(rng.choice(EDGES))
    if math.prod(sizes) > 200_000: continue
    (x, a), (y, b) = (random_operand(rng, sizes, [k in use for k in kinds], name) for use in ("bmk", "bnk"))
    axes = {i for i, k in enumerate(kinds) if k == "k"}
    want = (a.astype(np.float64)*b).sum(tuple(axes), keepdims=True)
    exact(functools.partial(contract, x, y, axes), want, name, (sizes, axes))

@pytest.mark.parametrize("name", ["float32", "float64", "float16", "bfloat16"])
def test_matrix_products_at_tile_edges(name):
  rng = np.random.default_rng(14)
  for k, (m, n) in itertools.product((0, 1, 2, 7, 33, 300), [(1, 1), (2, 65), (65, 3), (17, 17), (33, 31), (64, 64), (5, 129), (130, 16)]):
    a, b = whole(rng, (m, k), name), whole(rng, (n, k), name).T
    x, y = load(a, name), load(np.ascontiguousarray(b.T), name).permute((1, 0))
    exact(functools.partial(matmul, x, y), a.astype(np.float64) @ b.astype(np.float64), name, (m, n, k))

@pytest.mark.parametrize("name", ["float32", "bfloat16"])
@pytest.mark.parametrize("m, k, n", [(300, 1501, 1100), (1000, 17, 700), (520, 300, 33), (129, 257, 513)])
def test_large_products(name, m, k, n):
  """What is packed for all threads in one part and in several, with and without an epilogue, transposed, in batches."""
  rng = np.random.default_rng(17)
  a, b, c = whole(rng, (m, k), name), whole(rng, (k, n), name), whole(rng, (2, m, 40), name)
  x, y, z = load(a, name), load(b, name), load(c, name)
  exact(functools.partial(matmul, x, y), want := a.astype(np.float64) @ b.astype(np.float64), name, "product")
  exact(lambda: matmul(x, y).e(UnaryOps.NEG), -want, name, "epilogue")
  exact(lambda: matmul(y.permute((1, 0)), x.permute((1, 0))), want.T, name, "transposed")
  exact(lambda: z.dot(z, False, True), c.astype(np.float64) @ c.swapaxes(1, 2).astype(np.float64), name, "batches")
  exact(lambda: z.dot(load(c[0], name), True), c.swapaxes(1, 2).astype(np.float64) @ c[0].astype(np.float64), name, "one for all")

@pytest.mark.parametrize("name", ["float32", "float64"])
@pytest.mark.parametrize("bs, g, ci, co, h, w, kh, kw, s, d, p", [
  (2, 1, 3, 8, 9, 11, 3, 3, 1, 1, 1), (1, 2, 4, 5, 8, 8, 3, 2, 2, 1, 1), (3, 4, 1, 1, 7, 10, 3, 3, 1, 2, 2), (2, 1, 5, 33, 12, 5, 1, 1, 1, 1, 0),
  (2, 3, 2, 2, 13, 13, 4, 5, 3, 2, 3), (4, 1, 16, 17, 6, 6, 3, 3, 1, 1, 1), (32, 1, 20, 33, 14, 14, 3, 3, 1, 1, 1),
  (9, 2, 3, 9, 30, 25, 3, 2, 1, 1, 1), (4, 1, 3, 4, 150, 201, 3, 3, 1, 1, 1), (11, 1, 1, 3, 9, 40, 5, 5, 1, 2, 4)])
def test_convolutions(name, bs, g, ci, co, h, w, kh, kw, s, d, p):
  """Forward, and both gradients as the sums over windows that they are: strides, dilations, groups."""
  torch = pytest.importorskip("torch")
  rng = np.random.default_rng(15)
  x, k = whole(rng, (bs, g*ci, h, w), name), whole(rng, (g*co, ci, kh, kw), name)
  torch_x, torch_k = (torch.from_numpy(v).double().requires_grad_() for v in (x, k))
  out = torch.nn.functional.conv2d(torch_x, torch_k, stride=s, dilation=d, padding=p, groups=g)
  oh, ow = out.shape[2:]
  grad = whole(rng, tuple(out.shape), name)
  out.backward(torch.from_numpy(grad).double())
  full = (bs, g, co, ci, oh, ow, kh, kw)
  wide = LazyBuffer(x).pad(((0, 0), (0, 0), (p, p), (p, p)))
  seen = wide.window((kh, kw), (s, s), (d, d)).reshape((bs, g, 1, ci, oh, ow, kh, kw)).expand(full)
  kernel = LazyBuffer(k).reshape((1, g, co, ci, 1, 1, kh, kw)).expand(full)
  back = LazyBuffer(grad).reshape((bs, g, co, 1, oh, ow, 1, 1)).expand(full)
  exact(lambda: contract(seen, kernel, {3, 6, 7}).reshape(tuple(out.shape)), out.detach().numpy(), name, "forward")
  exact(lambda: contract(seen, back, {0, 4, 5}).reshape(k.shape), torch_k.grad.numpy(), name, "kernel")
  spread = lambda: contract(back, kernel, {2}).reshape((bs, g*ci, oh, ow, kh, kw)).window_adjoint((h+2*p, w+2*p), (s, s), (d, d))
  exact(lambda: spread().shrink(((0, bs), (0, g*ci), (p, h+p), (p, w+p))), torch_x.grad.numpy(), name, "input")

def sliding(rng, name, bs, ci, ndim):
  """Windows over reversed, padded images, as a LazyBuffer and an array: (bs, ci, positions, kernel), some of the kernel's axes
  reversed, so that sliding along them goes backwards."""
  kernel, dilation = rng.integers(1, 4, ndim).tolist(), rng.choice([1, 1, 2], ndim).tolist()
  reach = [d*(k-1) + 1 for k, d in zip(kernel, dilation)]
  flips = [1, 1, *rng.choice([1, 1, -1], ndim).tolist()]
  pads = [(0, 0), (0, 0), *(tuple(rng.integers(0, r+1, 2).tolist()) for r in reach)]
  x = whole(rng, (bs, ci, *(r + int(rng.integers(0, 12 if ndim > 1 else 90)) for r in reach)), name)
  back = [*[1]*(2+ndim), *rng.choice([1, 1, -1], ndim).tolist()]
  lb = load(x, name).stride(flips).pad(pads).window(kernel, [1]*ndim, dilation).stride(back)
  a = np.pad(x[tuple(slice(None, None, f) for f in flips)], pads)
  a = np.lib.stride_tricks.sliding_window_view(a, reach, tuple(range(2, 2+ndim)))
  return lb, a[(..., *(slice(None, None, d) for d in dilation))][tuple(slice(None, None, f) for f in back)]

@pytest.mark.parametrize("name", ["float32", "float64", "float16", "bfloat16"])
def test_sliding_windows(name):
  """Sums over the kernel and over the positions: what convolutions and the gradients of their kernels are, in any dimensions."""
  rng = np.random.default_rng(22)
  for _ in range(40):
    ndim, co = int(rng.choice([1, 2, 2, 2, 3])), int(rng.choice([1, 3, 8, 17]))
    seen, a = sliding(rng, name, int(rng.choice([1, 2, 9, 20])), int(rng.choice([1, 2, 5])), ndim)
    (bs, ci), out, kernel = a.shape[:2], a.shape[2:2+ndim], a.shape[2+ndim:]
    full = (bs, co, *a.shape[1:])
    wide = seen.reshape((bs, 1, *a.shape[1:])).expand(full)
    w, g = whole(rng, (co, ci, *kernel), name), whole(rng, (bs, co, *out), name)
    lw = load(w, name).reshape((1, co, ci, *[1]*ndim, *kernel)).expand(full)
    lg = load(g, name).reshape((bs, co, 1, *out, *[1]*ndim)).expand(full)
    rows = a.astype(np.float64).reshape(bs, ci, math.prod(out), math.prod(kernel))
    positions, over = set(range(3, 3+ndim)), set(range(3+ndim, 3+2*ndim))
    want = np.einsum("bipk,oik->bop", rows, w.reshape(co, ci, -1), optimize=True)
    exact(functools.partial(contract, wide, lw, {2} | over), want.reshape(keepdims(full, {2} | over)), name, (full, "over the kernel"))
    want = np.einsum("bipk,bop->oik", rows, g.reshape(bs, co, -1), optimize=True)
    exact(functools.partial(contract, wide, lg, {0} | positions), want.reshape(keepdims(full, {0} | positions)), name, (full, "over positions"))

def test_what_windows_leave_out_does_not_matter():
  """Between two rows of a window's positions lie elements of the image that a sum must not see, not even times zero."""
  rng = np.random.default_rng(23)
  for special, (size, kernel) in itertools.product((np.inf, np.nan), (((9, 9), (3, 3)), ((5, 6, 9), (3, 3, 3)), ((12, 3, 5), (5, 1, 1)))):
    out, ndim = tuple(n - k + 1 for n, k in zip(size, kernel)), len(size)
    for corner in (1, 0, -1):
      x, g = whole(rng, (9, 2, *size), "float32"), whole(rng, (9, 3, *out), "float32")
      x[(3, 1, *[corner]*(ndim-1), -1)] = special
      full = (9, 3, 2, *out, *kernel)
      seen = LazyBuffer(x).window(kernel, [1]*ndim, [1]*ndim).reshape((9, 1, *full[2:])).expand(full)
      windows = np.lib.stride_tricks.sliding_window_view(x, kernel, tuple(range(2, 2+ndim)))
      with np.errstate(invalid="ignore"): want = np.einsum("bipk,bop->oik", windows.reshape(9, 2, math.prod(out), -1), g.reshape(9, 3, -1))
      back = LazyBuffer(g).reshape((9, 3, 1, *out, *[1]*ndim)).expand(full)
      assert 0 < np.isfinite(want).sum() < want.size
      axes = {0, *range(3, 3+ndim)}
      exact(functools.partial(contract, seen, back, axes), want.reshape(keepdims(full, axes)), "float32", (special, size, corner))

def test_epilogue_of_a_contraction():
  rng = np.random.default_rng(16)
  a, b, c = (whole(rng, s, "float32") for s in ((33, 20), (20, 65), (65,)))
  x, y, z = (LazyBuffer(v) for v in (a, b.T.copy(), c))
  def mm(): return matmul(x, y.permute((1, 0)))
  def layer():
    out = mm().e(BinaryOps.ADD, z.reshape((1, 65)).expand((33, 65)))
    return out.e(BinaryOps.MAX, out.const(0))
  exact(layer, np.maximum(a @ b + c, 0), "float32", "layer")
  exact(lambda: layer().permute((1, 0)).pad(((0, 1), (2, 0))), np.pad(np.maximum(a @ b + c, 0).T, ((0, 1), (2, 0))), "float32", "moved")
  exact(lambda: mm().e(BinaryOps.SUB, mm().r(ReduceOps.MAX, (33, 1)).expand((33, 65))), a @ b - (a @ b).max(1, keepdims=True), "float32", "twice")

@pytest.mark.threads
@pytest.mark.parametrize("isa_name", ISAS)
def test_any_number_of_threads_gives_the_same_bits(isa_name):
  rng = np.random.default_rng(17)
  _engine.set_isa(isa_name)
  a, b = (rng.standard_normal((300, 300)).astype(np.float32) for _ in range(2))
  long, many = rng.standard_normal((3, 200_000)).astype(np.float32), rng.standard_normal((5000, 300)).astype(np.float32)
  images, kernels, out = (rng.standard_normal(s).astype(np.float32) for s in ((32, 4, 20, 20), (8, 4, 3, 3), (32, 8, 18, 18)))
  def results():
    x, y, u, v = buffers(a, b, long, many)
    mm = matmul(x, y)
    full = (32, 8, 4, 18, 18, 3, 3)
    seen = LazyBuffer(images).window((3, 3), (1, 1), (1, 1)).reshape((32, 1, 4, 18, 18, 3, 3)).expand(full)
    forward = contract(seen, LazyBuffer(kernels).reshape((1, 8, 4, 1, 1, 3, 3)).expand(full), {2, 5, 6})
    backward = contract(seen, LazyBuffer(out).reshape((32, 8, 1, 18, 18, 1, 1)).expand(full), {0, 3, 4})
    sums = [(mm.e(UnaryOps.EXP2), (1, 300)), (u, (3, 1)), (u, (1, 1)), (u.e(UnaryOps.SIN), (1, 200_000)), (v, (1, 300)), (v, (5000, 1))]
    return [value(lb).tobytes() for lb in [mm, forward, backward] + [x.r(ReduceOps.SUM, new) for x, new in sums]]
  _engine.set_threads(1)
  first = results()
  for threads in (2, 3, 5, 16):
    _engine.set_threads(threads)
    assert results() == first, threads

# ---- whole graphs ----

def random_graph(seed, steps):
  """Values that share parts, some dropped, some realized half-way; in the end each is as NumPy has it."""
  rng = np.random.default_rng(seed)
  def some(items): return items[int(rng.integers(len(items)))]
  kinds = ("int32", "float32", "float64", "int16", "bool", "float16")
  shape = tuple(rng.integers(1, some((3, 6, 40)), int(rng.integers(1, 4))).tolist())
  first = [rng.integers(-3, 4, shape).astype(some(kinds[:3])) for _ in range(3)]
  pool = [(LazyBuffer(a), a) for a in first]
  for _ in range(steps):
    lb, a = some(pool)
    move, k = rng.random(), a.dtype.type
    if move < .3:
      other, b = some([(m, n) for m, n in pool if n.shape == a.shape])
      op = some([BinaryOps.ADD, BinaryOps.MUL, BinaryOps.MAX, BinaryOps.CMPLT, BinaryOps.MUL])
      want = BINARY[op](*(v.astype(np.result_type(a, b)) for v in (a, b)))
      lb = lb.e(op, other)
      a = want.astype(lb.dtype.np)
    elif move < .4: lb, a = lb.e(BinaryOps.ADD, lb.const(1)), a + k(1)
    elif move < .55:
      axes = {i for i in range(a.ndim) if rng.random() < .5}
      if a.dtype == np.float16 or 0 in a.shape: continue
      op = some([ReduceOps.SUM, ReduceOps.SUM, ReduceOps.MAX])
      new = keepdims(a.shape, axes)
      lb, r = lb.r(op, new), (a.max if op is ReduceOps.MAX else a.any if a.dtype == bool else a.sum)(tuple(axes), keepdims=True)
      if new != a.shape: a = r.astype(a.dtype)
      if rng.random() < .6: lb, a = lb.expand(shape if len(new) == len(shape) and all(n in (1, m) for n, m in zip(new, shape)) else new), a
      a = np.broadcast_to(a, lb.shape)
    elif move < .65:
      to = some(kinds)
      if to == "float16" and np.abs(a.astype(np.float64)).max(initial=0) > 2000: continue
      lb, a = lb.cast(dt(to)), a.astype(to)
    elif move < .7: lb, a = lb.permute(tuple(range(a.ndim))[::-1]), a.T
    elif move < .75: lb, a = lb.stride([-1]), a[::-1]
    elif move < .8:
      pads = [(1, 0)] + [(0, 0)]*(a.ndim-1)
      lb, a = lb.pad(pads).shrink([(0, len(a))]), np.pad(a, pads)[:len(a)]
    elif move < .84: lb = lb.contiguous()
    elif move < .88:
      c, cond = some(pool)
      if cond.shape != a.shape: continue
      same = lb.e(BinaryOps.ADD, lb)
      lb = c.e(TernaryOps.WHERE, lb, same)
      a = np.where(cond != 0, a, a + a).astype(lb.dtype.np)
    elif move < .91 and a.dtype in (np.float32, np.float64):  # a square times itself
      n = a.shape[-1]
      if a.ndim < 2 or a.shape[-2] != n: continue
      lead = a.shape[:-2]
      wide = lb.reshape((*lead, n, n, 1)).expand((*lead, n, n, n)), lb.reshape((*lead, 1, n, n)).expand((*lead, n, n, n))
      lb, a = contract(*wide, {len(lead)+1}).reshape(a.shape), a @ a
    elif move < .94 and a.size:
      axis = int(rng.integers(a.ndim))
      index, i = random_index(rng, a.shape, a.shape[axis])
      lb, a = lb.gather(index, axis), np.take_along_axis(a, i, axis)
    elif move < .96 and a.dtype != np.float16:
      axis = int(rng.integers(a.ndim))
      lb, a = lb.cumsum(axis), np.logical_or.accumulate(a, axis) if a.dtype == bool else np.cumsum(a, axis, dtype=a.dtype)
    elif move < .97 and len(pool) > 4:
      pool.pop(int(rng.integers(len(pool))))
      continue
    else:
      chosen = [some(pool)[0] for _ in range(int(rng.integers(1, 4)))]
      _engine.realize(chosen)
      continue
    if a.dtype.kind == "f" and np.abs(a).max(initial=0) > 2**10: lb, a = lb.e(BinaryOps.CMPLT, lb.const(5)), (a < 5).astype(a.dtype)
    assert lb.shape == a.shape
    pool.append((lb, a))
  order = rng.permutation(len(pool))
  if seed % 2: _engine.realize([pool[i][0] for i in order])
  for i in order: equal(value(pool[i][0]), pool[i][1], (seed, i))

@pytest.mark.parametrize("block", range(3))
def test_random_graphs(block):
  for seed in range(block*150, block*150 + 150): random_graph(seed, 40)
