"""What docs/accuracy.md states: how close functions, sums and products are to the exact value, their special values, and that bits do not depend on
the number of threads or the run. References are float64."""
import functools, itertools, math, os, sys
from fractions import Fraction

import numpy as np
import pytest
import torch
from teenygrad import Tensor, _engine
from teenygrad.helpers import dtypes

from switches import ISAS, switches  # noqa: F401

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "stress"))
import ulp

EPS = 2.0**-24  # half the distance of 1 to the next float32

# ---- functions ----

# Where tests/stress/ulp.py has found the largest errors, with fused multiply-add and without.
HARD = {"exp2": ["-0x1.f9fc6ap+6", "-0x1.f9ff92p+6"], "log2": ["0x1.580184p+0", "0x1.5aaf8ep+0"],
        "exp": ["0x1.8172b4p+5", "0x1.20d21p+2"], "log": ["0x1.4665f2p+0", "0x1.585d12p+0"],
        "tanh": ["0x1.0008b8p+0", "0x1.d0a63ap-1"], "sigmoid": ["-0x1.e5412p+5", "-0x1.920814p+5"],
        "sin": ["0x1.79d77p+4"], "cos": ["0x1.16065ap+11"], "tan": ["0x1.361a5ep+33"],
        "expm1": ["0x1.1146f2p+4", "0x1.1176fap+4"], "log1p": ["0x1.22944ap-2", "0x1.1715ecp-2"], "elu": ["-0x1.1fa0a6p-2", "-0x1.2628ep-2"],
        "sinh": ["0x1.627f22p+6", "0x1.65962cp+6"], "cosh": ["0x1.6004bcp+6", "0x1.62e09ep+6"], "asinh": ["0x1.24ef4cp+0"],
        "acosh": ["0x1.e14b28p+1"], "atanh": ["0x1.f3e9d6p-3", "0x1.f50fd2p-3"], "rsqrt": ["0x1.019566p-126"],
        "softplus": ["-0x1.44069ep+0", "-0x1.43d0bcp+0"], "softsign": ["0x1.ffd7fep+10"],
        "silu": ["-0x1.9fe368p+6"], "mish": ["-0x1.9fe368p+6"], "gelu": ["-0x1.424cbap+3"]}

def checked(name, dtype, x):
  """Every result is within the limit, with the sign and the NaNs of the reference. Returns the largest error."""
  ours, reference, _, limits = ulp.FUNCTIONS[name]
  got, want = ulp.computed(ours, x, dtype), reference(x.astype(np.float64))
  np.testing.assert_array_equal(np.isnan(got), np.isnan(want), err_msg=name)
  number = ~np.isnan(want)
  np.testing.assert_array_equal(np.signbit(got[number]), np.signbit(want[number]), err_msg=name)
  error = ulp.errors(got[number], want[number], dtype)
  worst = int(error.argmax())
  assert error[worst] <= limits[dtype != "float32"], (name, dtype, _engine.info(), float(x[number][worst]).hex(), error[worst])
  return error[worst]

@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", ulp.FUNCTIONS)
def test_all_numbers_of_16_bits(name, dtype):
  x = ulp.inputs(dtype, 0)
  for isa in ISAS:
    _engine.set_isa(isa)
    checked(name, dtype, x)

@pytest.mark.parametrize("name", ulp.FUNCTIONS)
def test_functions_of_float32(name):
  """Numbers from everywhere, and the hardest ones. For those the limit must be near, or it would show nothing."""
  for isa, block in itertools.product(ISAS, range(4)):
    _engine.set_isa(isa)
    checked(name, "float32", ulp.inputs("float32", block * 1000, scattered=True))
  if name in HARD:
    limit, worst = ulp.FUNCTIONS[name][3][0], 0.0
    for isa in ISAS:
      _engine.set_isa(isa)
      worst = max(worst, checked(name, "float32", np.array([float.fromhex(h) for h in HARD[name]], np.float32)))
    if len(ISAS) == 3: assert worst > 0.9 * limit, (name, worst)

SIZES = [0, 2.0**-149, 2.0**-126 - 2.0**-149, 2.0**-126, 1e-20, 0.5, 1, 1.5, 2, 1e20, (2 - 2.0**-23) * 2.0**127, np.inf, np.nan]
EDGES = np.array([s * v for v in SIZES for s in (1, -1)], np.float32)
def torchs(name):
  if name == "gelu": return lambda x: torch.nn.functional.gelu(x, approximate="tanh")
  return getattr(torch, name, None) or getattr(torch.nn.functional, name)

@pytest.mark.parametrize("name", ulp.FUNCTIONS)
def test_special_values(name):
  """Zeros with their signs, infinities and NaN as PyTorch's, which computes in float64: then what it returns for a float32 is no rounding error."""
  want = torchs(name)(torch.from_numpy(EDGES.astype(np.float64))).numpy().astype(np.float32)
  special = ~np.isfinite(want) | (want == 0)
  for isa in ISAS:
    _engine.set_isa(isa)
    got = ulp.computed(ulp.FUNCTIONS[name][0], EDGES, "float32")
    np.testing.assert_array_equal(got[special], want[special], err_msg=f"{name} {EDGES[special]}")
    zeros = want == 0
    np.testing.assert_array_equal(np.signbit(got[zeros]), np.signbit(want[zeros]), err_msg=f"{name} {EDGES[zeros]}")

def test_pow_is_rounded_once():
  """Bases of all sizes and signs, exponents that lead to all results and whole ones."""
  rng = np.random.default_rng(1)
  x = rng.integers(0, 2**32, 1 << 17, dtype=np.uint64).astype(np.uint32).view(np.float32)
  x[::4] = (1 + rng.standard_normal(x[::4].size) * 10.0**rng.integers(-7, 0, x[::4].size)).astype(np.float32)
  y = (rng.uniform(-155, 155, x.size) / np.log2(np.abs(x.astype(np.float64)))).astype(np.float32)
  y[1::3] = rng.integers(-9, 10, y[1::3].size)
  want = np.power(x.astype(np.float64), y.astype(np.float64))
  for isa in ISAS:
    _engine.set_isa(isa)
    got = (Tensor(x) ** Tensor(y)).numpy()
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    number = ~np.isnan(want)
    assert ulp.errors(got[number], want[number], "float32").max() < 0.502
    np.testing.assert_array_equal(np.signbit(got[number]), np.signbit(want[number]))

def test_special_values_of_pow():
  x, y = np.meshgrid(np.append(EDGES, [3, -3, 2.0**24 - 1, 2.0**25]), np.append(EDGES, [3, -3, 2.0**24 - 1, 1 - 2.0**24, 2.0**25]))
  x, y = x.astype(np.float32), y.astype(np.float32)
  want = torch.pow(torch.from_numpy(x).double(), torch.from_numpy(y).double()).numpy().astype(np.float32)
  for isa in ISAS:
    _engine.set_isa(isa)
    got = (Tensor(x) ** Tensor(y)).numpy()
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(np.signbit(got[want == want]), np.signbit(want[want == want]))

# ---- sums ----

def numbers(kind, shape):
  rng = np.random.default_rng(np.prod(shape))
  x = rng.standard_normal(shape)
  if kind == "equal": x = np.full(shape, 0.1)
  if kind == "positive": x = rng.uniform(0, 1, shape)
  if kind == "alternating": x = np.where(np.indices(shape).sum(0) % 2, -1, 1) * (1 + x / 1e4)
  if kind == "huge": x = x * 1e30
  if kind == "of all sizes": x = x * 10.0**rng.integers(-20, 20, shape)
  return x.astype(np.float32)

KINDS = ["normal", "equal", "positive", "alternating", "huge", "of all sizes"]

def units(got, want, size):
  """The largest error in units of EPS times `size`, the sum of the magnitudes."""
  size = np.asarray(size, np.float64)
  return float(np.max(np.abs(got.astype(np.float64) - want) / np.where(size == 0, 1, size), initial=0) / EPS)

@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(7,), (1000,), (3_000_000,), (1000, 1000), (5, 300_000), (300_000, 5), (30, 40, 50, 20)])
def test_sums(kind, shape):
  x, y = numbers(kind, shape), numbers("normal", shape)[::-1].copy()
  wide, products = x.astype(np.float64), x.astype(np.float64) * y
  for axis in (None, *range(len(shape)), tuple(range(1, len(shape)))):
    want, size = wide.sum(axis), np.abs(wide).sum(axis)
    n = x.size / np.size(want)
    assert units(Tensor(x).sum(axis).numpy(), want, size) <= 6, axis
    assert units(Tensor(x).mean(axis).numpy(), want / n, size / n) <= 7, axis
    assert units((Tensor(x) * Tensor(y)).sum(axis).numpy(), products.sum(axis), np.abs(products).sum(axis)) <= 6, axis

@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape, axis", [((1_000_000,), 0), ((100_000, 7), 0), ((7, 100_000), 1), ((50, 2000, 3), 1)])
def test_cumsums_are_rounded_once(kind, shape, axis):
  x = numbers(kind, shape)
  want = np.cumsum(x.astype(np.longdouble), axis)
  got = Tensor(x).cumsum(axis).numpy()
  error = np.abs(got - want) - EPS * np.abs(want)  # half a unit in the last place at most
  assert np.max(error / np.cumsum(np.abs(x.astype(np.float64)), axis)) <= 1e-9

@pytest.mark.parametrize("n", [2, 10, 257, 3000, 100_000])
def test_deviations_of_equal_numbers_are_zero(n):
  x = Tensor(np.repeat(np.random.default_rng(1).uniform(-900, 900, (50, 1)), n, 1).astype(np.float32))
  assert not x.layernorm().numpy().any() and not x.std(1).numpy().any()

@pytest.mark.parametrize("offset", [0, 100, 1e4])
def test_deviations(offset):
  """The mean's error, of the size of `offset`, is made up for."""
  x = (np.random.default_rng(2).standard_normal((200, 3000)) + offset).astype(np.float32)
  wide = x.astype(np.float64)
  want = (wide - wide.mean(1, keepdims=True)) / np.sqrt(wide.var(1, keepdims=True) + 1e-5)
  assert np.abs(Tensor(x).layernorm().numpy() - want).max() <= 2e-6
  assert np.abs(Tensor(x).std(1).numpy() / wide.std(1, ddof=1) - 1).max() <= 3e-7

# ---- products ----

@pytest.mark.parametrize("kind", KINDS[:4])
@pytest.mark.parametrize("m, k, n", [(1, 100_000, 1), (3, 70_000, 5), (100, 100, 100), (64, 4096, 48), (300, 1000, 1), (1, 5000, 257)])
def test_matrix_products(kind, m, k, n):
  a, b = numbers(kind, (m, k)), numbers(kind, (k, n))
  want, size = a.astype(np.float64) @ b.astype(np.float64), np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)
  for isa in ISAS:
    _engine.set_isa(isa)
    assert units((Tensor(a) @ Tensor(b)).numpy(), want, size) <= 16

@pytest.mark.parametrize("kind", KINDS[:4])
def test_convolutions(kind):
  x, w = numbers(kind, (3, 16, 20, 20)), numbers(kind, (8, 16, 3, 3))
  a, b = (torch.from_numpy(v).double() for v in (x, w))
  want, size = torch.conv2d(a, b, padding=1).numpy(), torch.conv2d(a.abs(), b.abs(), padding=1).numpy()
  for isa in ISAS:
    _engine.set_isa(isa)
    assert units(Tensor(x).conv2d(Tensor(w), padding=1).numpy(), want, size) <= 13

@pytest.mark.parametrize("dtype, bits", [("float16", 11), ("bfloat16", 8)])
def test_products_of_halves_are_not_rounded_before_their_sum(dtype, bits):
  """In every form of the graph: the sum is then the exact one, rounded once. Products of tiny bfloat16 are no float16, but still numbers."""
  rng = np.random.default_rng(3)
  for scale in (1, 2.0**-6 if dtype == "float16" else 2.0**-60):
    v, w = ((Tensor((rng.standard_normal(500) * scale).astype(np.float32)).cast(getattr(dtypes, dtype))).realize() for _ in range(2))
    x, y = (t.float().numpy().astype(np.float64) for t in (v, w))
    forms = [v.dot(w), (v * w).sum(), (v.reshape(1, -1) @ w.reshape(-1, 1)).reshape(()), (v.expand(4, 500) @ w.reshape(-1, 1).expand(500, 4))[0, 0]]
    for form in forms:
      assert abs(form.float().numpy() - x @ y) <= 2.0**-bits * abs(x @ y) + 100 * EPS * (np.abs(x) @ np.abs(y))
    columns = (v.reshape(50, 10) * w.reshape(50, 10)).sum(0).float().numpy()
    want = (x * y).reshape(50, 10)
    assert np.all(np.abs(columns - want.sum(0)) <= 2.0**-bits * np.abs(want.sum(0)) + 100 * EPS * np.abs(want).sum(0))

def in_order(a, step):
  """Rows folded in the order of csrc/kernels/kernels.h: blocks of 256 in 16 lanes, which meet in halves, then blocks in pairs."""
  blocks = []
  for first in range(0, a.shape[1], 256):
    block = a[:, first:first + 256]
    if block.shape[1] < 16: lanes = [functools.reduce(step, block.T)]
    else: lanes = [functools.reduce(step, block[:, i::16].T) for i in range(16)]
    while len(lanes) > 1: lanes = [step(x, y) for x, y in zip(lanes[:len(lanes) // 2], lanes[len(lanes) // 2:])]
    blocks.append(lanes[0])
  while len(blocks) > 1: blocks = [step(*pair) if len(pair) == 2 else pair[0] for pair in (blocks[i:i + 2] for i in range(0, len(blocks), 2))]
  return blocks[0]

def ways(a):
  """The same rows in other places: a Tensor, and the axes along which it has them."""
  yield Tensor(a), -1
  yield Tensor(np.ascontiguousarray(a.T)), 0               # columns
  yield Tensor(np.ascontiguousarray(a.T)).transpose(0, 1), 1
  yield Tensor(a) + 0.0, 1                                 # computed on the way
  yield Tensor(np.ascontiguousarray(a.T)).neg().neg().transpose(0, 1), 1
  yield Tensor(np.pad(a, ((0, 0), (1, 2)))).shrink(((0, a.shape[0]), (1, a.shape[1] + 1))), 1
  yield Tensor(a[:, ::-1].copy()).flip(1), 1
  if a.shape[1] % 5 == 0:                                  # runs of a fifth, in rows and in columns
    runs = a.reshape(a.shape[0], 5, -1).transpose(1, 0, 2)
    yield Tensor(np.ascontiguousarray(runs)), (0, 2)
    yield Tensor(np.ascontiguousarray(runs.transpose(0, 2, 1))), (0, 1)
    yield Tensor(np.pad(a.reshape(a.shape[0], 5, -1), ((0, 0), (0, 0), (0, 3)))).shrink(((0, a.shape[0]), (0, 5), (0, a.shape[1] // 5))), (1, 2)

@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows, n", [(3, 1), (70, 2), (3, 15), (70, 16), (5, 31), (100, 47), (600, 47), (40, 48), (3, 250), (700, 257), (5, 300),
                                     (3, 1000), (2, 1025), (1030, 130), (2, 5000), (1, 70000), (530, 1000)])
def test_the_order_of_a_sum_depends_on_its_length_alone(rows, n, dtype):
  a = np.random.default_rng(n).standard_normal((rows, n)).astype(dtype)
  total, product = in_order(a, np.add), in_order(a + dtype(1.5), np.multiply)
  for isa in ISAS:
    _engine.set_isa(isa)
    for threads in (1, 3):
      _engine.set_threads(threads)
      for t, axis in ways(a):
        np.testing.assert_array_equal(t.sum(axis).numpy(), total)
        np.testing.assert_array_equal((t + 1.5).prod(axis).numpy(), product)
        fused = t - t.sum(axis, keepdim=True)
        np.testing.assert_array_equal(fused.numpy(), t.numpy() - total.reshape(t.sum(axis, keepdim=True).shape))
        np.testing.assert_array_equal((t * t).sum(axis).numpy(), in_order(a * a, np.add))

@pytest.mark.parametrize("isa", ISAS)
def test_rows_that_are_folded_in_parts(isa):
  """Very long ones in memory: they can be interrupted within."""
  _engine.set_isa(isa)
  a = np.random.default_rng(0).standard_normal((17, 2**20 + 75)).astype(np.float32)
  t, whole = Tensor(a), (a * 100).astype(np.int32)
  np.testing.assert_array_equal(t.sum(1).numpy(), in_order(a, np.add))
  np.testing.assert_array_equal((t * t).sum(1).numpy(), in_order(a * a, np.add))
  np.testing.assert_array_equal(t.max(1).numpy(), a.max(1))
  np.testing.assert_array_equal(Tensor(whole).sum(1).numpy(), whole.sum(1, dtype=np.int64))

def larger(x, y): return np.where((y > x) | (y != y), y, x)

def test_the_first_of_equal_maxima_counts():
  """So zeros have the sign of the first of them, in the order of the sums, wherever they lie."""
  rng = np.random.default_rng(1)
  for rows, n, dtype in itertools.product((3, 600), (2, 17, 47, 300, 1500), (np.float32, np.float64)):
    a = rng.choice([-0.0, 0.0, -1.0], (rows, n)).astype(dtype)
    want = np.signbit(in_order(a, larger))
    for isa in ISAS:
      _engine.set_isa(isa)
      for t, axis in ways(a):
        if t.lazydata.schedule(): continue  # that adds 0.0 or turns signs
        np.testing.assert_array_equal(np.signbit(t.max(axis).numpy()), want)

# ---- the same bits ----

def program():
  """Functions, sums, products, convolutions and gradients, whose parts run on several threads."""
  rng = np.random.default_rng(4)
  a, b = (Tensor(rng.standard_normal(s).astype(np.float32), requires_grad=True) for s in ((300, 700), (700, 260)))
  x, w = (Tensor(rng.standard_normal(s).astype(np.float32), requires_grad=True) for s in ((4, 8, 32, 32), (8, 8, 3, 3)))
  h = (a @ b).gelu()
  p, q, c = h.softmax(), h.layernorm(), x.conv2d(w, padding=1).max_pool2d()
  outs = {"h": h, "p": p, "q": q, "c": c, "columns": h.sum(0), "rows": q.mean(1), "std": h.std(0), "sums": a.cumsum(1), "all": a.sum(),
          "powers": (p ** q.abs()).sum(), "half": a.half() @ b.half(), "dot": a.flatten().dot(a.flatten()),
          "brain": (a.cast(dtypes.bfloat16) @ b.cast(dtypes.bfloat16)).float()}
  loss = p.log().mean() + (q * q).mean() + c.sigmoid().sum()
  loss.backward()
  return {**outs, "loss": loss, "ga": a.grad, "gb": b.grad, "gx": x.grad, "gw": w.grad}

def bits(outs, names): return {name: outs[name].numpy().tobytes() for name in names}

@pytest.mark.parametrize("isa", ISAS)
def test_bits_do_not_depend_on_threads_or_the_run(isa):
  _engine.set_isa(isa)
  names = list(program())
  want = bits(program(), names)
  for threads in (1, 2, 3, 4, 4):
    _engine.set_threads(threads)
    assert bits(program(), names) == want, threads

def test_order_of_reading():
  """What is read first is computed first, and may be stored for the rest or not. The same order gives the same bits; another one may add a sum up
  in another order."""
  rng, names = np.random.default_rng(5), list(program())
  want = {name: out.numpy() for name, out in program().items()}
  for _ in range(8):
    order = rng.permutation(names).tolist()
    got = bits(program(), order)
    assert bits(program(), order) == got, order
    for name in names:
      value = np.frombuffer(got[name], want[name].dtype).reshape(want[name].shape)
      np.testing.assert_allclose(value, want[name], rtol=0, atol=1e-6 * np.abs(want[name]).max(), err_msg=f"{name} in {order}")

def test_bits_of_functions_do_not_depend_on_the_place():
  """In a vector or in what is left over after the last."""
  x = ulp.inputs("float32", 7, scattered=True)[:4099]
  for name, (ours, _, _, _) in ulp.FUNCTIONS.items():
    want = ulp.computed(ours, x, "float32")
    for start, stop in ((1, 4099), (17, 30), (4098, 4099)):
      np.testing.assert_array_equal(ulp.computed(ours, x[start:stop].copy(), "float32"), want[start:stop], err_msg=name)

@pytest.mark.parametrize("isa", ISAS)
def test_sums_of_sums_have_the_same_bits_whatever_is_read_or_dropped_before(isa):
  """Another reader of the inner sum, gone or computed, and the product within it."""
  _engine.set_isa(isa)
  a = np.random.default_rng(0).standard_normal((64, 257, 130)).astype(np.float32)
  found = set()
  for how in range(4):
    x = Tensor(a).realize()
    inner, product = x.sum(1), x * x
    other, outer, whole = inner * 2, inner.transpose(0, 1).sum(1), product.sum(2).sum(1)
    del inner
    if how == 1: Tensor.corealize([other, product])
    elif how == 2: del other
    elif how == 3: whole.realize()
    found.add((outer.numpy().tobytes(), whole.numpy().tobytes()))
  assert len(found) == 1

@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floor_division_is_exact_whatever_stands_beside(isa, dtype):
  """The quotient rounded down, where it is a number of the dtype, near its last places too, beside zeros and infinities or not."""
  _engine.set_isa(isa)
  rng, bits = np.random.default_rng(0), np.finfo(dtype).nmant
  y = rng.standard_normal(2000).astype(dtype)
  x = (y * np.ldexp(rng.uniform(-1, 1, y.size), rng.integers(1, bits + 2, y.size))).astype(dtype)
  want = [math.floor(Fraction(float(a)) / Fraction(float(b))) for a, b in zip(x, y)]
  alone, beside = Tensor(x), Tensor(np.append(x, [1, np.inf]).astype(dtype))
  divisors = Tensor(np.append(y, [0, 1]).astype(dtype))
  np.testing.assert_array_equal((alone // Tensor(y)).numpy().tolist(), want)
  np.testing.assert_array_equal((beside // divisors).numpy()[:-2].tolist(), want)
  rest = [float(Fraction(float(a)) - q * Fraction(float(b))) for a, b, q in zip(x, y, want)]
  np.testing.assert_array_equal((beside % divisors).numpy()[:-2], np.array(rest).astype(dtype))

@pytest.mark.parametrize("dtype", [dtypes.float16, dtypes.bfloat16], ids=str)
def test_cumsums_of_16_bits_are_rounded_once(dtype):
  """Just above the middle between two numbers: also rounded to float32 on the way, they would become the lower one."""
  step = 2.0**-11 if dtype is dtypes.float16 else 2.0**-8
  x = np.zeros((5, 300))
  x[:, :3] = 1, step, step * 2.0**(-13 if dtype is dtypes.float16 else -30)
  rows, columns = Tensor(x).cast(dtype).cumsum(1), Tensor(x.T.copy()).cast(dtype).cumsum(0)
  assert rows[0, :3].float().numpy().tolist() == [1, 1, 1 + 2 * step]
  np.testing.assert_array_equal(rows.float().numpy(), columns.float().numpy().T)
