"""Each operation of ops_table against PyTorch: values, shapes, dtypes, gradients and errors; the gradients against differences, too."""
import itertools, zlib

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from ops_table import A, FLOATS, I, OPS, TORCH, UNSIGNED
from teenygrad import Tensor
from teenygrad.helpers import dtypes

pytestmark = pytest.mark.filterwarnings("ignore:std")  # PyTorch's, for more corrections than elements
OURS = {t: d for d, t in TORCH.items()}
# The largest error of types of 2 bytes: their sums are float32's, so that long ones are as good as short ones; but each step of a gradient rounds.
HALF = 8
PRECISION = {dtypes.float64: 2.0**-52, dtypes.float32: 2.0**-23, dtypes.float16: 2.0**-10, dtypes.bfloat16: 2.0**-7}
# How an operand may lie in memory: an array, and the view, of a Tensor of ours and of PyTorch's alike, that makes of it what the operand is to be.
LAYOUTS = {"plain": (lambda a: a, lambda x: x), "permuted": (lambda a: a.T.copy(), lambda x: x.permute(tuple(range(x.ndim))[::-1])),
           "flipped": (lambda a: np.flip(a).copy(), lambda x: x.flip(tuple(range(x.ndim)))),
           "strided": (lambda a: np.repeat(a, 2, -1) if a.ndim else a, lambda x: x[..., ::2] if x.ndim else x),
           "expanded": (lambda a: a[None], lambda x: x.expand(2, *x.shape[1:])[1]), "computed": (lambda a: a, lambda x: x * 1)}

def rows(cases):
  """Parameters op and case: each row with each of cases(row)."""
  found = [(op, i, c) for op in OPS for i, c in enumerate(cases(op))]
  return pytest.mark.parametrize("op,case", [pytest.param(op, c, id=f"{op.name}-{getattr(c, 'name', i)}") for op, i, c in found])
def each_row(keep): return pytest.mark.parametrize("op", [pytest.param(op, id=op.name) for op in OPS if keep(op)])

def is_number(a):
  """Whether a is an operand of the tested dtype, and not of indices or a mask."""
  return isinstance(a, A) or isinstance(a, np.ndarray) and a.dtype.kind == "f"
def is_random(sample): return not any(is_number(a) and not isinstance(a, A) for a in sample.args)

def arrays(op, sample, dtype):
  """The sample's arguments, operands as arrays: float64 rounded to the dtype if it is a float, else int64."""
  rng = np.random.default_rng(zlib.crc32(repr((op.name, sample)).encode()))
  def rounded(x):
    if dtype in FLOATS: return torch.tensor(np.array(x)).to(TORCH[dtype]).double().numpy()
    if dtype == dtypes.bool: return np.array(x > sum(op.domain) / 2, np.int64)
    return np.array(np.round(abs(x) if dtype in UNSIGNED else x), np.int64)
  values = [a.values(op, rng) if isinstance(a, (A, I)) else a for a in sample.args]
  return [rounded(x) if is_number(a) else x for a, x in zip(sample.args, values)]

def tensor(array, dtype, requires_grad=None):
  x = Tensor(np.asarray(array).astype(dtype.np)) if dtype.np else Tensor(np.asarray(array).astype(np.float32)).cast(dtype)
  return Tensor(x.lazydata, requires_grad=requires_grad and dtype in FLOATS)

def several(x): return list(x) if isinstance(x, (list, tuple)) else [x]

def run(op, sample, args, dtype, layout="plain"):
  """The results of our function, and the arguments with leaves for operands. A function without operands is told the dtype."""
  inverse, view = LAYOUTS[layout]
  leaves = [tensor(inverse(x), dtype, True) if is_number(a) else Tensor(x) if isinstance(x, np.ndarray) else x for a, x in zip(sample.args, args)]
  made = {"dtype": dtype} if op.dtypes and not sample.error and not any(isinstance(x, Tensor) for x in leaves) else {}
  return several(op.fxn(*[view(x) if is_number(a) else x for a, x in zip(sample.args, leaves)], **made, **sample.kw)), leaves

def reference(op, sample, args, dtype, layout="plain", requires_grad=False):
  """The same of PyTorch's, whose dtype it is."""
  inverse, view = LAYOUTS[layout]
  leaves = [torch.tensor(inverse(x)).to(dtype) if is_number(a) else torch.tensor(x) if isinstance(x, np.ndarray) else x
            for a, x in zip(sample.args, args)]
  for a, x in zip(sample.args, leaves):
    if is_number(a): x.requires_grad_(requires_grad)
  made = {"dtype": dtype} if op.dtypes and not any(isinstance(x, torch.Tensor) for x in leaves) else {}
  return several(op.ref(*[view(x) if is_number(a) else x for a, x in zip(sample.args, leaves)], **made, **sample.kw)), leaves

def expected(op, sample, args, dtype, layout="plain"):
  """PyTorch's results of float64 or int64 operands, and the dtype that ours are to have."""
  wide = torch.float64 if dtype in FLOATS else torch.int64
  try: out = reference(op, sample, args, wide, layout)[0]
  except RuntimeError: out = reference(op, sample, args, torch.float64, layout)[0]  # not for integers
  if op.result: return out, op.result(dtype)
  for stand_in in (dtype, dtypes.uint8):  # PyTorch has few functions for the wider unsigned types
    try: found = OURS[reference(op, sample, args, TORCH[stand_in])[0][0].dtype]
    except RuntimeError: continue
    return out, dtype if found == stand_in else found
  raise AssertionError(f"PyTorch has no {op.name} of {dtype}: the row must name the dtype of the result")

def close(out, want, dtype, ulps):
  assert out.dtype == dtype and out.shape == tuple(want.shape), (out.dtype, dtype, out.shape, tuple(want.shape))
  want, error = want.detach().to(TORCH[dtype]), (min(ulps, HALF) if dtype.itemsize == 2 else ulps) * PRECISION.get(dtype, 0)
  np.testing.assert_allclose(out.numpy(), (want.float() if dtype.np is None else want).numpy(), rtol=error, atol=error)

def check_forward(op, sample, dtype, layout="plain"):
  args = arrays(op, sample, dtype)
  (out, _), (want, result) = run(op, sample, args, dtype, layout), expected(op, sample, args, dtype, layout)
  assert len(out) == len(want)
  for x, y in zip(out, want):
    close(x, y, result, op.ulps)
    assert op.grad or not x.requires_grad

def check_gradient(op, sample, dtype, layout="plain"):
  args, rng = arrays(op, sample, dtype), np.random.default_rng(1)
  out, leaves = run(op, sample, args, dtype, layout)
  want, theirs = reference(op, sample, args, torch.float64, layout, True)
  assert [bool(x.requires_grad) for x in out] == [y.requires_grad for y in want]
  if not any(y.requires_grad for y in want): return
  upstream = [rng.uniform(-1, 1, y.shape) for y in want]
  sum((x * tensor(g, x.dtype)).sum() for x, g in zip(out, upstream)).backward()
  sum((y * torch.tensor(tensor(g, x.dtype).numpy()).double()).sum() for x, y, g in zip(out, want, upstream)).backward()
  for a, x, y in zip(sample.args, leaves, theirs):
    if not is_number(a): continue
    assert (x.grad is None) == (y.grad is None)
    if x.grad is not None: close(x.grad, y.grad, dtype, op.ulps)

@rows(lambda op: op.samples)
def test_forward(op, case):
  for layout in LAYOUTS: check_forward(op, case, (*op.dtypes, dtypes.float32)[0], layout)

@rows(lambda op: [c for c in op.samples if op.grad and c.grad])
def test_gradient(op, case):
  for layout in LAYOUTS: check_gradient(op, case, dtypes.float32, layout)

@rows(lambda op: op.dtypes)
def test_dtype(op, case):
  for sample in op.samples:
    if case not in FLOATS and not is_random(sample): continue
    check_forward(op, sample, case)
    if case in FLOATS and op.grad and sample.grad: check_gradient(op, sample, case)

@rows(lambda op: op.errors)
def test_error(op, case):
  with pytest.raises(case.error, match=case.match): [x.realize() for x in run(op, case, arrays(op, case, dtypes.float32), dtypes.float32)[0]]

@each_row(lambda op: op.promotes)
def test_promotion(op):
  sample = next(c for c in op.samples if is_random(c))
  for pair in itertools.permutations(op.dtypes, 2):
    types = iter(pair)
    args = [tensor(np.ones(a), next(types)) if isinstance(a, A) else Tensor(a) if isinstance(a, np.ndarray) else a for a in sample.args]
    want = op.ref(*[torch.tensor(a.float().numpy()) if isinstance(a, Tensor) else a for a in args])
    close(op.fxn(*args), want, max(pair), op.ulps)

@each_row(lambda op: op.grad and dtypes.float64 in op.dtypes)
def test_differences(op):
  """The slope along a random direction is the gradient's part in it."""
  rng, h = np.random.default_rng(2), 1e-6
  for sample in [c for c in op.samples if is_random(c) and c.grad][:3]:
    args = arrays(op, sample, dtypes.float64)
    numbers = [i for i, a in enumerate(sample.args) if is_number(a)]
    out = run(op, sample, args, dtypes.float64)[0]
    if any(x.dtype != dtypes.float64 for x in out): continue
    upstream = [rng.uniform(-1, 1, x.shape) for x in out]
    def f(args, sample=sample, upstream=upstream):
      out, leaves = run(op, sample, args, dtypes.float64)
      return sum((x * Tensor(g)).sum() for x, g in zip(out, upstream)), leaves
    total, leaves = f(args)
    if not total.requires_grad or not np.isfinite(total.numpy()): continue
    total.backward()
    grads = {i: leaves[i].grad.numpy() for i in numbers if leaves[i].grad is not None}
    for _ in range(2):
      along = {i: rng.uniform(-1, 1, args[i].shape) for i in grads}
      up, down = (f([x + side * along[i] if i in grads else x for i, x in enumerate(args)])[0].item() for side in (h, -h))
      parts = [grads[i] * along[i] for i in grads]
      assert abs((up - down) / (2 * h) - sum(p.sum() for p in parts)) <= 1e-6 * (1 + sum(abs(p).sum() for p in parts))

@each_row(lambda op: op.draw is not None)
@hypothesis.settings(max_examples=12)
@hypothesis.given(data=st.data())
def test_any_shape(op, data):
  sample = data.draw(op.draw)
  check_forward(op, sample, (*op.dtypes, dtypes.float32)[0])
  if op.grad: check_gradient(op, sample, dtypes.float32)
