"""Dtypes: which one a result has, how values are converted, and arithmetic in each of them, beside NumPy and PyTorch."""
import dataclasses, itertools, pickle
import numpy as np
import pytest
import torch
from teenygrad import Tensor, _engine
from teenygrad.helpers import DTYPES_DICT, DType, dtypes

ALL = [dtypes.bool, dtypes.int8, dtypes.uint8, dtypes.int16, dtypes.uint16, dtypes.int32, dtypes.uint32, dtypes.int64, dtypes.uint64, dtypes.half,
       dtypes.bfloat16,
       dtypes.float32, dtypes.float64]
INTS, FLOATS = ALL[1:9], [dtypes.half, dtypes.float32, dtypes.float64]
NUMPY = [d for d in ALL if d.np]
TORCH = {d: getattr(torch, str(np.dtype(d.np))) for d in NUMPY} | {dtypes.bfloat16: torch.bfloat16}

def name(d): return d.name.replace(" ", "_")
def pairs(xs): return pytest.mark.parametrize("a, b", list(itertools.product(xs, xs)), ids=lambda d: name(d))
def each(xs): return pytest.mark.parametrize("dtype", xs, ids=name)

def bits(t):
  """The values as they are in memory."""
  return t.numpy() if t.dtype.np else (t.numpy().view(np.uint32) >> 16).astype(np.uint16)

def values(dtype, seed=0):
  """All kinds of values that dtype holds: edges, specials, random ones."""
  rng = np.random.default_rng(seed)
  if dtype == dtypes.bool: return np.array([True, False] * 20)
  if dtype in INTS:
    info = np.iinfo(dtype.np)
    return np.concatenate([np.array([info.min, info.max, 0, 1, info.max // 2, info.min // 2], dtype.np),
                           rng.integers(info.min, info.max, 60, dtype.np, endpoint=True)])
  np_type = dtype.np or np.float32
  with np.errstate(over="ignore"):
    x = np.concatenate([[0, -0.0, 1, -1, 0.5, -1.5, 2.5, 3.7, -3.7, 99.99], rng.normal(size=40) * 10, rng.uniform(-100, 100, 14)]).astype(np_type)
  return x

def special(dtype): return np.array([np.inf, -np.inf, np.nan, np.finfo(dtype.np).max, np.finfo(dtype.np).tiny, np.finfo(dtype.np).smallest_subnormal],
                                    dtype.np)

# *** the DTypes ***

def test_properties():
  assert [f.name for f in dataclasses.fields(DType)] == ["priority", "itemsize", "name", "np", "sz"]
  table = [("bool", 0, 1), ("char", 1, 1), ("unsigned char", 2, 1), ("short", 3, 2), ("unsigned short", 4, 2), ("int", 5, 4), ("unsigned int", 6, 4),
           ("long", 7, 8),
           ("unsigned long", 8, 8), ("half", 9, 2), ("__bf16", 9, 2), ("float", 10, 4), ("double", 11, 8)]
  assert [(d.name, d.priority, d.itemsize) for d in ALL] == table and all(d.sz == 1 for d in ALL)
  for d in ALL:
    assert repr(d) == str(d) == f"dtypes.{d.name}" and (d.np is None or np.dtype(d.np).itemsize == d.itemsize) and len({d, d}) == 1
    copy = pickle.loads(pickle.dumps(d))
    assert copy == d and hash(copy) == hash(d) and DType(d.priority, d.itemsize, d.name, d.np) == d
    for field in ("priority", "np", "new"):
      with pytest.raises(dataclasses.FrozenInstanceError): setattr(d, field, 1)
  assert dtypes.half is dtypes.float16 and dtypes.float is dtypes.float32 and dtypes.double is dtypes.float64
  assert list(DTYPES_DICT) == "bool float16 half float32 float float64 double int8 int16 int32 int64 uint8 uint16 uint32 uint64 bfloat16".split()
  assert all(v is getattr(dtypes, k) for k, v in DTYPES_DICT.items()) and sorted(ALL)[0] is dtypes.bool and max(ALL) is dtypes.double
  assert Tensor([1], dtype=copy).dtype == copy  # an equal one will do

def test_kinds():
  assert [d for d in ALL if dtypes.is_int(d)] == INTS and [d for d in ALL if dtypes.is_float(d)] == FLOATS
  assert [d for d in ALL if dtypes.is_unsigned(d)] == [dtypes.uint8, dtypes.uint16, dtypes.uint32, dtypes.uint64]
  assert not dtypes.is_int(None) and not dtypes.is_float(None) and not dtypes.is_unsigned(None)

def test_from_np():
  for d in NUMPY:
    for x in (d.np, np.dtype(d.np), np.dtype(d.np).name, np.dtype(d.np).newbyteorder()): assert dtypes.from_np(x) is d
  assert dtypes.from_np(int) is dtypes.int64 and dtypes.from_np(float) is dtypes.double and dtypes.from_np(bool) is dtypes.bool
  assert dtypes.from_np(None) is dtypes.double
  for bad in (complex, object, "U3", "M8[s]", np.longdouble):
    with pytest.raises(KeyError): dtypes.from_np(bad)

# *** promotion ***

@pairs(ALL)
def test_promotion(a, b):
  x, y, expected = Tensor([1, 0], dtype=a), Tensor([1, 1], dtype=b), max(a, b)
  counted = dtypes.int32 if expected == dtypes.bool else expected
  quotient = expected if expected.priority >= 9 else dtypes.float32
  for t, dtype, value in ((x + y, counted, [2, 1]), (x - y, counted, None), (x * y, expected, [1, 0]), (x / y, quotient, [1, 0]),
                          (x.maximum(y), expected, [1, 1]), (x.minimum(y), expected, [1, 0]), (x ** y, quotient, [1, 0]),
                          (x.cat(y), expected, [1, 0, 1, 1]), (x < y, dtypes.bool, [0, 1]), (x == y, dtypes.bool, [1, 0]),
                          (Tensor([True, False], dtype=dtypes.bool).where(x, y), expected, [1, 1]),
                          (Tensor.stack([x, y]), expected, None)):
    assert t.dtype == dtype
    if value: assert t.numpy().tolist() == value
  assert (x @ y).dtype == expected

@each(ALL)
def test_promotion_with_numbers(dtype):
  x = Tensor([1, 0], dtype=dtype)
  fractional = dtype if dtype.priority >= 9 else dtypes.float32
  counted = dtypes.int32 if dtype == dtypes.bool else dtype
  for t, expected in ((x + 1, counted), (x * 0.5, fractional), (0.5 - x, fractional), (1 / (x + 1), fractional), (x * True, dtype),
                      (x.maximum(0.5), fractional), (x ** 2, dtype), (x ** 0.5, fractional), (x > 0.5, dtypes.bool), ((x > 0).where(x, 0), counted)):
    assert t.dtype == expected
  for f in (Tensor.exp, Tensor.sin, Tensor.sqrt, Tensor.sigmoid, Tensor.softmax, Tensor.mean, Tensor.std, Tensor.tanh, Tensor.log_softmax,
            Tensor.gelu, Tensor.layernorm):
    assert f(x).dtype == fractional, f
  for f in (Tensor.relu, Tensor.max, Tensor.min, Tensor.abs, Tensor.trunc, Tensor.sign, Tensor.contiguous, Tensor.flatten, Tensor.zeros_like):
    assert f(x).dtype == dtype, f
  total = dtype if dtype.priority >= 8 else dtypes.int64
  assert x.sum().dtype == x.cumsum().dtype == total and x.argmax().dtype == dtypes.int32

# *** data in and out ***

@each(ALL)
def test_lists(dtype):
  rng = np.random.default_rng(1)
  for data in ([0, 1, 99], [0.25, 0.999, 0.0], [True, False], [[1, 2], [3, 4]], rng.uniform(0, 100, 50).tolist()):
    expected = torch.tensor(data).to(TORCH[dtype]) if dtype == dtypes.bfloat16 else np.array(data).astype(dtype.np)
    got = Tensor(data, dtype=dtype)
    assert got.dtype == dtype and got.numpy().dtype == (dtype.np or np.float32)
    np.testing.assert_array_equal(got.numpy(), expected.float().numpy() if dtype == dtypes.bfloat16 else expected)

def test_exact_integers_in_lists():
  for dtype in INTS:
    info = np.iinfo(dtype.np)
    assert Tensor([int(info.min), int(info.max)], dtype=dtype).numpy().tolist() == [info.min, info.max]
    assert Tensor(int(info.max), dtype=dtype).item() == info.max and Tensor.full((2,), int(info.min), dtype=dtype).numpy().tolist() == [info.min] * 2

# *** casts ***

@pairs(ALL)
def test_cast(a, b):
  x = values(a)
  if b in INTS and a.priority >= 9:  # out of range is undefined in C: only what fits, toward zero
    x = x[np.isfinite(x)]
    x = x[(x > np.float64(np.iinfo(b.np).min) - 1) & (x < np.float64(np.iinfo(b.np).max))]
  elif a in FLOATS and b.priority >= 9 or a in FLOATS and b == dtypes.bool: x = np.concatenate([x, special(a)])
  t = Tensor(x, dtype=a)
  if dtypes.bfloat16 in (a, b):
    expected = torch.tensor(x.astype(np.float64) if a == dtypes.half else x).to(TORCH[a]).to(TORCH[b])
    expected = expected.float().numpy() if b == dtypes.bfloat16 else expected.numpy()
  else:
    with np.errstate(all="ignore"): expected = x.astype(b.np)
  got = t.cast(b)
  assert got.dtype == b and got.shape == t.shape
  np.testing.assert_array_equal(got.numpy(), expected)
  np.testing.assert_array_equal((t.reshape(1, -1).flip(1).cast(b)).numpy()[0], expected[::-1])  # through a view
  fused = (t * 1).cast(b) if a != dtypes.bool else t.cast(b).cast(b)
  np.testing.assert_array_equal(fused.numpy(), expected)

@pytest.mark.parametrize("a", INTS, ids=name)
@pytest.mark.parametrize("b", INTS, ids=name)
def test_integers_wrap_in_casts(a, b):
  x = values(a, 3)
  np.testing.assert_array_equal(Tensor(x).cast(b).numpy(), x.astype(b.np))
  np.testing.assert_array_equal(Tensor(x).cast(b).cast(a).numpy(), x.astype(b.np).astype(a.np))

def test_half_rounds_to_nearest_even():
  every = np.arange(65536, dtype=np.uint16).view(np.float16)
  np.testing.assert_array_equal(Tensor(every).float().numpy(), every.astype(np.float32))
  np.testing.assert_array_equal(Tensor(every).float().half().numpy(), every)
  h = np.sort(every[np.isfinite(every)]).astype(np.float64)
  middle = (h[1:] + h[:-1]) / 2
  for x in (middle, np.nextafter(middle, np.inf), np.nextafter(middle, -np.inf)):
    np.testing.assert_array_equal(Tensor(x).half().numpy(), x.astype(np.float16))
    np.testing.assert_array_equal(Tensor(x.astype(np.float32)).half().numpy(), x.astype(np.float32).astype(np.float16))
  for x in (65504, 65519.99, 65520, -65520, 1e9, 2.0**-25, 2.0**-25 * 1.0001, 2.0**-24, 5.96e-8):
    with np.errstate(over="ignore"):
      assert Tensor(x).half().item() == np.float16(np.float32(x)) and Tensor(np.array(x)).half().item() == np.float16(x)

def test_bfloat16_rounds_to_nearest_even():
  every = (np.arange(65536, dtype=np.uint32) << 16).view(np.float32)
  t = Tensor(every, dtype=dtypes.bfloat16)
  np.testing.assert_array_equal(t.numpy(), every)
  rng = np.random.default_rng(0)
  x = np.concatenate([rng.integers(0, 2**32, 20000, dtype=np.uint32),
                      (np.arange(0, 65536, 7, dtype=np.uint32) << 16) + 0x8000]).astype(np.uint32).view(np.float32)
  expected = torch.tensor(x).bfloat16()
  np.testing.assert_array_equal(Tensor(x).cast(dtypes.bfloat16).numpy(), expected.float().numpy())
  np.testing.assert_array_equal(Tensor(x).cast(dtypes.bfloat16).half().numpy(), expected.half().numpy())
  ok = np.isfinite(x)
  np.testing.assert_array_equal(bits(Tensor(x[ok]).cast(dtypes.bfloat16)), expected.view(torch.int16).numpy()[ok].view(np.uint16))
  a, b = torch.tensor(rng.normal(size=200)).bfloat16(), torch.tensor(rng.normal(size=200)).bfloat16()
  s, u = (Tensor(v.float().numpy(), dtype=dtypes.bfloat16) for v in (a, b))
  for f in (lambda a, b: a + b, lambda a, b: a * b, lambda a, b: a - b, lambda a, b: a / b):
    np.testing.assert_array_equal(f(s, u).numpy(), f(a, b).float().numpy())
  assert (s @ u).dtype == dtypes.bfloat16
  np.testing.assert_allclose((s @ u).item(), (a.float() @ b.float()).item(), rtol=2**-7)

def test_float_to_integer_out_of_range_is_defined():
  x = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 3e9, -3e9, 300, -300])
  for dtype in INTS:
    for source in FLOATS:
      with np.errstate(over="ignore"): t = Tensor(x.astype(source.np))
      assert t.cast(dtype).numpy().tolist() == t.cast(dtype).numpy().tolist() and t.cast(dtype).shape == (9,)
  assert Tensor([-1., -2., -4.]).cast(dtypes.int8).cast(dtypes.uint8).numpy().tolist() == [255, 254, 252]
  assert Tensor([-1, -2, -3, -4], dtype=dtypes.int8).cast(dtypes.uint8).numpy().tolist() == [255, 254, 253, 252]

@pairs(ALL)
def test_bitcast(a, b):
  rng = np.random.default_rng(2)
  raw = rng.integers(0, 2 if dtypes.bool in (a, b) else 256, (3, 8 * a.itemsize), dtype=np.uint8)
  if dtypes.bfloat16 in (a, b): raw &= 0x3f  # no NaN, whose payload a detour over float32 may change
  t = Tensor(raw.view(a.np)) if a.np else Tensor(raw.view(np.uint16)).bitcast(a)
  if a.itemsize != b.itemsize:
    with pytest.raises(AssertionError): t.bitcast(b)
    return
  got = t.bitcast(b)
  assert got.dtype == b and bits(got).tobytes() == raw.tobytes() and bits(got.bitcast(a)).tobytes() == raw.tobytes()
  assert bits(t.T.bitcast(b).T).tobytes() == raw.tobytes()

def test_bitcast_keeps_nan_payloads():
  x = np.array([0x7fc00001, 0x7f800001, 0xffffffff, 0x80000000], np.uint32)
  assert Tensor(x).bitcast(dtypes.float32).bitcast(dtypes.uint32).numpy().tolist() == x.tolist()
  assert Tensor(x).bitcast(dtypes.float32).contiguous().flip(0).realize().bitcast(dtypes.uint32).numpy().tolist() == x[::-1].tolist()
  h = np.arange(65536, dtype=np.uint16)
  assert (Tensor(h).bitcast(dtypes.half).bitcast(dtypes.uint16).numpy() == h).all()
  assert (Tensor(h).bitcast(dtypes.bfloat16).bitcast(dtypes.uint16).numpy() == h).all()

# *** arithmetic ***

@each(INTS)
def test_integers_wrap(dtype):
  x, y = values(dtype, 4), values(dtype, 5)[::-1].copy()
  a, b = Tensor(x), Tensor(y)
  with np.errstate(all="ignore"):
    for f in (lambda p, q: p + q, lambda p, q: p - q, lambda p, q: p * q, lambda p, q: -p, lambda p, q: p + 1, lambda p, q: p * 3, lambda p,
              q: 1 - p):
      got = f(a, b)
      assert got.dtype == dtype
      np.testing.assert_array_equal(got.numpy(), f(x, y))
    for f, g in ((Tensor.maximum, np.maximum), (Tensor.minimum, np.minimum)): np.testing.assert_array_equal(f(a, b).numpy(), g(x, y))
    for f in (lambda p, q: p < q, lambda p, q: p >= q, lambda p, q: p == q, lambda p, q: p != q, lambda p, q: p > 1, lambda p, q: p <= 0):
      np.testing.assert_array_equal(f(a, b).numpy(), f(x, y))
    for n in (1, 3, 7, 100):
      got = a / n
      assert got.dtype == dtype
      np.testing.assert_array_equal(got.numpy(), [abs(int(v)) // n * (1 if v >= 0 else -1) for v in x])
    np.testing.assert_array_equal((a ** 3).numpy(), x ** 3)
    np.testing.assert_array_equal(a.max().numpy(), x.max())
    np.testing.assert_array_equal(a.min().numpy(), x.min())
  assert a.argmax().item() == x.argmax() and a.argmin().item() == x.argmin()

@each(FLOATS)
def test_float_arithmetic_is_ieee(dtype):
  x, y = np.concatenate([values(dtype, 6), special(dtype)]), np.concatenate([values(dtype, 7), special(dtype)])[::-1].copy()
  a, b = Tensor(x), Tensor(y)
  with np.errstate(all="ignore"):
    for f in (lambda p, q: p + q, lambda p, q: p - q, lambda p, q: p * q, lambda p, q: p / q, lambda p, q: -p):
      got, expected = f(a, b), f(x, y)
      assert got.dtype == dtype
      np.testing.assert_array_equal(got.numpy(), expected)
    np.testing.assert_array_equal(a.sqrt().numpy(), np.sqrt(x))
    for f in (lambda p, q: p < q, lambda p, q: p <= q, lambda p, q: p == q, lambda p, q: p != q):
      np.testing.assert_array_equal(f(a, b).numpy(), f(x, y))

@pairs(INTS + FLOATS)
def test_mixed_arithmetic(a, b):
  rng = np.random.default_rng(8)
  x, y = rng.integers(0, 5, (4, 4)).astype(a.np), rng.integers(1, 5, (4, 4)).astype(b.np)
  s, t, dtype = Tensor(x), Tensor(y), max(a, b)
  for f in (lambda p, q: p + q, lambda p, q: p * q, lambda p, q: p @ q):
    got = f(s, t)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got.numpy(), f(x.astype(np.int64), y.astype(np.int64)))
  np.testing.assert_array_equal((s @ Tensor.eye(4, dtype=b)).numpy(), x)
  np.testing.assert_array_equal((s + Tensor.ones((4, 4), dtype=b)).numpy(), x.astype(np.int64) + 1)

@pairs(INTS)
def test_comparisons_of_mixed_integers(a, b):
  x, y = values(a, 9)[:40], values(b, 10)[:40]
  dtype = max(a, b)
  for f in (lambda p, q: p < q, lambda p, q: p == q, lambda p, q: p >= q):
    got = f(Tensor(x), Tensor(y)).numpy()
    exact = [f(int(p), int(q)) for p, q in zip(x, y)]
    common = f(x.astype(dtype.np), y.astype(dtype.np))
    assert all(g == c or g == e for g, c, e in zip(got, common, exact))
    small = [i for i in range(40) if 0 <= int(x[i]) <= 127 and 0 <= int(y[i]) <= 127]
    assert all(got[i] == exact[i] for i in small)

# *** sums ***

@each(ALL)
def test_sums(dtype):
  x = values(dtype, 11)
  if dtype.priority >= 9: x = np.round(x)
  t = Tensor(np.tile(x, (3, 1)), dtype=dtype)
  for axis, keepdim in ((None, False), (0, True), (1, False), ((0, 1), True)):
    got = t.sum(axis, keepdim)
    kind = np.uint64 if dtype == dtypes.uint64 else np.int64 if dtype.priority < 9 else np.float64
    expected = np.tile(x, (3, 1)).sum(axis, keepdims=keepdim, dtype=kind)
    assert got.dtype == (dtype if dtype.priority >= 8 else dtypes.int64) and got.shape == expected.shape
    np.testing.assert_allclose(got.numpy().astype(kind), expected, rtol=0 if dtype.priority < 9 else {2: 1e-2}.get(dtype.itemsize, 1e-6), atol=0)
  np.testing.assert_allclose(t.mean().numpy().astype(np.float64), np.tile(x, 3).mean(dtype=np.float64), rtol=1e-2 if dtype.itemsize == 2 else 2e-6)

def test_half_sigmoid_is_not_lost_where_exp_is_infinite():
  x = np.linspace(-16, 16, 1001).astype(np.float16)
  exact = 1 / (1 + np.exp(-x.astype(np.float64)))
  np.testing.assert_allclose(Tensor(x).sigmoid().numpy(), exact, rtol=2**-11, atol=2**-25)
  np.testing.assert_allclose(Tensor(x).silu().numpy(), x * exact, rtol=2**-10, atol=2**-20)
  t = Tensor(x, requires_grad=True)
  t.sigmoid().sum().backward()
  assert t.grad.dtype == dtypes.half
  np.testing.assert_allclose(t.grad.numpy(), exact * (1 - exact), rtol=2**-10, atol=2**-24)

def test_half_sums_in_single():
  x = np.random.default_rng(0).uniform(0, 1, 50000).astype(np.float16)
  exact = x.astype(np.float64).sum()
  assert Tensor(x).sum().item() == np.float16(exact) and Tensor(x).mean().item() == np.float16(exact / 50000)
  assert Tensor.ones(70000, dtype=dtypes.half).sum().item() == np.inf and Tensor.ones(70000, dtype=dtypes.half).sum().dtype == dtypes.half
  a = np.random.default_rng(1).normal(size=(20, 300)).astype(np.float16)
  np.testing.assert_allclose((Tensor(a) @ Tensor(a).T).numpy(), (a.astype(np.float64) @ a.T.astype(np.float64)), rtol=1e-3, atol=2e-2)

@pytest.mark.parametrize("isa", ["base", "avx2", "avx512"])
def test_casts_agree_on_each_instruction_set(isa):
  def run():
    out = []
    for a in ALL:
      for b in ALL:
        x = values(a, 12)
        if a.priority >= 9 and b.priority < 9: x = np.abs(x)
        out.append(bits(Tensor(np.tile(x, 9), dtype=a).cast(b)).tobytes())
    return out
  before = _engine.info()["isa"]
  expected = run()
  try:
    try: _engine.set_isa(isa)
    except ValueError: return  # this machine hasn't got it
    assert run() == expected
  finally: _engine.set_isa(before)

def test_the_package_has_them():
  import teenygrad
  assert teenygrad.dtypes is dtypes
