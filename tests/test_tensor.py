"""The Tensor as an object: how it is made, read, changed, copied and differentiated, and the small modules around it."""
import copy, gc, inspect, math, operator, os, pickle, re, subprocess, sys, threading, warnings, weakref
import numpy as np
import pytest
import torch
import teenygrad
from teenygrad import Tensor, _engine
from teenygrad import helpers
from teenygrad.helpers import argfix, argsort, all_int, dedup, dtypes, flatten, getenv, make_pair, prod, round_up
from teenygrad.lazy import LazyBuffer, RawCPUBuffer
from teenygrad.mlops import Add, Exp, Less, Mul
from teenygrad.ops import BinaryOps, Device, LoadOps, MovementOps, ReduceOps, TernaryOps, UnaryOps
from teenygrad.realize import run_schedule
from teenygrad.tensor import Function

def W(*x): return Tensor(list(map(float, x)), requires_grad=True)

def same(t, expected, dtype=None, rtol=1e-6):
  x = t.numpy()
  np.testing.assert_allclose(x, np.asarray(expected), rtol=rtol, atol=0)
  assert x.shape == np.shape(expected)
  if dtype is not None: assert t.dtype == dtype, t.dtype

def computed(*ts): return all(t.lazydata.computed for t in ts)

# *** construction ***

NUMBERS = [(3, dtypes.float32, 3.0), (2.5, dtypes.float32, 2.5), (True, dtypes.float32, 1.0), (np.float64(1.5), dtypes.float32, 1.5),
           (math.inf, dtypes.float32, math.inf), (-0.0, dtypes.float32, -0.0), (2**24 + 1, dtypes.float32, 2.0**24)]

@pytest.mark.parametrize("data, dtype, value", NUMBERS, ids=str)
def test_number(data, dtype, value):
  t = Tensor(data)
  assert t.shape == () and t.ndim == 0 and t.dtype == dtype and t.item() == value and math.copysign(1, t.item()) == math.copysign(1, value)

def test_number_with_dtype():
  same(Tensor(3.7, dtype=dtypes.int32), 3, dtypes.int32)
  same(Tensor(-3.7, dtype=dtypes.int8), -3, dtypes.int8)
  same(Tensor(0.5, dtype=dtypes.bool), True, dtypes.bool)
  same(Tensor(2**63 - 1, dtype=dtypes.int64), 2**63 - 1, dtypes.int64)
  same(Tensor(2**64 - 1, dtype=dtypes.uint64), np.uint64(2**64 - 1), dtypes.uint64)
  assert Tensor(2**64 - 1, dtype=dtypes.uint64).item() == 2**64 - 1 and Tensor(2**63 - 1, dtype=dtypes.int64).item() == 2**63 - 1
  assert Tensor(-2**63, dtype=dtypes.int64).item() == -2**63
  for value, dtype in ((128, dtypes.int8), (-129, dtypes.int8), (256, dtypes.uint8), (-1, dtypes.uint64), (2**63, dtypes.int64),
                       (math.inf, dtypes.int32)):
    with pytest.raises(OverflowError): Tensor(value, dtype=dtype)
  with pytest.raises(ValueError): Tensor(math.nan, dtype=dtypes.int32)

LISTS = [[], [1, 2], [1.5], [True, False], [[1, 2], [3, 4]], [[[1.0]]], [[], []], [[[]]], None, [np.float32(1), 2], [np.arange(2), [3, 4]],
         [(1, 2), (3, 4)]]

@pytest.mark.parametrize("data", LISTS, ids=str)
def test_list(data):
  expected = np.array([] if data is None else data, np.float32)
  t = Tensor(data)
  assert t.shape == expected.shape and t.dtype == dtypes.float32
  same(t, expected)
  same(Tensor(data, dtype=dtypes.int16), expected.astype(np.int16), dtypes.int16)

def test_default_type():
  Tensor.default_type = dtypes.float64
  for t in (Tensor(1), Tensor([1]), Tensor(None), Tensor.rand(2), Tensor.zeros(2), Tensor.arange(3), Tensor.eye(2), Tensor.randn(2),
            Tensor.full((2,), 1),
            Tensor([1], dtype=dtypes.int32).exp(), Tensor([1], dtype=dtypes.int32) + 0.5):
    assert t.dtype == dtypes.float64
  assert (Tensor([1.], dtype=dtypes.float32) + 1).dtype == dtypes.float32
  w = Tensor([1.], requires_grad=True)
  w.sum().backward()
  same(w.grad, [1.], dtypes.float64)

ARRAYS = [np.arange(6).reshape(2, 3), np.arange(6)[::-2], np.arange(6).reshape(2, 3).T, np.zeros((0, 3)), np.float32([[1, 2]]), np.array(5),
          np.array(True),
          np.arange(4, dtype=np.uint8), np.arange(3, dtype=np.float16), np.broadcast_to(np.float32(2), (2, 3)),
          np.arange(24.).reshape(2, 3, 4)[:, ::2, 1:3],
          np.arange(3, dtype=">f4"), np.arange(3, dtype=">u2")]

@pytest.mark.parametrize("x", ARRAYS, ids=lambda x: f"{x.dtype}{x.shape}")
def test_array(x):
  t = Tensor(x)
  same(t, x, dtypes.from_np(x.dtype))
  assert t.numpy().flags.c_contiguous and t.numpy().flags.writeable and t.numpy().flags.owndata
  same(Tensor(x, dtype=dtypes.float64), x.astype(np.float64), dtypes.float64)

def test_unaligned_and_structured_arrays():
  raw = np.zeros(25, np.uint8)
  odd = raw[1:].view(np.float64)
  odd[:] = [1, 2, 3]
  same(Tensor(odd), [1, 2, 3], dtypes.float64)
  pairs = np.array([(1, 2.5), (3, 4.5)], dtype=[("a", "i1"), ("b", "f8")])
  same(Tensor(pairs["b"]), [2.5, 4.5], dtypes.float64)

def test_other_data():
  same(Tensor(b"\x01\xff"), [1, 255], dtypes.uint8)
  same(Tensor(b"\x01", dtype=dtypes.float32), [1], dtypes.uint8)
  same(Tensor(b""), np.zeros(0), dtypes.uint8)
  lb = LazyBuffer.fromCPU(np.ones(3, np.float32))
  assert Tensor(lb).lazydata is lb and Tensor(lb, dtype=dtypes.float32).lazydata is lb
  with pytest.raises(AssertionError): Tensor(lb, dtype=dtypes.int32)
  for bad in ("12", range(3), Tensor(1.), 1j, bytearray(b"1"), {1}, object(), iter([1]), Tensor):
    with pytest.raises(RuntimeError) as e: Tensor(bad)
    assert type(bad).__name__ in str(e.value)
  for bad in (np.array([1j]), np.array(["a"]), np.array([None]), np.array([], "M8[s]"), np.complex64(1), np.zeros(2, [("x", "f4")]),
              np.longdouble(1)):
    with pytest.raises(KeyError) as e: Tensor(bad)
    assert all(word in str(e.value) for word in (str(bad.dtype), str(bad.shape), "float32"))
  for bad in ([[1, 2], [3]], [Tensor(1.)], [[Tensor(1.)]], ["a"]):
    with pytest.raises(ValueError): Tensor(bad)
  for bad in (np.float32, "float", int, 3):
    with pytest.raises(AssertionError): Tensor(1, dtype=bad)

def test_requires_grad_and_device_of_the_constructor():
  for r in (None, True, False): assert Tensor([1.], requires_grad=r).requires_grad is r
  for device in (None, "CPU", "GPU", "cuda:3"): assert Tensor([1.], device=device).device == "CPU"
  for dtype in (dtypes.int32, dtypes.bool, dtypes.uint64):
    with pytest.raises(RuntimeError): Tensor([1], dtype=dtype, requires_grad=True)
  assert Tensor.zeros(2, requires_grad=False, device="X").requires_grad is False

def test_attributes():
  t = Tensor(np.zeros((2, 3), np.float16))
  assert (t.shape, t.ndim, t.numel(), t.element_size(), t.nbytes(), t.dtype, t.device) == ((2, 3), 2, 6, 2, 12, dtypes.half, "CPU")
  assert type(t.shape) is tuple and all(type(s) is int for s in t.shape)
  assert t.is_floating_point() and not Tensor([1], dtype=dtypes.int32).is_floating_point()
  assert not Tensor([1], dtype=dtypes.bool).is_floating_point() and not Tensor([1], dtype=dtypes.bfloat16).is_floating_point()
  assert t.grad is None and Tensor.__slots__ == ("lazydata", "requires_grad", "grad", "_ctx")
  with pytest.raises(AttributeError): t.name = 1
  with pytest.raises(AttributeError): t.shape = (3, 2)
  with pytest.raises(TypeError): weakref.ref(t)

def test_class_state():
  assert (Tensor.training, Tensor.no_grad, Tensor.default_type, Tensor.wino) == (False, False, dtypes.float32, 0) and isinstance(Tensor._seed, int)
  with Tensor.train() as nothing:
    assert Tensor.training is True and nothing is None
    with Tensor.train(False): assert Tensor.training is False
    assert Tensor.training is True
  assert Tensor.training is False
  with pytest.raises(KeyError):
    with Tensor.train(): raise KeyError
  assert Tensor.training is False

def test_creation():
  for shape in ((), (3,), (2, 3), (0, 2)):
    for args in (shape, (shape,), (list(shape),)):
      for make, value in ((Tensor.zeros, 0), (Tensor.ones, 1)): same(make(*args), np.full(shape, value), dtypes.float32)
      assert Tensor.empty(*args).shape == Tensor.rand(*args).shape == Tensor.randn(*args).shape == shape
    same(Tensor.full(shape, 7, dtype=dtypes.int8), np.full(shape, 7), dtypes.int8)
    t = Tensor.full(shape, 2, dtype=dtypes.double, requires_grad=True)
    for like, value in ((t.zeros_like(), 0), (t.ones_like(), 1), (t.full_like(3.5), 3.5)):
      same(like, np.full(shape, value), dtypes.double)
      assert like.requires_grad is None
    same(t.ones_like(dtype=dtypes.int32), np.ones(shape), dtypes.int32)
  same(Tensor.full(3, 2), [2, 2, 2])
  for n in (0, 1, 2, 5): same(Tensor.eye(n, dtype=dtypes.int32), np.eye(n), dtypes.int32)
  for args in ((10,), (5, 10, 3), (10, 5, -3), (11, 5, -3), (0,), (3, 3), (2.5,), (0, 1, 0.25), (-3, 3), (1, -1, -0.5), (0, 7, 100)):
    same(Tensor.arange(*args), np.arange(*args), dtypes.float32)
  for dtype in (dtypes.int64, dtypes.uint8, dtypes.half): same(Tensor.arange(2, 9, 2, dtype=dtype), [2, 4, 6, 8], dtype)
  same(Tensor.arange(2**62, 2**62 + 3, dtype=dtypes.int64), np.arange(2**62, 2**62 + 3))
  for make in (Tensor.zeros, Tensor.eye, Tensor.arange, Tensor.rand, Tensor.randn, Tensor.uniform, Tensor.normal, Tensor.scaled_uniform):
    t = make(3, requires_grad=True)
    assert t.requires_grad is True and t._ctx is None and make(3).requires_grad is None and make(3, requires_grad=False).requires_grad is False

# *** reading ***

def test_numbers_out_of_tensors():
  for data, dtype, kind in ((2.5, dtypes.float32, float), (3, dtypes.int8, int), (True, dtypes.bool, bool), (2.5, dtypes.bfloat16, float)):
    for shape in ((), (1,), (1, 1, 1)):
      t = Tensor.full(shape, data, dtype=dtype)
      assert t.item() == data and type(t.item()) is kind and int(t) == int(data) and float(t) == float(data) and bool(t) == bool(data)
  for bad in (Tensor([]), Tensor([1., 2.])):
    for fxn in (Tensor.item, int, float, bool):
      with pytest.raises(ValueError): fxn(bad)
  assert bool(Tensor(math.nan)) and not bool(Tensor(-0.0))
  with pytest.raises(ValueError): int(Tensor(math.nan))
  with pytest.raises(OverflowError): int(Tensor(math.inf))
  with pytest.raises(TypeError): [1, 2, 3][Tensor([1.])]

def test_iteration():
  x = np.arange(6, dtype=np.float32).reshape(3, 2)
  t = Tensor(x, requires_grad=True)
  for a, b in zip(t, x): same(a, b)
  a, b, c = t
  (a * 2 + c).sum().backward()
  same(t.grad, [[2, 2], [0, 0], [1, 1]])
  assert len(t) == 3 == len(list(t)) and list(Tensor.zeros(0, 2)) == [] and len(Tensor([])) == 0
  assert [float(v) for v in reversed(Tensor([1., 2., 3.]))] == [3, 2, 1]
  for bad in (len, iter, list):
    with pytest.raises(TypeError): bad(Tensor(1.))
  assert float(sum(Tensor([1., 2., 3.]))) == 6 and max(Tensor([1., 3., 2.])).item() == 3 and dict(enumerate(Tensor([5.])))[0].item() == 5

def test_contains():
  t = Tensor([[1., 2.], [math.nan, 4.]])
  assert 2 in t and 2.0 in t and Tensor(4.) in t and Tensor([1., 9.]) in t and np.float32(1) in t
  assert 3 not in t and math.nan not in t and None not in t and "a" not in t and 1 not in Tensor([])
  ts = [Tensor([1.]), Tensor([2.])]
  assert Tensor([2.]) in ts and ts.index(Tensor([2.])) == 1 and ts.count(Tensor([3.])) == 0

def test_hash_is_identity():
  a, b = Tensor([1.]), Tensor([1.])
  assert hash(a) != hash(b) and len({a, b, a}) == 2 and {a: 1}[a] == 1 and b not in {a: 1}
  assert [id(t) for t in dedup([a, b, a, b])] == [id(a), id(b)]
  pair = Tensor([1., 2.]), Tensor([1., 2.])
  assert len(dedup(pair * 2)) == 2

def test_unbound_methods():
  x = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
  t, p = Tensor(x), torch.tensor(x)
  same(Tensor.relu(t), torch.relu(p).numpy())
  same(Tensor.std(t, axis=0), torch.std(p, dim=0).numpy())
  same(Tensor.sum(t, 1, keepdim=True), torch.sum(p, 1, keepdim=True).numpy())
  same(Tensor.where(t > 0, t, 0.), torch.where(p > 0, p, 0.).numpy())
  same(Tensor.cat(t, t, dim=1), torch.cat([p, p], 1).numpy())
  same(Tensor.stack([t, t], dim=-1), torch.stack([p, p], -1).numpy())
  same(Tensor.add(t, 1), (p + 1).numpy())
  same(Tensor.__rsub__(t, 1), (1 - p).numpy())
  for name, value in vars(Tensor).items():
    if not name.startswith("_") and inspect.isfunction(value): assert value.__doc__, name

COMPARISONS = ["<", ">", "<=", ">=", "==", "!="]
OTHERS = [np.array([2., 3.]), np.float32([2, 3]), np.int8([2, 3]), np.float32(2), np.float64(2), np.int64(2), np.bool_(True), 2, 2.5, True]

@pytest.mark.parametrize("op", ["+", "-", "*", "/", "**", "@", *COMPARISONS])
@pytest.mark.parametrize("other", OTHERS, ids=lambda x: f"{type(x).__name__}{np.ndim(x)}")
def test_numpy_and_numbers_on_either_side(op, other):
  if op == "@" and np.ndim(other) == 0: return
  x, array = np.float32([0.5, 3]), other if np.ndim(other) else np.float32(other)
  dtype = dtypes.bool if op in COMPARISONS else dtypes.from_np(max(array.dtype, x.dtype))
  for expected, got in ((eval(f"x {op} array"), eval(f"Tensor(x) {op} other")), (eval(f"array {op} x"), eval(f"other {op} Tensor(x)"))):
    assert isinstance(got, Tensor)
    same(got, expected, dtype, rtol=1e-5)

def test_array_protocol():
  t = Tensor([[1., 2.], [3., 4.]])
  assert np.asarray(t).tolist() == [[1, 2], [3, 4]] and np.asarray(t, np.int64).dtype == np.int64
  assert np.array(t + 1).sum() == 14 and np.stack([t, t]).shape == (2, 2, 2) and np.concatenate([t, t]).shape == (4, 2)
  a = np.array(t)
  a[0, 0] = 9
  same(t, [[1, 2], [3, 4]])
  assert torch.tensor(np.asarray(Tensor([1., 2.], requires_grad=True))).tolist() == [1, 2]
  with pytest.raises(TypeError): np.exp(t)

# *** repr ***

REPR = [(lambda: Tensor(3.), "Tensor(3.)"), (lambda: Tensor([1, 2.5]), "Tensor([1. , 2.5])"), (lambda: Tensor([]), "Tensor([])"),
        (lambda: Tensor(np.zeros((0, 3))), "Tensor([], shape=(0, 3), dtype=dtypes.double)"),
        (lambda: Tensor(np.arange(3)), "Tensor([0, 1, 2], dtype=dtypes.long)"),
        (lambda: Tensor(np.array([True, False])), "Tensor([ True, False], dtype=dtypes.bool)"),
        (lambda: Tensor([[1., math.nan], [-math.inf, 0.5]]), "Tensor([[ 1. ,  nan],\n        [-inf,  0.5]])"),
        (lambda: Tensor([1 / 3]), "Tensor([0.3333])"), (lambda: Tensor([1.], dtype=dtypes.half), "Tensor([1.], dtype=dtypes.half)"),
        (lambda: Tensor([1.5], dtype=dtypes.bfloat16).realize(), "Tensor([1.5], dtype=dtypes.__bf16)"),
        (lambda: Tensor(np.ones(1001, np.float32)), "Tensor([1., 1., 1., ..., 1., 1., 1.])"), (lambda: W(1), "Tensor([1.], requires_grad=True)"),
        (lambda: (W(1) + 1).realize(), "Tensor([2.], grad_fn=<Add>)"),
        (lambda: W(1).exp(), "<Tensor (1,) dtypes.float, not computed yet, grad_fn=<Exp>>"),
        (lambda: Tensor.zeros(2, 2), "Tensor([[0., 0.],\n        [0., 0.]])"),
        (lambda: Tensor.rand(2, 3), "<Tensor (2, 3) dtypes.float, not computed yet>")]

@pytest.mark.parametrize("make, expected", REPR, ids=[text for _, text in REPR])
def test_repr(make, expected):
  t = make()
  assert repr(t) == str(t) == f"{t}" == expected

def test_repr_computes_nothing():
  x = Tensor.rand(3, requires_grad=True)
  y = (x * x).sum()
  for _ in range(2): assert "not computed" in repr(y) and "not computed" in repr([x])
  assert not computed(x) and not computed(y)
  assert repr(Tensor(np.ones(1000, np.float32))).count("1.") == 1000
  y.backward()
  assert "not computed" in repr(x.grad)
  assert repr(y.realize()).endswith(", requires_grad=True)")  # the graph is used up
  Tensor.default_type = dtypes.double
  assert repr(Tensor([1.])) == "Tensor([1.])" and repr(Tensor(np.float32([1]))) == "Tensor([1.], dtype=dtypes.float)"
  with np.printoptions(precision=2, threshold=1): assert repr(Tensor([1 / 3] * 4)) == "Tensor([0.3333, 0.3333, 0.3333, 0.3333])"

# *** laziness ***

def test_nothing_is_computed_before_it_is_read():
  a = Tensor.rand(4, 4)
  b = (a @ a).relu()
  c = b.sum(0) + Tensor.ones(4)
  assert not any(computed(t) for t in (a, b, c))
  assert c.realize() is c and computed(c)
  assert Tensor.corealize(iter([a, b])) is None and computed(a, b)
  assert Tensor.corealize([]) is None
  same(c, b.numpy().sum(0) + 1)

def test_order_of_reading_changes_nothing():
  def build():
    Tensor.manual_seed(5)
    a, b = Tensor.rand(5, 6), Tensor.randn(6, 5)
    w = Tensor.rand(5, 5, requires_grad=True)
    c = a @ b
    d = (c * w).softmax(1)
    e = d.sum(0) + c.max(1)
    loss = (e * e).mean()
    loss.backward()
    return [a, b, c, d, e, loss, w, w.grad, d.grad]
  expected = [t.numpy() for t in build()]
  rng = np.random.default_rng(0)
  for how in range(12):
    ts = build()
    order = rng.permutation(len(ts))
    if how % 3 == 0: Tensor.corealize([ts[i] for i in order[:4]])
    if how % 3 == 1: run_schedule(ts[order[0]].lazydata.schedule())
    got = {i: ts[i].numpy() for i in order}
    for i, x in enumerate(expected): assert got[i].tobytes() == x.tobytes(), (how, i)

def test_schedule():
  a = Tensor.rand(8, 8)
  b = (a + 1).sum(1)
  items = b.lazydata.schedule()
  assert items and all(isinstance(item.target, LazyBuffer) for item in items) and not computed(b)
  assert run_schedule(items) is None and computed(b)
  same(b, a.numpy().astype(np.float64).sum(1) + 8, rtol=1e-5)
  assert b.lazydata.schedule() == [] and b.lazydata.schedule(set()) == []
  run_schedule([], disable_logging=True)
  c = b * 2
  same(c, 2 * b.numpy())
  run_schedule(c.lazydata.schedule())  # of what is computed by now
  stale = (b + 3).lazydata
  plan = stale.schedule()
  value = stale.realized.toCPU()
  run_schedule(plan)
  assert (stale.realized.toCPU() == value).all()

def test_lazybuffer():
  x = np.arange(6, dtype=np.float32).reshape(2, 3)
  lb = LazyBuffer(x)
  assert (lb.shape, lb.dtype, lb.device, lb.base, repr(lb)) == ((2, 3), dtypes.float32, "CPU", lb, "<LB (2, 3) dtypes.float>")
  assert isinstance(lb.realized, RawCPUBuffer) and (lb.realized.toCPU() == x).all()
  assert lb.contiguous().shape == lb.copy_to_device("X").shape == (2, 3)
  assert (lb.const(7).realized.toCPU() == np.full((2, 3), 7)).all() and lb.is_unrealized_contiguous_const() is False
  lb.output_buffer = 3
  assert lb.output_buffer == 3 and lb in {lb} and lb != LazyBuffer(x)
  assert RawCPUBuffer(x).toCPU() is x is RawCPUBuffer(x).x
  assert LazyBuffer.loadop(LoadOps.CONST, (2,), dtypes.int32, "CPU", 3).realized.toCPU().tolist() == [3, 3]
  for op in (LoadOps.FROM, LoadOps.CONTIGUOUS, LoadOps.CUSTOM):
    with pytest.raises(NotImplementedError): LazyBuffer.loadop(op, (2,), dtypes.int32, "CPU")
  with pytest.raises(TypeError): LazyBuffer.loadop(LoadOps.RAND, (2,), dtypes.int32, "CPU", 1)
  with pytest.raises(ValueError): LazyBuffer.loadop(LoadOps.CONST, (-1,), dtypes.int32, "CPU", 1)
  for op in (UnaryOps.NOOP, UnaryOps.CAST, ReduceOps.SUM, MovementOps.PAD, LoadOps.EMPTY):
    with pytest.raises(NotImplementedError): lb.e(op)
  with pytest.raises(NotImplementedError): lb.e(TernaryOps.MULACC, lb, lb)
  with pytest.raises(NotImplementedError): lb.r(BinaryOps.MAX, (1, 1))
  with pytest.raises(AssertionError): lb.r(ReduceOps.SUM, (1,))
  with pytest.raises(ValueError): lb.reshape((4, 2))
  with pytest.raises(ValueError): lb.permute((0, 0))

@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8", "float16", "bool"])
def test_lazybuffer_operators(dtype):
  """As e with the operands, a number being a constant of the other one's dtype."""
  rng = np.random.default_rng(0)
  a, b = LazyBuffer(rng.integers(1, 9, (2, 1, 3)).astype(dtype)), LazyBuffer(rng.integers(1, 9, (4, 1)).astype(dtype))
  def equal(x, y):
    assert x.shape == y.shape and x.dtype == y.dtype == a.dtype
    np.testing.assert_array_equal(x.realized.toCPU(), y.realized.toCPU())
  for op, f in ((BinaryOps.ADD, operator.add), (BinaryOps.SUB, operator.sub), (BinaryOps.MUL, operator.mul), (BinaryOps.DIV, operator.truediv)):
    if dtype == "bool" and op is BinaryOps.SUB: continue
    equal(f(a, b), a.e(op, b))
    for number in (3, 2.5, True, np.float64(1.5)):
      equal(f(a, number), a.e(op, a.const(number)))
      equal(f(number, a), a.const(number).e(op, a))
  for bad in (None, "x", [1]):
    with pytest.raises(TypeError): a - bad
    with pytest.raises(TypeError): bad / a
  with pytest.raises(ValueError): a + a.reshape((3, 2))
  if dtype == "bool": pytest.raises(TypeError, lambda: -a)
  else: equal(-a, a.e(UnaryOps.NEG))
  if a.dtype.priority >= 9: pytest.raises(OverflowError, lambda: a * 10**400)
  gc.collect()
  before, n, out = _engine.memory()["objects"], 0, None
  while out is None:  # the n-th allocation fails
    _engine.fail_at(n := n + 1)
    try: out = 2 * (a + b)
    except MemoryError: assert _engine.memory()["objects"] == before
    finally: _engine.fail_at(0)
  assert n > 4

# *** changing ***

def test_attention_to_heads_of_no_elements():
  """Their scores are sums of nothing, 0 and not 0 / 0."""
  q, mask = Tensor.zeros(2, 3, 0), Tensor.zeros(3, 3, requires_grad=True)
  out = q.scaled_dot_product_attention(q, Tensor.ones(2, 3, 4), mask)
  np.testing.assert_array_equal(out.numpy(), np.ones((2, 3, 4)))
  out.sum().backward()
  np.testing.assert_allclose(mask.grad.numpy(), np.zeros((3, 3)), atol=1e-6)

def test_abs_of_zeros():
  for dtype in (np.float16, np.float32, np.float64):
    np.testing.assert_array_equal(np.signbit(Tensor(np.array([0.0, -0.0, -1, 3], dtype)).abs().numpy()), False)

def test_assign():
  t = W(1, 2)
  keep, old = t, t.detach()
  assert t.assign([3, 4]) is keep and t.requires_grad is True and t.grad is None
  same(t, [3, 4], dtypes.float32)
  same(old, [1, 2])
  same(t.assign(np.array([5, 6])), [5, 6], dtypes.float32)
  same(Tensor([1.]).assign(Tensor([2], dtype=dtypes.int32)), [2], dtypes.int32)
  same(Tensor(1.).assign(2), 2)
  for bad in (Tensor([1.]), [1], 3, [[1, 2]], Tensor([[1., 2.]])):
    with pytest.raises(AssertionError): t.assign(bad)
  with pytest.raises(AssertionError): t.assign(W(1, 2))
  same(t.assign((5, 6)), [5, 6], dtypes.float32)
  same(t, [5, 6])
  u = Tensor([1., 2.])
  same(u.assign(u), [1, 2])
  same(u.assign(u + u), [2, 4])
  same(u.assign(u.flip(0)), [4, 2])

def test_assign_leaves_recorded_graphs_alone():
  w = W(1, 2)
  y = (w * w).sum()
  w.assign([10, 20])
  assert y.item() == 5
  y.backward()
  same(w.grad, [2, 4])
  z = (w * w).sum()
  z.backward()
  same(w.grad, [22, 44])

def test_assign_in_a_loop_stays_small():
  t = Tensor.zeros(4)
  for _ in range(3000): t.assign(t + 1)
  same(t, [3000] * 4)
  x = y = Tensor.zeros(2)
  for _ in range(50): x = x + y; y.assign(y + 1).realize()
  same(x, [sum(range(50))] * 2)

IN_PLACE = [("+=", 2), ("-=", 2), ("*=", 3), ("/=", 4), ("**=", 2), ("+=", [1., 2.]), ("*=", np.float32([3, 4])), ("-=", "t"),
            ("@=", np.eye(2, dtype=np.float32))]

@pytest.mark.parametrize("op, x", IN_PLACE, ids=str)
def test_in_place_operators(op, x):
  data = np.float32([[1, 2], [3, 4]])
  t = base = Tensor(data)
  before, view, part = t.detach(), t.T, t[0]
  operand = Tensor(data) if isinstance(x, str) else x
  exec(f"t {op} operand", scope := {"t": t, "operand": operand})
  expected = eval(f"data {op[:-1]} np.float32(v)", {"data": data, "np": np, "v": data if isinstance(x, str) else x})
  assert scope["t"] is base
  same(base, expected, dtypes.float32)
  same(before, data)
  same(view, data.T)
  same(part, data[0])

def test_arrays_are_not_shared():
  for x in (np.arange(6, dtype=np.float32), np.arange(6.)[::2], np.arange(6).reshape(2, 3).T, np.ones((600, 600), np.float32)):
    expected = x.copy()
    for t in (Tensor(x), Tensor(x).reshape(-1), Tensor(LazyBuffer.fromCPU(x)), Tensor(x) + 1, Tensor(x, dtype=dtypes.double)):
      value = t.numpy().copy()
      out = t.numpy()
      out[...] = 77
      assert (t.numpy() == value).all()
      x[...] = 55
      assert (t.numpy() == value).all()
      x[...] = expected
      t.lazydata.realized.toCPU()[...] = 3
      assert (t.numpy() == value).all()
  lazy = Tensor(x := np.ones(4, np.float32)) * 3  # nothing is computed when x changes
  x[:] = 9
  same(lazy, [3] * 4)
  scope = np.ones(4, np.float32)
  t = Tensor(scope)
  del scope
  gc.collect()
  same(t, [1] * 4)

def test_setitem_leaves_others_alone():
  t = Tensor(np.arange(6, dtype=np.float32).reshape(2, 3))
  others = [t.detach(), t.reshape(6), t[1], t.T, t + 0, copy.copy(t)]
  values = [o.numpy() for o in others]
  t[1, 1:] = [8, 9]
  same(t, [[0, 1, 2], [3, 8, 9]])
  for o, v in zip(others, values): same(o, v)
  for key, value in (((5, 0), 1), (0, [1, 2]), ((0, 0, 0), 1), (slice(None, None, 0), 1), ("a", 1), (0, "x")):
    with pytest.raises((IndexError, ValueError, RuntimeError)): t[key] = value
    same(t, [[0, 1, 2], [3, 8, 9]])

def test_errors_leave_tensors_unchanged():
  t, w = Tensor([1., 2., 3.]), W(1, 2, 3)
  other = Tensor([1., 2.])
  for fxn in (lambda: t + other, lambda: t @ other, lambda: t.reshape(2), lambda: t.assign(other), lambda: t.expand(4), lambda: t.sum(3),
              lambda: t[5], lambda: t.__iadd__(other), lambda: t.__iadd__(Tensor([[1.], [2.]])), lambda: t.cat(Tensor.ones(1, 1)),
              lambda: t.bitcast(dtypes.half),
              lambda: w.__iadd__(1), lambda: w.backward(), lambda: t.sum().backward(), lambda: w.assign(w * 2), lambda: t.gather(Tensor([7]), 0),
              lambda: Tensor.where(t > 1, t, other), lambda: t.__setitem__(0, w.sum()), lambda: w.__setitem__(0, 1), lambda: t.permute(1),
              lambda: t < other):
    with pytest.raises((AssertionError, RuntimeError, ValueError, IndexError)): fxn()
    same(t, [1, 2, 3])
    same(w, [1, 2, 3])
    assert w.grad is None and w._ctx is None and w.requires_grad and t.grad is None
  (w * t).sum().backward()
  same(w.grad, [1, 2, 3])

def test_arguments_are_checked():
  t = Tensor.ones(4)
  for bad in (lambda: t.chunk(0), lambda: t.chunk(-1), lambda: t.repeat((-1,)), lambda: Tensor.zeros(2, -1), lambda: Tensor.eye(-1),
              lambda: t.stack([])):
    with pytest.raises(ValueError): bad()

def test_device_methods():
  t = W(1, 2)
  t.sum().backward()
  assert t.to(None) is t is t.to("CPU") is t.cpu() and t.to_("GPU") is None and t.device == "CPU"
  other = t.to("GPU")
  assert other is not t and other.device == "CPU" and other.grad is t.grad and other.requires_grad is None
  same(other, [1, 2])
  assert Device.DEFAULT == "CPU" and Device._buffers == ["CPU"]
  for name in (None, "CPU", "GPU:1", 3): assert Device.canonicalize(name) == "CPU"

# *** gradients ***

def test_requires_grad_of_results():
  n, yes, no = Tensor([1.]), W(1), Tensor([1.], requires_grad=False)
  for a, b, expected in ((n, n, None), (n, no, None), (no, no, False), (yes, n, True), (yes, no, True), (yes, yes, True)):
    for x, y in ((a, b), (b, a)):
      for r in (x + y, x * y, x / y, x.maximum(y), Tensor.cat(x, y), (x > 0).where(x, y), x.matmul(y)): assert r.requires_grad is expected, (x, y)
      assert ((x + y)._ctx is not None) == (expected is True)
  for a in (n, yes, no):
    for r in (a + 1, a.relu(), a.sum(), a[0], a.T if a.ndim > 1 else a.reshape(1, 1), a.cast(dtypes.double), -a,
              a * 0): assert r.requires_grad is a.requires_grad
  assert not (yes > 0).requires_grad and not yes.argmax().requires_grad and yes.detach().requires_grad is False
  assert not yes.cast(dtypes.int32).requires_grad
  yes.sum().backward()
  assert yes.grad.requires_grad is False and yes.grad._ctx is None

def test_no_grad():
  w = W(1, 2)
  Tensor.no_grad = True
  y = w * 2
  assert y.requires_grad is False and y._ctx is None
  with pytest.raises(RuntimeError): y.sum().backward()
  w += 1
  w[0] = 7
  Tensor.no_grad = False
  same(w, [7, 3])
  z = (w * y).sum()
  z.backward()
  same(w.grad, [2, 4])
  assert y.grad is None

def test_non_leaf_gradients_and_accumulation():
  x = W(1, 2)
  a = x * 3
  b = a * a
  loss = b.sum()
  assert loss.backward() is loss
  same(loss.grad, 1)
  same(b.grad, [1, 1])
  same(a.grad, [6, 12])
  same(x.grad, [18, 36])
  (x * x).sum().backward()
  same(x.grad, [20, 40])
  kept = x.grad
  x.sum().backward()
  same(kept, [20, 40])
  same(x.grad, [21, 41])
  x.grad = None
  x.sum().backward()
  same(x.grad, [1, 1])
  s = W(2).sum()
  v = Tensor(3., requires_grad=True)
  v.backward()
  same(v.grad, 1)
  for bad in (W(1, 2), W(1)):
    with pytest.raises(AssertionError): bad.backward()
  assert s.grad is None

def test_shared_subgraphs():
  rng = np.random.default_rng(0)
  for _ in range(20):
    x, y = rng.normal(size=(2, 4))
    plan = rng.integers(0, 3, size=(12, 3))
    def run(a, b, plan=plan):
      values = [a, b]
      for op, i, j in plan:
        u, v = values[-1 - i % len(values)], values[-1 - j % len(values)]
        values.append([u + v, u * v * 0.5, (u - v).sigmoid()][op])
      return (values[-1] + values[len(values) // 2]).sum() + a.sum()
    t, p = [Tensor(v, requires_grad=True) for v in (x, y)], [torch.tensor(v, requires_grad=True) for v in (x, y)]
    run(*t).backward()
    run(*p).backward()
    for a, b in zip(t, p):
      if b.grad is None: assert a.grad is None
      else: same(a.grad, b.grad.numpy(), rtol=1e-9)

def test_used_up_graphs():
  x = W(1, 2)
  h = x * 2
  y, z = (h * h).sum(), h.sum()
  y.backward()
  assert not hasattr(y, "_ctx")
  for again in (y, z):
    with pytest.raises(RuntimeError): again.backward()
  same(x.grad, [8, 16])
  same(h.detach() + 1, [3, 5])
  with pytest.raises(RuntimeError): (h + 1).sum().backward()

def test_deepwalk():
  x, n = W(1), Tensor([1.])
  assert x.deepwalk() == [] == (n + 1).deepwalk()
  a = x * n
  b = a.exp()
  c = a + b
  walk = c.deepwalk()
  assert [id(t) for t in walk] == [id(t) for t in (a, b, c)]
  assert [type(t._ctx) for t in walk] == [Mul, Exp, Add]
  y = x
  for _ in range(40): y = y * y  # 2 ** 40 paths
  assert len(y.deepwalk()) == 40

def test_contexts():
  a, b, c = W(1), Tensor([1.]), Tensor([1.], requires_grad=False)
  f = Function("CPU", a, b, c)
  assert f.device == "CPU" and f.needs_input_grad == [True, None, False] and f.requires_grad is True and f.parents == (a, b, c)
  assert Function("CPU", b, c).requires_grad is None and Function("CPU", c).requires_grad is False and not hasattr(Function("CPU", c), "parents")
  with pytest.raises(NotImplementedError): Function("CPU").forward()
  with pytest.raises(RuntimeError, match="backward not implemented for"): Function("CPU").backward()
  with pytest.raises(RuntimeError, match="backward not implemented for"): Less.apply(W(1), W(2)).sum().backward()

class Scaled(Function):
  """x times k; counts its backward calls."""
  calls = 0
  def forward(self, x, k): self.k = k; return x.e(BinaryOps.MUL, x.const(k))
  def backward(self, g): Scaled.calls += 1; return g.e(BinaryOps.MUL, g.const(self.k))

class First(Function):
  """x + y + z, with a gradient of x alone."""
  def forward(self, x, y, z): return x.e(BinaryOps.ADD, y).e(BinaryOps.ADD, z)
  def backward(self, g): return g, None, None

class Wrong(Function):
  """A gradient of the wrong shape."""
  def forward(self, x): return x
  def backward(self, g): return g.reshape((1, *g.shape))

def test_custom_functions():
  x = W(1, 2)
  y = Scaled.apply(x, k=5)
  same(y, [5, 10])
  (y + y).sum().backward()
  same(x.grad, [10, 10])
  assert Scaled.calls == 1
  x, y, z = W(1), W(2), W(3)
  First.apply(x, y, z).sum().backward()
  same(x.grad, [1])
  assert y.grad is None and z.grad is None
  with pytest.raises(AssertionError): Wrong.apply(W(1, 2)).sum().backward()
  assert Scaled.apply(Tensor([1.]), k=2).requires_grad is None and Scaled.apply(Tensor([1.], requires_grad=False), k=2).requires_grad is False
  x = W(1, 2)
  a, b = x * 2, x * 3  # nothing reaches b, nor x through it
  First.apply(a, b, b).sum().backward()
  same(x.grad, [2, 2])
  assert b.grad is None

@pytest.mark.parametrize("step", [lambda y, x: y + 1, lambda y, x: y * 1.0001 + x, lambda y, x: y.relu()], ids=["add", "mul", "relu"])
def test_deep_graphs(step):
  x = W(1, 2)
  y = x
  for _ in range(20000): y = step(y, x)
  y.sum().backward()
  assert np.isfinite(x.grad.numpy()).all() and np.isfinite(y.numpy()).all()

def test_a_graph_of_100000_operations():
  x = W(1, 2)
  y = x
  for _ in range(100000): y = y + 1
  loss = y.sum()
  loss.backward()
  same(x.grad, [1, 1])
  same(y, [100001, 100002])
  y = x
  for _ in range(100000): y = y + 1
  del y  # neither read nor differentiated
  gc.collect()

def test_graphs_are_freed():
  def run():
    w = Tensor.ones(64, 64, requires_grad=True)
    x = w
    for _ in range(5): x = (x @ w).relu() * 0.01
    x.sum().backward()
    w.grad.numpy()
  run()
  gc.collect()
  before = _engine.memory()
  for _ in range(10): run()
  gc.collect()
  after = _engine.memory()
  assert after["objects"] == before["objects"] and after["blocks"] == before["blocks"] and after["block_bytes"] == before["block_bytes"]

@pytest.mark.threads
def test_gradients_in_threads():
  out = [None] * 4
  def run(i):
    x = Tensor(np.full((20, 20), i + 1, np.float32), requires_grad=True)
    for _ in range(5): (x @ x).sum().backward()
    out[i] = x.grad.numpy()
  threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
  for t in threads: t.start()
  for t in threads: t.join()
  for i, g in enumerate(out): assert (g == 5 * 40 * (i + 1)).all()

# *** copies ***

@pytest.mark.parametrize("clone", [lambda t: pickle.loads(pickle.dumps(t)), copy.deepcopy, copy.copy,
                                   *(lambda t, p=p: pickle.loads(pickle.dumps(t, p)) for p in (2, 5))],
                         ids=["pickle", "deepcopy", "copy", "protocol2", "protocol5"])
def test_clones(clone):
  rng = np.random.default_rng(0)
  for dtype in helpers.DTYPES_DICT.values():
    for shape in ((), (3,), (2, 0), (2, 3)):
      t = Tensor(rng.integers(0, 2, shape), dtype=dtype)
      c = clone(t)
      assert c is not t and (c.dtype, c.shape, c.requires_grad) == (t.dtype, t.shape, t.requires_grad) and (c.numpy() == t.numpy()).all()
  for t in (Tensor(np.arange(6).reshape(2, 3)).T, Tensor.ones(3).expand(2, 3), Tensor.rand(3) + 1, W(1, 2), Tensor([math.nan, -0.0])):
    c = clone(t)
    assert c.numpy().tobytes() == t.numpy().tobytes() and c.requires_grad is t.requires_grad
    c.assign(c.detach() * 2)
    assert (c.numpy() != t.numpy()).any() or not t.numpy()[-1].any()
  w = W(1, 2)
  w.sum().backward()
  same(clone(w).grad, [1, 1])

def test_clones_keep_sharing():
  w = W(1, 2)
  a, b = copy.deepcopy([w, w])
  assert a is b and a is not w
  first, (second, result) = pickle.loads(pickle.dumps((w, (w, (w * w).sum()))))
  assert first is second
  same(result, 5)

# *** casts ***

def test_casts():
  t = Tensor([1.5, -2.5])
  assert t.cast(dtypes.float32) is t is t.float() is t.bitcast(dtypes.float32)
  same(t.half(), [1.5, -2.5], dtypes.half)
  same(t.half().float(), [1.5, -2.5], dtypes.float32)
  w = W(1, 2)
  (w.double() if hasattr(w, "double") else w.cast(dtypes.double)).sum().backward()
  same(w.grad, [1, 1], dtypes.float32)
  c = t.contiguous()
  assert c is not t and t.contiguous_backward() is not t
  same(c.contiguous_backward(), [1.5, -2.5])

# *** helpers ***

def test_small_helpers():
  assert prod(()) == 1 and prod([2, 3]) == 6 and prod(iter((2, 0.5))) == 1.0
  assert dedup([3, 1, 3, 2, 1]) == [3, 1, 2] and dedup([]) == [] and dedup([1, 1.0, True]) == [1]
  a = np.zeros(2)
  assert argfix() == () and argfix(1, 2) == (1, 2) and argfix([1, 2]) == (1, 2) == argfix((1, 2), 3) and argfix(()) == () and argfix(a)[0] is a
  assert argfix("ab") == ("ab",) and argfix(None) == (None,)
  assert make_pair(3) == (3, 3) and make_pair(3, 3) == (3, 3, 3) and make_pair((1, 2)) == (1, 2) and make_pair([1, 2]) == [1, 2]
  assert make_pair(True) == (True, True)
  assert flatten([[1], (2, 3), []]) == [1, 2, 3] and flatten([]) == [] and flatten([[[1]]]) == [[1]]
  assert argsort((3, 1, 2)) == (1, 2, 0) and argsort([1, 0, 1, 0]) == [1, 3, 0, 2] and argsort(()) == ()
  assert all_int(()) and all_int((1, True)) and not all_int((1, 2.0)) and not all_int((np.int64(1),))
  assert [round_up(n, 4) for n in (0, 1, 4, 5, -3)] == [0, 4, 4, 8, 0]
  assert helpers.OSX is (sys.platform == "darwin") and helpers.IMAGE == 0 and helpers.ImageDType is None is helpers.PtrDType

def test_getenv(monkeypatch):
  for key, text, default, expected in (("TG_A", "3", 0, 3), ("TG_B", "x", "", "x"), ("TG_C", "0", False, True), ("TG_D", "", True, False),
                                       ("TG_E", "2.5", 1.0, 2.5), ("TG_F", None, 7, 7), ("TG_G", None, "no", "no"), ("TG_H", "-4", 0, -4)):
    if text is not None: monkeypatch.setenv(key, text)
    value = getenv(key, default)
    assert value == expected and type(value) is type(expected)
    monkeypatch.setenv(key, "99")
    assert getenv(key, default) == expected  # remembered
  assert getenv("TG_A", "") == "99"  # by key and default
  for text in ("abc", "", "1.5"):
    monkeypatch.setenv("TG_" + (text or "empty"), text)
    with pytest.raises(ValueError): getenv("TG_" + (text or "empty"))

def test_environment_at_import():
  script = "from teenygrad.helpers import CI, DEBUG; from teenygrad import Tensor; print(CI, DEBUG, Tensor.training, (Tensor([1.]) + 1).numpy())"
  root = os.path.dirname(os.path.dirname(teenygrad.__file__))
  for env, expected in (({}, "False 0 False [2.]"), ({"CI": "0", "DEBUG": "2"}, "True 2 False [2.]"), ({"CI": ""}, "False 0 False [2.]"),
                        ({"WINO": "1"}, "False 0 False [2.]")):
    clean = {k: v for k, v in os.environ.items() if k not in ("CI", "DEBUG")}
    out = subprocess.run([sys.executable, "-c", script], env={**clean, "PYTHONPATH": root, **env}, capture_output=True, text=True, check=True)
    assert out.stdout.splitlines()[-1] == expected

@pytest.mark.parametrize("name, bad, good", [("DEBUG", ("yes", "-1", "1.5", "9" * 30), "0"), ("TEENYGRAD_THREADS", ("0", "-1", "two", "100000"), "1"),
                                             ("TEENYGRAD_PENDING", ("many", "-1", "1e3"), "0"), ("TEENYGRAD_ISA", ("AVX2", "sse"), "base")])
def test_settings(name, bad, good):
  """An empty variable is one that is not set, a bad value is named by a warning and ignored."""
  script = ("from teenygrad import Tensor, _engine, helpers\n"
            "print(helpers.DEBUG, _engine.info(), _engine.set_pending(0, 0), (Tensor([1.]) + 1).item())")
  root = os.path.dirname(os.path.dirname(teenygrad.__file__))
  def run(value):
    env = {**{k: v for k, v in os.environ.items() if k != name and k != "DEBUG"}, "PYTHONPATH": root}
    if value is not None: env[name] = value
    return subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
  unset = run(None)
  assert not unset.stderr
  for value in ("", good):
    done = run(value)
    assert not done.stderr and (done.stdout == unset.stdout or value)
  for value in bad:
    done = run(value)
    assert f"RuntimeWarning: {name}='{value}' is ignored" in done.stderr and done.stdout == unset.stdout

@pytest.mark.parametrize("stdout", ["None", "open(os.devnull, 'w')", "Broken()", "object()"])
def test_debug_lines_without_a_stdout(stdout):
  """What can't be printed changes nothing."""
  script = ("import sys, os\nfrom teenygrad import Tensor\nclass Broken:\n  def write(self, text): raise OSError('full')\n"
            f"keep, sys.stdout = sys.stdout, {stdout}\nif isinstance(sys.stdout, type(keep)): sys.stdout.close()\n"
            "x = (Tensor([1.]) + 1).item()\nsys.stdout = keep\nassert x == 2")
  root = os.path.dirname(os.path.dirname(teenygrad.__file__))
  done = subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": root, "DEBUG": "4"}, capture_output=True, text=True)
  assert done.returncode == 0 and not done.stderr

def test_exports():
  import teenygrad.mlops, teenygrad.nn.optim, teenygrad.shape.symbolic, teenygrad.tensor
  for name in ("Contiguous ContiguousBackward Cast Zero Neg Sin Relu Log Exp Sqrt Sigmoid Less Add Sub Mul Div Where Sum Max Expand Reshape "
               "Permute Pad Shrink Flip").split():
    assert issubclass(getattr(teenygrad.mlops, name), Function) and getattr(teenygrad.mlops, name).__doc__
  assert teenygrad.tensor.dtypes is dtypes and teenygrad.tensor.mlops is teenygrad.mlops and teenygrad.shape.symbolic.sint is int
  assert {"Optimizer", "SGD", "Adam", "AdamW", "LAMB", "Tensor", "dedup"} <= set(vars(teenygrad.nn.optim))
  script = "import sys, teenygrad; print('teenygrad.nn.optim' in sys.modules, 'teenygrad.shape.symbolic' in sys.modules)"
  root = os.path.dirname(os.path.dirname(teenygrad.__file__))
  out = subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True, check=True)
  assert out.stdout.split() == ["False", "True"]

ENUMS = {UnaryOps: "NOOP EXP2 LOG2 CAST SIN SQRT RECIP NEG", BinaryOps: "ADD SUB MUL DIV MAX MOD CMPLT", ReduceOps: "SUM MAX",
         TernaryOps: "MULACC WHERE", MovementOps: "RESHAPE PERMUTE EXPAND PAD SHRINK STRIDE",
         LoadOps: "EMPTY RAND CONST FROM CONTIGUOUS CUSTOM"}

@pytest.mark.parametrize("enum, names", ENUMS.items(), ids=lambda x: getattr(x, "__name__", ""))
def test_enums(enum, names):
  assert [m.name for m in enum] == names.split() and [m.value for m in enum] == list(range(1, len(names.split()) + 1))
  for m in enum:
    assert enum[m.name] is m is enum(m.value) is pickle.loads(pickle.dumps(m)) and str(m) == f"{enum.__name__}.{m.name}" and m != m.value
    assert len({m, m}) == 1
    assert all(m != n for other in ENUMS for n in other if other is not enum)
  with pytest.raises(TypeError): sorted(enum)

def test_messages_name_shapes():
  t = Tensor.ones(2, 3)
  for fxn, words in ((lambda: t + Tensor.ones(2, 2), ["(2, 3)", "(2, 2)"]), (lambda: t @ t, ["(2, 3)"]), (lambda: t.reshape(4), ["(2, 3)"]),
                     (lambda: t.item(), ["(2, 3)"]), (lambda: Tensor({1}), ["{1}", "set"]), (lambda: t.backward(), ["(2, 3)"]),
                     (lambda: t.assign([1]), ["(2, 3)", "(1,)"])):
    with pytest.raises((ValueError, AssertionError, RuntimeError)) as e: fxn()
    assert all(word in str(e.value) for word in words), str(e.value)

# *** the rest ***

def test_no_warnings():
  with warnings.catch_warnings(), np.errstate(all="raise"):
    warnings.simplefilter("error")
    x = Tensor([0., -1., 1e38, math.inf, math.nan])
    for t in (1 / x, x.log(), x.sqrt(), x * 1e38, x - x, x ** 0.5, x.exp(), x.half(), x.cast(dtypes.int32), x.sin(), x.softmax(), x.std(),
              x.argmax()): t.numpy()
    Tensor([1e39, 1e-60]).numpy(), Tensor([70000.], dtype=dtypes.half).numpy(), Tensor(1e39).numpy(), repr(x), Tensor([]).mean().numpy()

def test_empty_operands():
  t = Tensor([1., 2.])
  for bad in (lambda: t + [], lambda: [] + t, lambda: t * np.zeros(0)):
    with pytest.raises(ValueError): bad()
  same(t + np.array([0.]), [1, 2], dtypes.double)
  same(t + [0.], [1, 2], dtypes.float32)
  same(Tensor([1.]) + [], np.zeros(0))

def test_documented_differences_have_tests():
  here = os.path.dirname(__file__)
  def read(*path):
    with open(os.path.join(here, *path), encoding="utf-8") as f: return f.read()
  rows = [line for line in read("..", "docs", "differences.md").splitlines() if line.startswith("| ") and not line.startswith(("| **", "| example"))]
  assert len(rows) > 60
  for row in rows:
    names = re.findall(r"`([^`]*)`", row.rstrip(" |").rsplit(" | ", 1)[1])
    assert names and row.count(" | ") == 3, row
    for name in names:
      file, test = name.split(": ") if ": " in name else ("test_differences.py", name)
      assert f"\ndef test_{test}(" in read(file), row

def test_einsum_makes_a_new_tensor():
  x = Tensor([[1., 2.]])
  y = Tensor.einsum("ij->ij", x)
  y += 1
  assert x.numpy().tolist() == [[1, 2]] and y.numpy().tolist() == [[2, 3]]

def test_einsum_takes_arrays_and_its_subscripts_first():
  x = Tensor([[1., 2.], [3., 4.]])
  np.testing.assert_array_equal(Tensor.einsum("ij,j->i", x, np.array([1, 10], np.float32)).numpy(), [21, 43])
  np.testing.assert_array_equal(Tensor.einsum("ij,j->i", [x, [1., 10.]]).numpy(), [21, 43])
  with pytest.raises(TypeError, match="subscripts first"): Tensor.einsum(x, "ij->ji")
  with pytest.raises(TypeError, match="an operand of einsum must be a Tensor, not 3"): Tensor.einsum("i,->i", x[0], 3)

def test_einsum_stores_no_broadcast_product():
  """A kernel for each contraction, the operands in any order; the smaller result comes first."""
  a, b = Tensor.rand(4, 30, 5, 16).realize(), Tensor.rand(4, 40, 5, 16).realize()
  for formula in ("bqhd,bkhd->bhqk", "bqhd,bkhd->kqbh"):
    assert [item.kind for item in Tensor.einsum(formula, a, b).lazydata.schedule()] == ["CONTRACT"]
  x, y, z = Tensor.rand(50, 60).realize(), Tensor.rand(60, 70).realize(), Tensor.rand(70, 2).realize()
  items = Tensor.einsum("ij,jk,kl->il", x, y, z).lazydata.schedule()
  assert [(item.kind, math.prod(item.shape), item.reduced) for item in items] == [("CONTRACT", 120, (70,)), ("CONTRACT", 100, (60,))]

@pytest.mark.parametrize("of", [np.array, np.int64, lambda i: Tensor(np.array(i))])
def test_one_integer_without_axes_is_an_int(of):
  """As in PyTorch; for NumPy an array without axes is one more array, whose place the others' axes depend on."""
  x = np.arange(24).reshape(2, 3, 4)
  for key in (lambda i: (i(1), slice(None), [0, 1]), lambda i: ([0, 1], slice(None), i(-2)), lambda i: (i(-1),), lambda i: (i(0), None, i(1))):
    t, theirs = Tensor(x), torch.tensor(x)
    np.testing.assert_array_equal(t[key(of)].numpy(), theirs[key(torch.tensor)].numpy())
    t[key(of)] = theirs[key(torch.tensor)] = 50
    np.testing.assert_array_equal(t.numpy(), theirs.numpy())
  with pytest.raises(IndexError, match="index 2 is out of range for an axis of size 2"): Tensor(x)[of(2)]

@pytest.mark.parametrize("many", [1, 9])
def test_cat_of_several_dtypes(many):
  """Each goes to the common dtype by itself: -1 is no uint64."""
  parts = [np.array([-1, 2], np.int8), np.array([2**63], np.uint64), np.array([0.5])] * many
  np.testing.assert_array_equal(Tensor.cat(*map(Tensor, parts)).numpy(), np.concatenate([p.astype(np.float64) for p in parts]))
