"""The optimisers beside PyTorch's, and beside the formulas in NumPy where PyTorch has none (LAMB)."""
import gc, math
import numpy as np
import pytest
import torch
from teenygrad import Tensor, _engine
from teenygrad.helpers import dtypes
from teenygrad.nn.optim import LAMB, SGD, Adam, AdamW, Optimizer

SHAPES = [(), (1,), (3,), (4, 3), (2, 1, 3), (0, 2)]
T = torch.optim

def start(dtype=np.float64, seed=0):
  rng = np.random.default_rng(seed)
  return [rng.normal(size=s).astype(dtype) for s in SHAPES]

def loss(ps):
  """Each parameter has a gradient of its own size; some are 0 at times."""
  return sum((((p * p * (i + 1) * 0.3).sum() + (p * 3).sin().sum() + (p.relu() if isinstance(p, Tensor) else torch.relu(p)).sum()) for i,
              p in enumerate(ps)))

def run(opt, ps, steps, change=None):
  for i in range(steps):
    if change: change(opt, i)
    opt.zero_grad()
    loss(ps).backward()
    opt.step()

def close(ours, theirs, tol=1e-10):
  for a, b in zip(ours, theirs):
    b = b.detach().numpy() if isinstance(b, torch.Tensor) else b
    assert a.shape == b.shape
    np.testing.assert_allclose(a.numpy(), b, rtol=tol, atol=tol)

def compare(make, torch_make, steps=30, dtype=np.float64, tol=None):
  ours, theirs = [Tensor(x, requires_grad=True) for x in start(dtype)], [torch.tensor(x, requires_grad=True) for x in start(dtype)]
  run(make(ours), ours, steps)
  run(torch_make(theirs), theirs, steps)
  close(ours, theirs, tol or (2e-6 if dtype == np.float64 else 2e-4))  # lr and the corrections are float32

# *** beside PyTorch ***

SGDS = [dict(lr=lr, momentum=m, weight_decay=wd, nesterov=n) for lr in (0.001, 0.1) for wd in (0.0, 0.1) for m,
        n in ((0.0, False), (0.9, False), (0.9, True))]

@pytest.mark.parametrize("kw", SGDS, ids=lambda kw: "-".join(map(str, kw.values())))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sgd(kw, dtype):
  compare(lambda p: SGD(p, **kw), lambda p: T.SGD(p, **kw), dtype=dtype)

@pytest.mark.parametrize("lr", [0.001, 0.1, 10.0])
@pytest.mark.parametrize("b1, b2", [(0.9, 0.999), (0.5, 0.7), (0.0, 0.99)])
@pytest.mark.parametrize("eps", [1e-8, 1e-3])
def test_adam(lr, b1, b2, eps):
  compare(lambda p: Adam(p, lr, b1, b2, eps), lambda p: T.Adam(p, lr, (b1, b2), eps), steps=2 if lr > 1 else 30, tol=1e-5)

@pytest.mark.parametrize("wd", [0.0, 0.01, 0.5])
def test_adamw(wd):
  compare(lambda p: AdamW(p, 0.01, wd=wd), lambda p: T.AdamW(p, 0.01, weight_decay=wd), tol=1e-5)
  compare(lambda p: AdamW(p), lambda p: T.AdamW(p, weight_decay=0.01), tol=1e-5)

def test_many_steps():
  compare(lambda p: Adam(p, 0.003), lambda p: T.Adam(p, 0.003), steps=300, dtype=np.float32, tol=1e-3)
  compare(lambda p: SGD(p, 0.01, momentum=0.9, nesterov=True), lambda p: T.SGD(p, 0.01, 0.9, nesterov=True), steps=300, dtype=np.float32, tol=1e-4)

def test_defaults():
  compare(SGD, lambda p: T.SGD(p, 0.001))
  compare(Adam, T.Adam, tol=1e-5)

# *** LAMB by its formula ***

def lamb(ps, gradients, steps, lr, b1, b2, eps, wd, adam):
  ps, ms, vs = [p.copy() for p in ps], [0 * p for p in ps], [0 * p for p in ps]
  for t in range(1, steps + 1):
    for i, g in enumerate(gradients(ps)):
      ms[i] = b1 * ms[i] + (1 - b1) * g
      vs[i] = b2 * vs[i] + (1 - b2) * g * g
      u = ms[i] / (1 - b1 ** t) / (np.sqrt(vs[i] / (1 - b2 ** t)) + eps) + wd * ps[i]
      norm, size = np.sqrt((ps[i] ** 2).sum()), np.sqrt((u ** 2).sum())
      ps[i] = ps[i] - lr * (1 if adam or not norm or not size else norm / size) * u
  return ps

def gradients(ps):
  ts = [torch.tensor(p, requires_grad=True) for p in ps]
  loss(ts).backward()
  return [t.grad.numpy() for t in ts]

@pytest.mark.parametrize("kw", [dict(), dict(lr=0.1), dict(lr=0.01, b1=0.5, b2=0.9, eps=1e-3), dict(lr=0.01, wd=0.1),
                                dict(lr=0.01, wd=0.1, adam=True)], ids=str)
def test_lamb(kw):
  full = {"lr": 0.001, "b1": 0.9, "b2": 0.999, "eps": 1e-6, "wd": 0.0, "adam": False, **kw}
  ours = [Tensor(x, requires_grad=True) for x in start()]
  run(LAMB(ours, **kw), ours, 20)
  close(ours, lamb(start(), gradients, 20, **full), 1e-5)

def test_lamb_with_a_norm_of_zero():
  w, z = Tensor.zeros(3, requires_grad=True), Tensor.ones(3, requires_grad=True)
  opt = LAMB([w, z], lr=0.1)
  (w * Tensor([1., 2., -3.]) + z * 0).sum().backward()
  opt.step()
  np.testing.assert_allclose(w.numpy(), [-0.1, -0.1, 0.1], rtol=1e-4)
  assert z.numpy().tolist() == [1, 1, 1]

# *** dtypes ***

MAKERS = {"sgd": (SGD, lambda p: T.SGD(p, 0.001)),
          "nesterov": (lambda p: SGD(p, 0.1, 0.9, 0.1, True), lambda p: T.SGD(p, 0.1, 0.9, weight_decay=0.1, nesterov=True)),
          "adam": (lambda p: Adam(p, 0.1), lambda p: T.Adam(p, 0.1)), "adamw": (lambda p: AdamW(p, 0.1), lambda p: T.AdamW(p, 0.1))}
makers = pytest.mark.parametrize("make, torch_make", MAKERS.values(), ids=MAKERS)

@makers
def test_half_parameters(make, torch_make):
  w = [Tensor(x, requires_grad=True) for x in start(np.float16)]
  wide = [torch.tensor(x.astype(np.float64), requires_grad=True) for x in start(np.float16)]
  opt = make(w)
  run(opt, w, 5)
  run(torch_make(wide), wide, 5)
  close(w, wide, 2e-2)
  state = getattr(opt, "b", None) or getattr(opt, "m", [])
  assert all(p.dtype == dtypes.half == p.grad.dtype for p in w) and all(s.dtype == dtypes.float32 for s in state)

@makers
def test_mixed_dtypes(make, torch_make):
  kinds = [np.float64, np.float32, np.float16, np.float64, np.float32, np.float64]
  data = [x.astype(k) for x, k in zip(start(), kinds)]
  ours, theirs = [Tensor(x, requires_grad=True) for x in data], [torch.tensor(x, requires_grad=True) for x in data]
  run(make(ours), ours, 5)
  run(torch_make(theirs), theirs, 5)
  assert [p.numpy().dtype.type for p in ours] == kinds
  for p, q, k in zip(ours, theirs, kinds): close([p], [q], 2e-2 if k == np.float16 else 1e-4)

def test_bfloat16_parameters():
  w = Tensor([1., 2.], dtype=dtypes.bfloat16)
  opt = SGD([w], 0.25)
  (w * w).sum().backward()
  opt.step()
  assert w.dtype == dtypes.bfloat16 and w.numpy().tolist() == [0.5, 1.0]

# *** the objects ***

@makers
def test_parameters_stay_the_same_objects(make, torch_make):
  w = [Tensor(x, requires_grad=True) for x in start()]
  keep, old = list(w), [p.detach() for p in w]
  opt = make(w)
  run(opt, w, 2)
  assert all(a is b for a, b in zip(w, keep)) and all(a is b for a, b in zip(opt.params, keep))
  for p in w: assert p.requires_grad is True and p._ctx is None and p.grad is not None and p.grad.shape == p.shape and p.lazydata.computed
  close(old, start())
  opt.zero_grad()
  assert all(p.grad is None for p in w)

@pytest.mark.parametrize("make", [SGD, Adam, AdamW, LAMB, lambda p: SGD(p, momentum=0.9)])
def test_repeats_and_buffers(make):
  once, twice = Tensor.ones(3), Tensor.ones(3)
  buffer = Tensor([5., 6.], requires_grad=False)
  a, b = make([once]), make([twice, buffer, twice, buffer, twice])
  for opt, w in ((a, once), (b, twice)):
    for _ in range(3):
      opt.zero_grad()
      (w * w).sum().backward()
      opt.step()
  assert once.numpy().tolist() == twice.numpy().tolist() and len(b.params) == 1 == len(b.buffers) and b.buffers[0] is buffer
  assert buffer.numpy().tolist() == [5, 6] and buffer.requires_grad is False and once.requires_grad is True

def test_attributes():
  w = [Tensor.ones(2, 3), Tensor.ones(4)]
  for opt in (Optimizer(w, 0.1), SGD(w, 0.1), Adam(w, 0.1)):
    assert opt.lr.shape == (1,) and opt.lr.dtype == dtypes.float32 and opt.lr.item() == np.float32(0.1)
    assert opt.lr.requires_grad is False and opt.device == "CPU"
  opt = SGD(w, momentum=0.5, weight_decay=0.25, nesterov=True)
  assert (opt.momentum, opt.wd, opt.nesterov) == (0.5, 0.25, True) and [b.shape for b in opt.b] == [(2, 3), (4,)] and SGD(w).b == []
  opt = LAMB(w)
  assert (opt.b1, opt.b2, opt.eps, opt.wd, opt.adam) == (0.9, 0.999, 1e-6, 0.0, False)
  opt = Adam(w)
  assert (opt.b1, opt.b2, opt.eps, opt.wd, opt.adam) == (0.9, 0.999, 1e-8, 0.0, True) and isinstance(opt, LAMB) and isinstance(opt, Optimizer)
  assert AdamW(w).wd == 0.01 and AdamW(w).adam is True
  assert opt.t.shape == (1,) and opt.t.item() == 0 and [s.shape for s in opt.m + opt.v] == [(2, 3), (4,)] * 2
  assert not any(s.numpy().any() for s in opt.m + opt.v)
  for n in (1, 2, 3):
    opt.zero_grad()
    sum(p.sum() for p in w).backward()
    assert opt.step() is None and opt.t.item() == n
  np.testing.assert_allclose(opt.m[0].numpy(), 1 - 0.9 ** 3, rtol=1e-6)
  np.testing.assert_allclose(opt.v[1].numpy(), 1 - 0.999 ** 3, rtol=1e-5)
  extra = Tensor.rand(2)
  assert opt.realize([extra]) is None and extra.lazydata.computed and opt.realize() is None

@makers
def test_learning_rate_may_change(make, torch_make):
  rates = [0.1, 0.1, 0.01, 0.5, 0.2, 0.0]
  ours, theirs = [Tensor(x, requires_grad=True) for x in start()], [torch.tensor(x, requires_grad=True) for x in start()]
  def change(opt, i):
    kind = i % 4
    if kind == 0: opt.lr = rates[i]
    elif kind == 1: opt.lr = Tensor([rates[i]], requires_grad=False)
    elif kind == 2: opt.lr.assign([rates[i]])
    else: opt.lr = Tensor(rates[i])
  def torch_change(opt, i):
    for group in opt.param_groups: group["lr"] = rates[i]
  run(make(ours), ours, 6, lambda opt, i: (setattr(opt, "lr", Tensor([0.])) if i % 4 == 2 else None, change(opt, i)))
  run(torch_make(theirs), theirs, 6, torch_change)
  close(ours, theirs, 1e-5)

@pytest.mark.parametrize("make", [SGD, Adam, LAMB, lambda p: SGD(p, momentum=0.9)])
def test_refuses(make):
  for bad in ([], [Tensor.ones(2, requires_grad=False)]):
    with pytest.raises(AssertionError): make(bad)
  with pytest.raises(TypeError): make([Tensor([1], dtype=dtypes.int32)])
  a, b = Tensor.ones(2), Tensor.ones(2)
  opt = make([a, b])
  a.sum().backward()
  with pytest.raises(AssertionError): opt.step()
  assert a.numpy().tolist() == b.numpy().tolist() == [1, 1]  # nothing has happened
  b.sum().backward()
  opt.step()
  assert (a.numpy() < 1).all() and (b.numpy() < 1).all()

def test_gradients_accumulate_until_zero_grad():
  w = Tensor([1.], requires_grad=True)
  opt = SGD([w], 0.1)
  for _ in range(3): (w * 2).sum().backward()
  opt.step()
  np.testing.assert_allclose(w.numpy(), [0.4], rtol=1e-6)
  assert w.grad.item() == 6

@pytest.mark.parametrize("forget", [True, False])
@pytest.mark.parametrize("make", [SGD, Adam, LAMB, lambda p: SGD(p, momentum=0.9, nesterov=True)])
def test_memory_does_not_grow(make, forget):
  """Neither with gradients of several batches, nor with those that are never forgotten."""
  w = Tensor.ones(64, 64, requires_grad=True)
  x = Tensor(np.eye(64, dtype=np.float32))
  opt = make([w])
  def step():
    if forget: opt.zero_grad()
    for _ in range(3): ((x @ w).relu() ** 2).mean().backward()
    opt.step()
  for _ in range(3): step()
  gc.collect()
  before = _engine.memory()
  for _ in range(40): step()
  gc.collect()
  after = _engine.memory()
  assert after["objects"] == before["objects"] and after["blocks"] == before["blocks"] and after["block_bytes"] == before["block_bytes"]

def test_weight_decay_alone():
  w = Tensor([2.], requires_grad=True)
  opt = SGD([w], 0.5, weight_decay=0.5)
  (w * 0).sum().backward()
  opt.step()
  assert w.item() == 1.5
  v = Tensor([2.], requires_grad=True)
  opt = AdamW([v], 0.5, wd=0.5)
  (v * 0).sum().backward()
  opt.step()
  assert v.item() == 1.5

def test_a_fit():
  rng = np.random.default_rng(0)
  x = rng.normal(size=(200, 5)).astype(np.float32)
  true = rng.normal(size=5).astype(np.float32)
  w, b = Tensor.zeros(5), Tensor(0.)
  opt = Adam([w, b], 0.05)
  losses = []
  for _ in range(300):
    opt.zero_grad()
    l = (Tensor(x) @ w + b - Tensor(x @ true + 3)).square().mean().backward()
    opt.step()
    losses.append(l.item())
  assert losses[-1] < 1e-4 < losses[0] and math.isfinite(losses[-1])
  np.testing.assert_allclose(w.numpy(), true, atol=1e-2)
  np.testing.assert_allclose(b.numpy(), 3, atol=1e-2)
