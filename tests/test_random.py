"""Random numbers: the same ones however they are computed, streams that do not meet, and the distributions they come from (at fixed seeds, so that
each test gives the same verdict in each run; the critical values are those of a false alarm in 10,000)."""
import math
import numpy as np
import pytest
from teenygrad import Tensor, _engine
from teenygrad.helpers import dtypes
from teenygrad.lazy import LazyBuffer
from teenygrad.ops import LoadOps

N = 100000
ISAS = ["base", "avx2", "avx512"]

def draw(make, seed=0):
  Tensor.manual_seed(seed)
  return make().numpy()

def kolmogorov(x, cdf):
  """The Kolmogorov-Smirnov distance of the sample to the distribution, times sqrt(n): above 2.22 once in 10,000."""
  x = np.sort(np.asarray(x, np.float64).ravel())
  F, n = cdf(x), len(x)
  return max((np.arange(1, n + 1) / n - F).max(), (F - np.arange(n) / n).max()) * math.sqrt(n)

def normal_cdf(x): return 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))

def is_uniform(x, low, high):
  assert low <= x.min() and x.max() < high
  assert kolmogorov(x, lambda v: (v - low) / (high - low)) < 2.22

def is_normal(x, mean, std):
  assert kolmogorov(x, lambda v: normal_cdf((v - mean) / std)) < 2.22
  n = x.size
  z = (x.astype(np.float64) - mean) / std
  assert abs(z.mean()) < 4 / math.sqrt(n) and abs(z.var() - 1) < 4 * math.sqrt(2 / n)
  assert abs((z ** 3).mean()) < 4 * math.sqrt(15 / n) and abs((z ** 4).mean() - 3) < 4 * math.sqrt(96 / n)

def chi_square(counts, expected):
  """Normalised: Wilson and Hilferty's cube root, a standard normal number."""
  counts, expected = np.asarray(counts, np.float64), np.asarray(expected, np.float64)
  q, k = ((counts - expected) ** 2 / expected).sum(), len(counts) - 1
  return ((q / k) ** (1 / 3) - (1 - 2 / (9 * k))) / math.sqrt(2 / (9 * k))

@pytest.fixture
def engine():
  before = _engine.info()
  yield _engine
  _engine.set_threads(before["threads"])
  _engine.set_isa(before["isa"])

def here(engine):
  """The instruction sets this machine has."""
  out = []
  for isa in ISAS:
    try: engine.set_isa(isa)
    except ValueError: continue
    out.append(isa)
  return out

# *** the same numbers ***

MAKES = {"rand": lambda: Tensor.rand(300, 701), "double": lambda: Tensor.rand(70, 701, dtype=dtypes.double), "randn": lambda: Tensor.randn(300, 301),
         "randn_double": lambda: Tensor.randn(99, 301, dtype=dtypes.double), "randn_half": lambda: Tensor.randn(99, 301, dtype=dtypes.half),
         "randint": lambda: Tensor.randint(300, 301, low=-7, high=1000), "uniform": lambda: Tensor.uniform(301, 300, low=-3.0, high=5.0),
         "normal": lambda: Tensor.normal(301, 300, mean=2.0, std=0.5), "kaiming": lambda: Tensor.kaiming_normal(30, 301),
         "scaled": lambda: Tensor.scaled_uniform(99, 98),
         "part": lambda: Tensor.rand(300, 701).T[5:600:3, ::-2], "fused": lambda: (Tensor.rand(300, 701) * 3 - 1).relu()}

@pytest.mark.threads
@pytest.mark.parametrize("name", MAKES)
def test_same_numbers_on_any_number_of_threads_and_instruction_set(name, engine):
  expected = draw(MAKES[name], 42).tobytes()
  for isa in here(engine):
    engine.set_isa(isa)
    for threads in (1, 2, 5):
      engine.set_threads(threads)
      assert draw(MAKES[name], 42).tobytes() == expected, (isa, threads)

def test_same_numbers_in_any_order_of_reading():
  def build():
    Tensor.manual_seed(7)
    return [Tensor.rand(50), Tensor.randn(5, 6), Tensor.randint(40), Tensor.rand(3, dtype=dtypes.double), Tensor.uniform(9), Tensor.rand(7, 8).sum(0)]
  expected = [t.numpy() for t in build()]
  rng = np.random.default_rng(0)
  for i in range(10):
    ts = build()
    if i % 2: Tensor.corealize(ts[::2])
    for j in rng.permutation(len(ts)): assert ts[j].numpy().tobytes() == expected[j].tobytes()
  Tensor.manual_seed(7)
  for x, make in zip(expected[:2], (lambda: Tensor.rand(50), lambda: Tensor.randn(5, 6))): assert make().numpy().tobytes() == x.tobytes()

def test_read_again_and_in_parts():
  t = Tensor.rand(100, 100)
  top, last = t[:3].numpy(), t[99, 99].item()  # computed before the whole
  x = t.numpy()
  assert (x[:3] == top).all() and x[99, 99] == last and (t.numpy() == x).all() and (t.reshape(-1)[::7].numpy() == x.ravel()[::7]).all()
  u = Tensor.rand(1000)
  assert ((u + 0).numpy() == u.numpy()).all() and ((u - u).numpy() == 0).all()

@pytest.mark.parametrize("make", [Tensor.rand, Tensor.randn, Tensor.randint, Tensor.normal])
@pytest.mark.parametrize("dtype", [dtypes.float32, dtypes.double])
def test_the_first_numbers_do_not_depend_on_the_size(make, dtype):
  if make is Tensor.randint: dtype = dtypes.int32 if dtype == dtypes.float32 else dtypes.int64
  x = draw(lambda: make(5000, dtype=dtype), 3)
  for n in (0, 1, 2, 3, 7, 16, 17, 1023, 4999): assert (draw(lambda n=n: make(n, dtype=dtype), 3) == x[:n]).all()
  for shape in ((50, 100), (2, 5, 500), (5000, 1)): assert (draw(lambda shape=shape: make(*shape, dtype=dtype), 3).ravel() == x).all()

def test_one_call_moves_the_stream_on_by_one():
  for first in (lambda: Tensor.rand(1), lambda: Tensor.rand(10000), lambda: Tensor.rand(0), lambda: Tensor.randn(5), lambda: Tensor.randint(3),
                lambda: Tensor.uniform(2, 2), lambda: Tensor.rand(3, dtype=dtypes.double), lambda: Tensor.ones(3).multinomial()):
    Tensor.manual_seed(11)
    first()
    second = Tensor.rand(20).numpy()
    Tensor.manual_seed(11)
    Tensor.rand(4)
    assert (Tensor.rand(20).numpy() == second).all()
  Tensor.manual_seed(11)
  Tensor.zeros(3), Tensor.empty(3), Tensor.ones(3).dropout(0.5)  # outside of training
  a = Tensor.rand(20).numpy()
  Tensor.manual_seed(11)
  assert (Tensor.rand(20).numpy() == a).all()

def test_seeds():
  assert (draw(lambda: Tensor.rand(9), 0) == draw(lambda: Tensor.rand(9))).all()
  Tensor.manual_seed()
  assert (Tensor.rand(9).numpy() == draw(lambda: Tensor.rand(9), 0)).all()
  seen = {draw(lambda: Tensor.rand(4), seed).tobytes() for seed in [*range(1000), 2**31, 2**32, 2**40, 2**62, -1, -2]}
  assert len(seen) == 1006

def test_randn_agrees_with_box_and_muller():
  u, v = draw(lambda: Tensor.rand(1000, 2), 5).astype(np.float64).T
  np.testing.assert_allclose(draw(lambda: Tensor.randn(1000), 5), np.cos(2 * np.pi * u) * np.sqrt(-2 * np.log(1 - v)), rtol=1e-6)

# *** independence ***

def test_streams_are_independent():
  n = 4000
  Tensor.manual_seed(0)
  rows = [Tensor.rand(n).numpy() for _ in range(40)] + [draw(lambda: Tensor.rand(n), seed) for seed in range(1, 60)]
  rows += [draw(lambda: Tensor.rand(n), 2**k) for k in range(8, 62)]
  c = np.corrcoef(np.array(rows, np.float64)) * math.sqrt(n)
  off = c[np.triu_indices(len(rows), 1)]
  assert abs(off).max() < 5.5 and abs(off.std() - 1) < 0.05 and abs(off.mean()) < 0.1

def test_neighbours_are_independent():
  x = draw(lambda: Tensor.rand(N)).astype(np.float64) - 0.5
  for lag in (1, 2, 3, 4, 8, 16, 64, 1000, 4096): assert abs((x[lag:] * x[:-lag]).mean() * 12 * math.sqrt(N - lag)) < 4.5
  pairs = np.histogram2d(*(draw(lambda: Tensor.rand(N), 1).reshape(-1, 2).T), bins=20, range=((0, 1), (0, 1)))[0].ravel()
  assert abs(chi_square(pairs, np.full(400, N / 2 / 400))) < 4
  triples = (draw(lambda: Tensor.rand(N // 3 * 3), 2).reshape(-1, 3) * 6).astype(int) @ [36, 6, 1]
  assert abs(chi_square(np.bincount(triples, minlength=216), np.full(216, N // 3 / 216))) < 4
  u, v = draw(lambda: Tensor.randn(2, N), 3).astype(np.float64)
  assert abs((u * v).mean() * math.sqrt(N)) < 4.5 and abs((u * u * v * v).mean() - 1) < 4.5 * math.sqrt(8 / N)

def test_every_bit_is_fair():
  ints = (draw(lambda: Tensor.rand(N)).astype(np.float64) * 2**24).astype(np.int64)
  for b in range(24): assert abs(((ints >> b) & 1).mean() - 0.5) * 2 * math.sqrt(N) < 4.5, b
  wide = (draw(lambda: Tensor.rand(N, dtype=dtypes.double)) * 2**53).astype(np.int64)
  for b in range(53): assert abs(((wide >> b) & 1).mean() - 0.5) * 2 * math.sqrt(N) < 4.5, b

# *** distributions ***

@pytest.mark.parametrize("seed", [0, 1, 2**40])
@pytest.mark.parametrize("dtype, bits", [(dtypes.float32, 24), (dtypes.double, 53)])
def test_rand(dtype, bits, seed):
  x = draw(lambda: Tensor.rand(N, dtype=dtype), seed)
  is_uniform(x, 0, 1)
  scaled = x.astype(np.float64) * 2.0**bits
  assert (scaled == np.floor(scaled)).all() and x.max() <= 1 - 2.0**-bits
  assert abs(x.astype(np.float64).mean() - 0.5) * math.sqrt(12 * N) < 4 and abs(x.astype(np.float64).var() * 12 - 1) * math.sqrt(N) < 4
  assert abs(chi_square(np.histogram(x, 1000, (0, 1))[0], np.full(1000, N / 1000))) < 4

def test_rand_reaches_the_ends_and_stays_in_range():
  x = draw(lambda: Tensor.rand(4000, 5000))
  assert x.min() < 1e-6 and 1 - 1e-6 < x.max() < 1 and x.dtype == np.float32

def test_rand_has_two_dtypes():
  for dtype in (dtypes.int32, dtypes.half, dtypes.bool, dtypes.bfloat16):
    with pytest.raises(TypeError): Tensor.rand(3, dtype=dtype)
  with pytest.raises(ValueError): Tensor.rand(-1)
  a, b = (LazyBuffer.loadop(LoadOps.RAND, (5,), dtypes.float32, "CPU", 17).realized.toCPU() for _ in range(2))
  assert (a == b).all()

@pytest.mark.parametrize("dtype", [dtypes.float32, dtypes.double, dtypes.half])
def test_randn(dtype):
  x = draw(lambda: Tensor.randn(N, dtype=dtype), 4)
  assert x.dtype == dtype.np and np.isfinite(x).all() and 4 < abs(x.astype(np.float64)).max() < 7
  if dtype != dtypes.half: is_normal(x, 0, 1)

def test_uniform_and_normal():
  is_uniform(draw(lambda: Tensor.uniform(N, low=-3.0, high=5.0)), -3, 5)
  is_uniform(draw(lambda: Tensor.uniform(N, low=2, high=3, dtype=dtypes.double), 1), 2, 3)
  is_uniform(draw(lambda: Tensor.uniform(N), 2), 0, 1)
  is_normal(draw(lambda: Tensor.normal(N, mean=-2.0, std=0.25), 3), -2, 0.25)
  is_normal(draw(lambda: Tensor.normal(N, dtype=dtypes.double), 4), 0, 1)

@pytest.mark.parametrize("low, high", [(0, 10), (-3, 0), (-5, 6), (100, 101), (0, 255), (-1000, 1000)])
def test_randint(low, high):
  x = draw(lambda: Tensor.randint(N, low=low, high=high), 5)
  assert x.dtype == np.int32 and x.min() == low and x.max() == high - 1
  if high - low > 1: assert abs(chi_square(np.bincount(x - low, minlength=high - low), np.full(high - low, N / (high - low)))) < 4

def test_randint_of_other_ranges_and_dtypes():
  x = draw(lambda: Tensor.randint(N, low=-2**31, high=2**31), 6)
  is_uniform(x, -2**31, 2**31)
  for dtype, low, high in ((dtypes.uint8, 0, 256), (dtypes.int8, -128, 128), (dtypes.int64, -10, 10), (dtypes.float32, 0, 3)):
    Tensor.manual_seed(7)
    x = Tensor.randint(N, low=low, high=high, dtype=dtype).numpy()
    assert x.dtype == dtype.np and x.min() == low and x.max() == high - 1
  is_uniform(draw(lambda: Tensor.randint(N, low=0, high=2**50, dtype=dtypes.int64), 8), 0, 2**50)
  for low, high, dtype in ((0, 0, dtypes.int32), (3, 2, dtypes.int32)):
    with pytest.raises(ValueError): Tensor.randint(3, low=low, high=high, dtype=dtype)
  with pytest.raises(OverflowError): Tensor.randint(3, low=0, high=257, dtype=dtypes.uint8)

def test_initialisers():
  shape = (300, 20, 4, 4)
  n, fan = 300 * 320, 320
  is_uniform(draw(lambda: Tensor.scaled_uniform(shape), 0), -n ** -0.5, n ** -0.5)
  bound = math.sqrt(6 / (300 + fan))
  is_uniform(draw(lambda: Tensor.glorot_uniform(shape), 1), -bound, bound * (1 + 1e-7))
  gain = math.sqrt(2 / (1 + 0.01 ** 2)) / math.sqrt(fan)
  is_uniform(draw(lambda: Tensor.kaiming_uniform(shape), 2), -math.sqrt(3) * gain, math.sqrt(3) * gain * (1 + 1e-7))
  is_normal(draw(lambda: Tensor.kaiming_normal(shape), 3), 0, gain)
  steep = math.sqrt(2 / (1 + 5)) / math.sqrt(fan)
  assert abs(draw(lambda: Tensor.kaiming_normal(shape, a=math.sqrt(5)), 4).std() / steep - 1) < 0.02
  assert abs(draw(lambda: Tensor.kaiming_uniform(shape, a=math.sqrt(5)), 4).std() / steep - 1) < 0.02
  for make in (Tensor.scaled_uniform, Tensor.glorot_uniform, Tensor.kaiming_uniform, Tensor.kaiming_normal, Tensor.normal, Tensor.uniform):
    for kw in ({"dtype": dtypes.double}, {"requires_grad": True}, {"dtype": dtypes.half, "requires_grad": False}):
      t = make(4, 3, **kw)
      assert t.dtype == kw.get("dtype", dtypes.float32) and t.requires_grad is kw.get("requires_grad") and t._ctx is None

# *** what is made of them ***

@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout(p):
  x = Tensor(np.linspace(1, 2, N, dtype=np.float32), requires_grad=True)
  assert x.dropout(p) is x
  with Tensor.train():
    assert x.dropout(0) is x
    y = x.dropout(p)
    y.sum().backward()
    again = x.dropout(p).numpy()
  out, kept = y.numpy(), y.numpy() != 0
  np.testing.assert_allclose(out[kept], (x.numpy() / (1 - p))[kept], rtol=1e-6)
  assert abs(kept.mean() - (1 - p)) < 4.5 * math.sqrt(p * (1 - p) / N) and ((again != 0) != kept).any()
  np.testing.assert_allclose(x.grad.numpy(), kept / (1 - p), rtol=1e-6)  # the same mask in both directions
  with Tensor.train():
    for bad in (1, 1.0):
      with pytest.raises(ZeroDivisionError): x.dropout(bad)
    for bad in (1.5, -0.1, math.nan):
      with pytest.raises(ValueError): x.dropout(bad)
    assert Tensor.ones(3, dtype=dtypes.half).dropout().dtype == dtypes.half

WEIGHTS = [[1, 1, 1, 1], [1, 2, 3, 4], [0, 5, 0, 1], [1000, 1, 10, 100], [0.001, 0.002, 0.003, 0.004]]

@pytest.mark.parametrize("w", WEIGHTS, ids=str)
def test_multinomial(w):
  x = draw(lambda: Tensor([float(v) for v in w]).multinomial(N, replacement=True), 9)
  assert x.dtype == np.int32 and x.shape == (N,)
  counts, p = np.bincount(x, minlength=4), np.array(w) / sum(w)
  assert (counts[p == 0] == 0).all() and abs(chi_square(counts[p > 0], p[p > 0] * N)) < 4

def test_multinomial_of_rows():
  w = Tensor([[0., 1., 0.], [1., 0., 0.], [0., 1., 1.]])
  x = draw(lambda: w.multinomial(1000, replacement=True), 10)
  assert x.shape == (3, 1000) and (x[0] == 1).all() and (x[1] == 0).all() and set(x[2]) == {1, 2} and abs((x[2] == 1).mean() - 0.5) < 0.08
  assert w.multinomial().shape == (3, 1) and Tensor([1., 1.]).multinomial().shape == (1,)
  assert Tensor([3], dtype=dtypes.int32).multinomial().item() == 0
  two = draw(lambda: Tensor([[1., 1.], [1., 1.]]).multinomial(N, replacement=True), 11)
  assert abs(np.corrcoef(two)[0, 1]) < 4.5 / math.sqrt(N)
  for args in ((0,), (-1,), (2,), (2, False)):
    with pytest.raises(AssertionError): w.multinomial(*args)
  for bad in (Tensor(1.), Tensor.ones(2, 2, 2)):
    with pytest.raises(AssertionError): bad.multinomial()
  for bad in ([0., 0.], [[1., 1.], [0., 0.]], [math.nan, 1.]):
    with pytest.raises(ValueError): Tensor(bad).multinomial()
