"""The table of operations. test_ops.py runs all of its tests on each row, so that a row is all that a new operation needs.

A row (Op) names our function and PyTorch's, and lists samples: operands, of which `A(2, 3)` stands for a random array of that shape and `I(5, 2, 3)`
for indices below 5, and keywords. Arrays that are given as they are hold the values that matter: ties, kinks, infinities. What isn't said about a
row is so: floats of all sizes, PyTorch's result dtype, differentiable, and correct to 16 units in the last place."""
import math, operator
from dataclasses import dataclass
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import torch
import torch.nn.functional as F
from teenygrad import Tensor
from teenygrad.helpers import DType, dtypes

FLOATS = (dtypes.float32, dtypes.float64, dtypes.float16, dtypes.bfloat16)
SIGNED = (dtypes.int8, dtypes.int16, dtypes.int32, dtypes.int64)
UNSIGNED = (dtypes.uint8, dtypes.uint16, dtypes.uint32, dtypes.uint64)
NUMBERS = FLOATS + SIGNED + UNSIGNED
ALL = NUMBERS + (dtypes.bool,)
TORCH = {d: getattr(torch, next(k for k, v in vars(dtypes).items() if v is d)) for d in ALL}
# Result dtypes where PyTorch has another, or none.
def own(d: DType) -> DType: return d
def floated(d: DType) -> DType: return d if d in FLOATS else dtypes.float32
def counted(d: DType) -> DType: return dtypes.int32 if d == dtypes.bool else d
def truth(d: DType) -> DType: return dtypes.bool
def summed(d: DType) -> DType: return d if d in FLOATS + (dtypes.uint64,) else dtypes.int64

class A(tuple):
  """The shape of an operand of random numbers from the row's domain."""
  def __new__(cls, *shape): return super().__new__(cls, shape)
  def values(self, op, rng) -> np.ndarray:
    x = rng.uniform(*op.domain, self)
    for p in op.avoid: x = np.where(abs(x - p) < 0.1, p + np.where(x < p, -0.1, 0.1), x)
    return x

class I:  # noqa: E742
  """An operand of integers from low to size - 1, in that shape. It keeps its dtype and has no gradient."""
  def __init__(self, size, *shape, low=0): self.size, self.shape, self.low = size, shape, low
  def __repr__(self): return f"I({self.size}, {self.shape}, low={self.low})"
  def values(self, op, rng) -> np.ndarray: return np.array(rng.integers(self.low, self.size, self.shape))

@dataclass(frozen=True)
class Sample:
  """The arguments of one call. grad: whether the gradients are PyTorch's, too; error: what is raised, and how its message reads."""
  args: Tuple[Any, ...]
  kw: Dict[str, Any]
  grad: bool = True
  error: Optional[type] = None
  match: str = ""

def s(*args, **kw): return Sample(args, kw)
def value(*args, **kw): return Sample(args, kw, grad=False)
def bad(error, match, *args, **kw): return Sample(args, kw, error=error, match=match)

@dataclass(frozen=True)
class Op:
  name: str
  fxn: Callable
  ref: Callable
  samples: Sequence[Sample] = ()
  errors: Sequence[Sample] = ()
  draw: Optional[st.SearchStrategy] = None  # of samples of any shape
  dtypes: Sequence[DType] = FLOATS
  result: Optional[Callable[[DType], DType]] = None  # the result's dtype, where it isn't PyTorch's
  grad: bool = True
  promotes: bool = False  # operands of two dtypes give a result of the larger one
  domain: Tuple[float, float] = (-2, 2)
  avoid: Sequence[float] = ()  # points without a finite slope
  ulps: float = 16  # the error allowed, in units of the dtype's precision times 1 + the magnitude

# *** families of rows ***

def shapes(least=0, dims=4, low=0): return hnp.array_shapes(min_dims=low, max_dims=dims, min_side=least, max_side=4)
def torchs(name): return getattr(torch, name, None) or getattr(F, name)
def ours(name): return getattr(Tensor, name)

EDGES = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 0.5, -2.5, 9.0, -9.0])
CORNERS = tuple(x.ravel() for x in np.meshgrid(EDGES, EDGES))
ANY = shapes().map(lambda shape: s(A(*shape)))

def unary(name, ref=None, *more, fxn=None, edges=EDGES, dtypes=ALL, **kw):
  samples = (s(A(3, 4)), s(A()), s(A(0, 3)), s(A(2, 1, 5)), s(A(67)), value(edges), *more)
  return Op(name, fxn or ours(name), ref or torchs(name), samples, draw=ANY, dtypes=dtypes, **kw)

PAIRS = (s(A(3, 4), A(3, 4)), s(A(), A()), s(A(2, 1, 4), A(3, 1)), s(A(3), A(2, 0, 3)), s(A(0), A(1)), s(A(), A(2, 2)), s(A(5, 33), A(33)))
BROADCAST = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=4).map(lambda b: s(*(A(*i) for i in b.input_shapes)))
UNLIKE = bad(ValueError, r"(\(2, 3\).*\(4,\)|\(4,\).*\(2, 3\)) can't be broadcast", A(2, 3), A(4))
NOTHING = bad(TypeError, "None is no operand", A(2), None)

def binary(name, ref=None, *more, fxn=None, corners=CORNERS, dtypes=ALL, errors=(UNLIKE, NOTHING), promotes=True, **kw):
  return Op(name, fxn or ours(name), ref or torchs(name), (*PAIRS, value(*corners), *more), errors, BROADCAST, dtypes, promotes=promotes, **kw)

def numbers(name, fxn, *cs, ref=None, dtypes=NUMBERS, **kw):
  """fxn(x, c) for Python numbers c, written so that it does for PyTorch as well."""
  return Op(name, fxn, ref or fxn, [s(A(*shape), c) for c in cs for shape in ((3, 4), (), (0, 2))], dtypes=dtypes, **kw)

@st.composite
def reductions(draw, least=0):
  shape = draw(shapes(least, low=1))
  axis = draw(st.none() | st.integers(-len(shape), len(shape) - 1) | hnp.valid_tuple_axes(len(shape), min_size=1))
  return s(A(*shape), axis=axis, keepdim=draw(st.booleans()))

AXES = (s(A(3, 4)), s(A(3, 4, 5), axis=1), s(A(3, 4, 5), axis=(0, -1)), s(A(3, 4, 5), axis=[2], keepdim=True), s(A(300, 7), axis=0),
s(A(7, 300), axis=1),
        s(A()), s(A(2, 1, 3), axis=1), s(A(4, 0), axis=0))
WILD = np.array([[1., np.nan, 2.], [2., -np.inf, 5.], [np.inf, 0., 1.]])
NO_AXIS = (bad(IndexError, r"\[-2, 1\], but got 2", A(2, 3), axis=2), bad(IndexError, "but got -3", A(2, 3), axis=-3))

def reduction(name, ref, *more, samples=AXES, least=0, dtypes=ALL, **kw):
  return Op(name, ours(name), ref, (*samples, value(WILD, axis=1), *more), NO_AXIS, reductions(least), dtypes, **kw)

def movement(name, fxn, *samples, ref=None, **kw):
  """A row whose function does for PyTorch as well, if there is no ref."""
  return Op(name, fxn, ref or fxn, samples, dtypes=ALL, **kw)

# *** references that PyTorch has not, or with other arguments ***

def axes(x, axis): return tuple(range(x.ndim)) if axis is None else tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
def over(fxn): return lambda x, axis=None, keepdim=False: fxn(x, axes(x, axis), keepdim)
def extreme(fxn, none):
  """amax or amin, which PyTorch lacks for no elements."""
  return lambda x, axis=None, keepdim=False: over(fxn)(x, axis, keepdim) if x.numel() else over(torch.sum)(x, axis, keepdim) + none
def mean(x, axis=None, keepdim=False): return over(torch.mean if x.numel() else torch.sum)(x, axis, keepdim)
def std(x, axis=None, keepdim=False, correction=1): return torch.std(x, axes(x, axis), correction=correction, keepdim=keepdim)
def position(fxn): return lambda x, axis=None, keepdim=False: torch.tensor(fxn(x.double().numpy(), axis, keepdims=keepdim)).int()
def gelu(x): return F.gelu(x, approximate="tanh")
def celu(x, a=1.0): return torch.where(x > 0, x, a * torch.expm1(x.clip(max=0) / a))  # PyTorch's own has gradients of single precision only
def clip(x, low, high):
  """PyTorch's has a gradient of 1 on a bound; these share it."""
  if low is not None: x = torch.maximum(x, torch.full_like(x, low))
  return x if high is None else torch.minimum(x, torch.full_like(x, high))
def divided(x, c): return x / c if x.is_floating_point() or not isinstance(c, int) else torch.div(x, c, rounding_mode="trunc")
def basic(x, key):
  """x[key] by NumPy's rules, which allow negative steps."""
  return x.reshape(-1)[torch.from_numpy(np.array(np.arange(x.numel()).reshape(x.shape)[key]))]
def written(x, v, *key):
  x = x.detach().contiguous() if isinstance(x, Tensor) else x.clone()
  x[key] = v.detach()
  return x
def padded(x, arg, fill=0): return F.pad(x, [p for pair in reversed(arg) for p in pair or (0, 0)], value=fill)
def sliced(x, arg, fill=0): return padded(x, [p and (-p[0], p[1] - n) for p, n in zip(arg, x.shape)], fill)
def windows(x, k, stride=1, dilation=1):
  """Sliding windows over the last axes, none along an axis that is too small."""
  stride, dilation = (p if isinstance(p, tuple) else (p,) * len(k) for p in (stride, dilation))
  for i, size, step, d in zip(range(x.ndim - len(k), x.ndim), k, stride, dilation):
    span = d * (size - 1) + 1
    x = x.unfold(i, span, step)[..., ::d] if span <= x.shape[i] else x.narrow(i, 0, 0).unsqueeze(-1).expand(*x.shape[:i], 0, *x.shape[i+1:], size)
  return x
def pooled(fxn):
  def ref(x, kernel_size=(2, 2), stride=None, dilation=1):
    k = kernel_size if isinstance(kernel_size, tuple) else (kernel_size,) * 2
    return fxn(windows(x, k, k if stride is None else stride, dilation), tuple(range(-len(k), 0)))
  return ref
def conv(x, w, b=None, padding=0, **kw):
  n = w.ndim - 2
  pads = [padding] * 2 * n if isinstance(padding, int) else [p for p in padding[::-1] for _ in range(2)] if len(padding) == n else list(padding)
  return (F.conv1d, F.conv2d, F.conv3d)[n - 1](F.pad(x, pads), w, b, **kw)
def conv_transpose(x, w, b=None, **kw): return (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[w.ndim - 3](x, w, b, **kw)
def layernorm(x, axis=-1, eps=1e-5): return (x - x.mean(axis, True)) / (x.var(axis, correction=0, keepdim=True) + eps).sqrt()
def batchnorm(x, w, b, mean, invstd):
  w, b, mean, invstd = (None if t is None else t.reshape(-1, *(1,) * (x.ndim - 2)) for t in (w, b, mean, invstd))
  return (x - mean) * (1 if w is None else w) * invstd + (0 if b is None else b)
def cross_entropy(x, y, ignore_index=-1): return F.cross_entropy(x.reshape(-1, x.shape[-1]), y.reshape(-1).long(), ignore_index=ignore_index)

def drawn(name, fxn, expected, low, high, unit=1):
  """A row for 20,000 random numbers: mean, standard deviation and mean distance from the mean are as expected within 3%, four standard errors,
  and all numbers lie in [low, high)."""
  def moments():
    x = fxn((20, 1000)).float() / unit
    return Tensor.stack([x.mean(), x.std(), (x - x.mean()).abs().mean(), ((x >= low) * (x < high)).float().mean()])
  return Op(name, moments, lambda: torch.tensor([*expected, 1.]), [s()], dtypes=(), grad=False, ulps=0.03 * 2**23)
def dropout(n):
  with Tensor.train(): return Tensor.ones(n).dropout(0.25)

# Of methods beyond the original's.
def product(x, axis=None, keepdim=False):
  for a in sorted((a % x.ndim for a in axes(x, axis)) if x.ndim else (), reverse=True): x = x.prod(a, keepdim)
  return x.prod() if not x.ndim else x
def logsumexp(x, axis=None, keepdim=False): return torch.logsumexp(x if x.is_floating_point() else x.double(), axes(x, axis), keepdim)
def var(x, axis=None, keepdim=False, correction=1): return torch.var(x, axes(x, axis), correction=correction, keepdim=keepdim)
def norm(x, p=2.0, axis=None, keepdim=False): return torch.linalg.vector_norm(x if x.is_floating_point() else x.double(), p, axis, keepdim)
def einsum(formula, *xs):
  """Of integers in their own dtype."""
  return torch.einsum(formula, *xs).to(xs[0].dtype)
def sort(x, dim=-1, descending=False): return torch.sort(x, dim=dim, descending=descending, stable=True)
def topk(x, k, dim=-1, largest=True):
  """PyTorch's is not stable."""
  return [y.narrow(dim, 0, k) if x.ndim else y for y in sort(x, dim, largest)]
def weighted(fxn):
  """A loss of classes, whose weights have no gradient in PyTorch."""
  return lambda x, y, weight=None, **kw: fxn(x, y, None if weight is None else weight.detach(), **kw)

# *** samples of any shape ***

SOME_AXIS = shapes(1, low=1).flatmap(lambda shape: st.integers(-len(shape), len(shape) - 1).map(lambda axis: s(A(*shape), axis=axis)))
def sizes(n, low, high): return st.tuples(*[st.integers(low, high)] * n)
@st.composite
def reshapes(draw):
  shape = draw(shapes(1))
  target = draw(st.permutations([f for n in shape for f in ((n,) if n < 4 else (2, 2))]))
  return s(A(*shape), tuple(target) if draw(st.booleans()) or not target else (-1, *target[1:]))
@st.composite
def expands(draw):
  shape = draw(shapes())
  small = [draw(st.sampled_from((1, n))) for n in shape]
  return s(A(*small[draw(st.integers(0, len(small))):]), shape)
@st.composite
def pads(draw):
  shape = draw(shapes())
  return s(A(*shape), tuple(draw(sizes(2, 0, 3)) for _ in shape))
@st.composite
def shrinks(draw):
  shape = draw(shapes())
  return s(A(*shape), tuple(tuple(sorted(draw(sizes(2, 0, n)))) for n in shape))
@st.composite
def slices(draw):
  shape = draw(shapes(low=1))
  return s(A(*shape), draw(hnp.basic_indices(shape, allow_newaxis=True)))
@st.composite
def fancy(draw):
  shape = draw(shapes(1, low=1))
  index = draw(hnp.mutually_broadcastable_shapes(num_shapes=len(shape), min_dims=1, max_dims=3, min_side=1, max_side=3)).input_shapes
  keys = [draw(st.sampled_from((I(n, *i, low=-n), slice(None), slice(None, None, 2)))) for n, i in zip(shape, index)]
  keys[at] = I(shape[at := draw(st.integers(0, len(shape) - 1))], *index[at])
  return s(A(*shape), *keys)
@st.composite
def gathers(draw):
  shape = draw(shapes(1, low=1))
  dim = draw(st.integers(0, len(shape) - 1))
  return s(A(*shape), I(shape[dim], *(draw(st.integers(0, 6 if i == dim else n)) for i, n in enumerate(shape))), dim)
@st.composite
def products(draw):
  n, k, m = draw(sizes(3, 0, 6))
  lead = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, min_side=0, max_side=3)).input_shapes
  return s(A(k) if draw(st.booleans()) else A(*lead[0], n, k), A(k) if draw(st.booleans()) else A(*lead[1], k, m))
@st.composite
def einsums(draw):
  """Terms of up to three letters each, the same ones for some, and a result of some of them."""
  n = {c: draw(st.integers(1, 4)) for c in "abcd"}
  terms = [draw(st.text("abcd", max_size=3)) for _ in range(draw(st.integers(1, 4)))]
  used = sorted(set("".join(terms)))
  out = "->" + "".join(draw(st.permutations(draw(st.lists(st.sampled_from(used), unique=True)) if used else []))) if draw(st.booleans()) else ""
  return s(",".join(terms) + out, *(A(*(n[c] for c in t)) for t in terms))
@st.composite
def convs(draw, transposed=False):
  n, groups, cin, cout, batch = draw(sizes(5, 1, 3))
  K, stride, dilation, padding, more = draw(sizes(n, 1, 3)), draw(sizes(n, 1, 3)), draw(sizes(n, 1, 2)), draw(sizes(n, 0, 2)), draw(sizes(n, 0, 3))
  x = A(batch, groups * cin, *(m + 1 + d * (k - 1) for m, k, d in zip(more, K, dilation)))
  kw = dict(groups=groups, stride=stride, dilation=dilation, padding=draw(st.sampled_from((padding, padding[0], padding + more))))
  if not transposed: return s(x, A(groups * cout, cin, *K), draw(st.sampled_from((None, A(groups * cout)))), **kw)
  kw |= dict(padding=tuple(min(p, d * (k - 1) // 2) for p, d, k in zip(padding, dilation, K)),
             output_padding=tuple(min(m, max(d, p) - 1) for m, d, p in zip(more, dilation, stride)))
  return s(x, A(groups * cin, cout, *K), draw(st.sampled_from((None, A(groups * cout)))), **kw)
@st.composite
def pools(draw):
  n = draw(st.integers(1, 3))
  return s(A(*draw(shapes(1, 2)), *draw(sizes(n, 5, 8))), draw(sizes(n, 1, 3)), draw(sizes(n, 1, 4)), draw(sizes(n, 1, 2)))

# *** the table ***

TIES = np.array([[1., 1., 0., 1.], [2., 3., 3., -1.]])
NEAR = np.array([-3.5, -3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 6.0, 7.0])
HUGE = np.array([-1e4, -300.0, -40.0, 40.0, 300.0, 1e4])
MASK = np.array([[True, False, True], [False, False, True]])
QUERY, KEY, VALUE = A(2, 3, 5, 4), A(2, 3, 6, 4), A(2, 3, 6, 7)
NO_DIM = (bad(IndexError, r"\[-2, 1\], but got 2", A(2, 3), dim=2), bad(IndexError, "but got -3", A(2, 3), dim=-3))
WHOLE = (np.array([7., 8., 9., 0., 3.]), np.array([2., 4., 7., 3., 9.]))
SIGNS = [x.ravel() for x in np.meshgrid([7., -7., 8., -8., 0., 1.], [2., -2., 4., -4., 3., -9.])]
IMAGE, SMALL, LABELS = A(2, 3, 7, 6), A(1, 2, 5, 5), np.array([0, 4, 2, 2])
EVEN, BELL = (3**-0.5, 0.5), (1, (2 / math.pi)**0.5)  # deviations of uniform numbers in +-1 and of normal ones

OPS = [
  # elementwise functions
  unary("neg", result=counted), unary("exp"), unary("exp2"), unary("log", domain=(0.1, 3)), unary("log2", domain=(0.1, 3)),
  unary("sqrt", domain=(0.1, 3)), unary("rsqrt", domain=(0.1, 3)), unary("reciprocal", avoid=(0,)), unary("square", result=own),
  unary("sin"), unary("cos"), unary("tan", domain=(-1.2, 1.2)), unary("sinh"), unary("cosh"), unary("tanh", None, s(HUGE)),
  unary("asinh", None, s(HUGE)), unary("acosh", None, s(HUGE[3:]), domain=(1.2, 3)), unary("atanh", domain=(-0.8, 0.8)),
  unary("sigmoid", None, s(HUGE)), unary("relu", None, s(NEAR), avoid=(0,), result=own),
  unary("trunc", result=own), unary("floor", dtypes=NUMBERS, result=own), unary("ceil", dtypes=NUMBERS, result=own),
  unary("abs", None, s(NEAR), avoid=(0,), result=own), unary("sign", None, s(NEAR), avoid=(0,), result=own),
  unary("relu6", None, s(NEAR[NEAR != 6]), avoid=(0, 6), domain=(-2, 8), result=counted),
  unary("hardswish", avoid=(-3, 3), domain=(-4, 4), result=floated, edges=NEAR),
  unary("leakyrelu", F.leaky_relu, s(NEAR), s(A(3, 4), 0.2), avoid=(0,), result=floated),
  unary("elu", None, s(NEAR), s(A(3, 4), 0.7), avoid=(0,), result=floated), unary("celu", celu, s(NEAR), s(A(3, 4), 0.7), avoid=(0,), result=floated),
  unary("hardtanh", lambda x, a=-1, b=1: clip(x, a, b), s(NEAR), s(A(3, 4), -0.5, 0.7), avoid=(-1, 1, -0.5, 0.7), dtypes=FLOATS),
  unary("clip", lambda x, a=-1, b=1: clip(x, a, b), s(NEAR), s(A(3, 4), -1, None), s(A(3, 4), None, 1), s(A(3, 4), None, None),
        fxn=lambda x, a=-1, b=1: x.clip(a, b), avoid=(-1, 1), dtypes=FLOATS + SIGNED),
  unary("swish", F.silu, result=floated), unary("silu", result=floated), unary("softsign", avoid=(0,), edges=NEAR, result=floated),
  unary("quick_gelu", lambda x: x * torch.sigmoid(1.702 * x), s(HUGE), result=floated), unary("gelu", gelu, s(HUGE), result=floated),
  unary("softplus", None, s(A(3, 4), 2.5), s(HUGE), result=floated), unary("mish", None, s(HUGE), result=floated),
  unary("contiguous", lambda x: x + 0, result=own), unary("contiguous_backward", lambda x: x + 0, result=own),
  unary("detach", grad=False, result=own), unary("float", lambda x: x.float()), unary("half", lambda x: x.half()),

  # arithmetic: two tensors; with a number or an array on either side; in place
  binary("add", result=counted), binary("sub", result=counted), binary("mul", result=own),
  binary("div", avoid=(0,), result=floated, promotes=False),
  binary("maximum", None, s(TIES, TIES[::-1]), s(TIES, np.ones((2, 4))), result=own), binary("minimum", None, s(TIES, TIES[::-1]), result=own),
  binary("pow", None, s(np.array([-2., -2., -2., 0., 0., 3.]), np.array([2., 3., -3., 1., 2., 0.])), domain=(0.3, 2), dtypes=FLOATS),
  binary("pow of integers", lambda x, y: x.double() ** y, fxn=Tensor.pow, corners=(I(3, 4), I(3, 4)), domain=(0, 3), dtypes=SIGNED + UNSIGNED,
         result=floated, promotes=False, grad=False),
  *[numbers(name, fxn, 2, 0, 1, 3, 1.5, 0.25) for name, fxn in {
    "x + c": lambda x, c: x + c, "c + x": lambda x, c: c + x, "x - c": lambda x, c: x - c, "c - x": lambda x, c: c - x,
    "x * c": lambda x, c: x * c, "c * x": lambda x, c: c * x}.items()],
  *[numbers(name, fxn, math.inf, -math.inf, math.nan, -1.5, dtypes=FLOATS, avoid=(0,)) for name, fxn in {
    "x + inf": lambda x, c: x + c, "x * inf": lambda x, c: x * c, "x / inf": lambda x, c: x / c, "inf / x": lambda x, c: c / x}.items()],
  numbers("x / c", lambda x, c: x / c, 2, 3, 1, 1.5, 0.25, ref=divided, domain=(-9, 9),
          errors=[bad(ZeroDivisionError, "dtypes.long divided by 0", I(5, 3), 0)]),
  numbers("c / x", lambda x, c: c / x, 2, 0, 1.5, domain=(0.5, 2)),
  numbers("maximum(x, c)", Tensor.maximum, 1, 0, 3, ref=lambda x, c: torch.maximum(x, torch.full_like(x, c))),
  numbers("x ** c", lambda x, c: x ** c, 0, 1, 2, 3, 4, 5, 0.5, 1.5, 2.7, dtypes=NUMBERS, domain=(0.2, 3),
          errors=[bad(ValueError, r"dtypes.long \*\* -1 is no integer", I(5, 3), -1)]),
  numbers("x ** -c", lambda x, c: x ** c, -1, -2, -3, -0.5, -1.5, dtypes=FLOATS, domain=(0.3, 3)),
  numbers("signed x ** c", lambda x, c: x ** c, 0, 1, 2, 3, 4, -1, -2, -3, 0.2, 1.2, dtypes=FLOATS, avoid=(0,)),
  numbers("c ** x", lambda x, c: c ** x, 1, 2, 0.5, 3.5, dtypes=FLOATS),
  numbers("0 ** x", lambda x, c: c ** x, 0, 0.0, dtypes=FLOATS, domain=(0.3, 2)),
  *[Op(f"array {name} x", lambda x, y, f=f: f(y.detach().numpy(), x), lambda x, y, f=f: f(y.detach(), x), PAIRS, draw=BROADCAST, dtypes=FLOATS[:3],
       avoid=(0,)) for name, f in {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}.items()],
  Op("array @ x", lambda x, y: y.detach().numpy() @ x, lambda x, y: y.detach() @ x, [s(A(4, 5), A(3, 4)), s(A(4), A(2, 4))], dtypes=FLOATS[:2]),
  Op("x + list", lambda x: x + [1, 2, 3], lambda x: x + torch.tensor([1, 2, 3]), [s(A(2, 3)), s(A())]),
  *[Op(f"x {f.__name__} y", *2 * (lambda x, y, f=f: f(x + 0, y),), [s(A(3, 4), A(3, 4)), s(A(3, 4), A(4)), s(A(0, 4), A(4))],
       [bad((ValueError, AssertionError), r"\(2, 3\).*\(4,\)", A(2, 3), A(4))], dtypes=FLOATS + ints, domain=(0.3, 2))
    for f, ints in {operator.iadd: SIGNED + UNSIGNED, operator.isub: SIGNED + UNSIGNED, operator.imul: SIGNED + UNSIGNED, operator.itruediv: (),
                    operator.ipow: ()}.items()],

  # comparisons and choice
  *[binary(f.__name__, f, s(TIES, TIES[::-1]), fxn=f, result=truth, grad=False, promotes=False, errors=[UNLIKE])
    for f in (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne)],
  *[numbers(name, fxn, 1, 0, 0.5, math.inf, -math.inf, math.nan, -300, 300, result=truth, grad=False) for name, fxn in {
    "x < c": lambda x, c: x < c, "x <= c": lambda x, c: x <= c, "x > c": lambda x, c: x > c, "x >= c": lambda x, c: x >= c,
    "x == c": lambda x, c: x == c, "x != c": lambda x, c: x != c, "c < x": lambda x, c: c < x, "c >= x": lambda x, c: c >= x}.items()],
  Op("where", Tensor.where, lambda c, x, y: torch.where(c != 0, x, y), [
    s(MASK, A(2, 3), A(2, 3)), s(MASK, A(3), A(2, 1)), s(MASK[0], A(2, 1), A()), s(np.array(True), A(2, 3), A(3)), s(MASK, A(2, 3), 2.0),
    s(MASK, 1.0, A(2, 3)), s(MASK, A(2, 3), 1), s(MASK[:, :0], A(2, 0), A(1)), value(MASK, np.full((2, 3), np.nan), 0.0)],
    [bad(ValueError, r"\(2, 3\), \(2,\), \(3,\) can't be broadcast", MASK, A(2), A(3))],
    BROADCAST.map(lambda p: s(I(2, *p.args[0]), *p.args)), NUMBERS, promotes=True),
  Op("where of integers", Tensor.where, lambda c, x, y: torch.where(c != 0, x, y), [s(I(2, 4), A(3, 4), A(4)), s(I(3, 2, 2, low=-1), A(), A(2))]),
  Op("where of a comparison", lambda x, y: (x < y).where(x * 2, y), lambda x, y: torch.where(x < y, x * 2, y), PAIRS, draw=BROADCAST),

  # dtypes
  Op("cast", lambda x, d: x.cast(d), lambda x, d: x.to(TORCH[d]), [s(A(3, 5), d) for d in ALL], dtypes=ALL, domain=(0, 100)),
  Op("bitcast", lambda x, d=dtypes.int32: x.cast(d).bitcast(dtypes.float32), lambda x: x.int().view(torch.float32), [s(A(3, 5)), s(A(0))],
     [bad(AssertionError, "dtypes.long to dtypes.float: the sizes differ", A(3), dtypes.int64)], dtypes=FLOATS[:2], grad=False, domain=(0, 2.0**30)),

  # movement
  movement("reshape", lambda x, *a: x.reshape(*a), s(A(3, 4), 4, 3), s(A(3, 4), (2, -1)), s(A(3, 4), [12]), s(A(1, 1), ()), s(A(), (1, 1)),
    s(A(0, 3), 6, 0), draw=reshapes(), errors=[
      bad(ValueError, r"\(4, 3\) into \(5, 2\)", A(4, 3), 5, 2), bad(ValueError, r"\(4, 3\) into \(\)", A(4, 3), []),
      bad(ValueError, r"\(-1, -1\): only one", A(4, 3), -1, -1)]),
  movement("reshape with None", lambda x: x.reshape(None, -1), s(A(3, 4, 2)), ref=lambda x: x.reshape(x.shape[0], -1)),
  movement("expand", lambda x, *a: x.expand(*a), s(A(3, 1), 3, 4), s(A(1), (2, 5)), s(A(3, 1), (2, -1, 4)), s(A(), (2, 2)), s(A(1, 3), 0, 3),
    draw=expands(), errors=[bad(ValueError, r"\(4, 3\) to \(4, 4\)", A(4, 3), 4, 4), bad(ValueError, r"\(4, 3\).*\(3,\).*fewer", A(4, 3), 3)]),
  movement("permute", lambda x, *a: x.permute(*a), s(A(3, 4, 2), 2, 0, 1), s(A(3, 4), (1, 0)), s(A(3, 4), -1, 0), s(A(), ()), s(A(0, 3), [1, 0]),
    draw=shapes().flatmap(lambda shape: st.permutations(range(len(shape))).map(lambda order: s(A(*shape), tuple(order)))),
    errors=[bad(ValueError, r"\(0, 0\) name one twice", A(2, 3), 0, 0), bad(ValueError, r"\(0,\).* 2 axes of \(4, 3\)", A(4, 3), 0),
            bad(IndexError, r"\[-2, 1\], but got 5", A(4, 3), 0, 5)]),
  movement("transpose", lambda x, *a: x.transpose(*a), s(A(3, 4, 2), 1, 0), s(A(3, 4, 2), -1, 0), s(A(0, 3), 0, 1),
    errors=[bad(IndexError, r"\[-2, 1\], but got 2", A(2, 3), 0, 2), bad(IndexError, "but got 1", A(2))]),
  movement("T", lambda x: x.T, s(A(3, 4)), s(A(3, 0))),
  movement("flip", lambda x, *a: x.flip(*a), s(A(3, 4), 0), s(A(3, 4), (0, -1)), s(A(3, 4), [1]), s(A(3, 4), ()), s(A(2, 0), 1), s(A(2, 3, 4), 0, 2),
    draw=shapes(low=1).flatmap(lambda shape: hnp.valid_tuple_axes(len(shape)).map(lambda axis: s(A(*shape), axis))),
    errors=[bad(IndexError, r"\[-2, 1\], but got 2", A(2, 3), 2), bad(ValueError, r"\(0, 0\) name one twice", A(2, 3), (0, 0))]),
  movement("shrink", Tensor.shrink, s(A(3, 4), ((1, 3), (0, 2))), s(A(3, 4), (None, (2, 2))), s(A(3), ((0, 3),)), s(A(), ()), draw=shrinks(),
    ref=lambda x, arg: basic(x, tuple(slice(*(p or (None,))) for p in arg)), errors=[
      bad(ValueError, r"1 pairs .* \(4, 3\)", A(4, 3), (None,)), bad(ValueError, r"\(4, 3\) to \(\(0, 5\), None\)", A(4, 3), ((0, 5), None)),
      bad(ValueError, "shrink", A(4), ((-1, 2),)), bad(ValueError, "shrink", A(4), ((2, 1),)), bad(TypeError, r"not 0\.5", A(4), ((0.5, 2),)),
      bad(TypeError, r"pair .*\(4,\).* 5 of", A(4), (5,)), bad(TypeError, r"pair .*\(4,\).* 5 of", A(4), 5)]),
  movement("pad", Tensor.pad, s(A(3, 4), ((1, 0), (2, 3))), s(A(3), (None,)), s(A(0, 2), ((1, 1), None)), s(TIES, ((1, 0), (2, 3)), math.inf),
    s(TIES, ((1, 0), (2, 3)), -math.inf), s(TIES, (None, (0, 2)), math.nan), s(TIES, ((1, 0), None), 2.5), draw=pads(), ref=padded,
    errors=[bad(ValueError, r"\(4, 3\) by \(-1, 0\)", A(4, 3), ((-1, 0), None)), bad(ValueError, r"1 pairs .*\(4, 3\)", A(4, 3), ((1, 2),))]),
  movement("pad2d", Tensor.pad2d, s(A(2, 3, 4), (1, 2)), s(A(2, 3, 4), (1, 2, 0, 3)), s(A(2, 3, 4), [-1, 2, 0, -2]), s(A(2, 3, 4), (-1, -1, -1, -1)),
    s(A(2, 3), (1, 0, 2, 0)), s(TIES, (-1, 1, 2, 0), 1.5), s(TIES, (1, 1), -math.inf), ref=lambda x, p, v=0: F.pad(x, p, value=v), errors=[
      bad(ValueError, r"\(-2, -2\) crops more of \(2, 3\)", A(2, 3), (-2, -2)), bad(ValueError, r"3 numbers \(1, 1, 1\)", A(2, 3), (1, 1, 1)),
      bad(ValueError, r"6 numbers .*\(2, 3\)", A(2, 3), (1,) * 6), bad(TypeError, r"not 1\.5", A(2, 3), (1.5, 1)),
    bad(TypeError, "two numbers", A(2), 1)]),
  movement("slice", Tensor.slice, s(A(3, 4), ((-1, 2), (1, 6))), s(A(3, 4), (None, (1, 3))), s(TIES, ((-1, 2), (1, 6)), 1.5), ref=sliced,
    errors=[bad(ValueError, r"\(\(0, 5\), \(4, 2\)\) of \(2, 3\) ends before", A(2, 3), ((0, 5), (4, 2)))]),
  movement("squeeze", lambda x, *a: x.squeeze(*a), s(A(1, 3, 1, 1)), s(A(1, 3, 1, 1), 0), s(A(1, 3, 1), -1), s(A(1, 3), 1), s(A()), s(A(), 0),
    s(A(1, 0)), errors=[
      bad(IndexError, r"^Dimension out of range \(expected to be in range of \[-4, 3\], but got 50\)$", A(4, 3, 6, 6), 50),
      bad(IndexError, r"^Dimension out of range \(expected to be in range of \[-4, 3\], but got -50\)$", A(4, 3, 6, 6), -50),
      bad(IndexError, r"^Dimension out of range \(expected to be in range of \[-1, 0\], but got 10\)$", A(), 10)]),
  movement("unsqueeze", lambda x, dim: x.unsqueeze(dim), s(A(2, 3), 0), s(A(2, 3), 2), s(A(2, 3), -1), s(A(2, 3), -3), s(A(), 0), s(A(0), 1),
    errors=[bad(IndexError, r"\[-3, 2\], but got 3", A(2, 3), 3)]),
  movement("flatten", lambda x, *a: x.flatten(*a), s(A(2, 3, 4)), s(A(2, 3, 4), 1), s(A(2, 3, 4), -1), s(A()), s(A(2, 0)),
    errors=[bad(IndexError, r"\[-2, 1\], but got 2", A(2, 3), 2)]),
  movement("cat", lambda *ts, dim=0: Tensor.cat(*ts, dim=dim), s(A(2, 3), A(4, 3)), s(A(2, 3), A(2, 1), A(2, 2), dim=1), s(A(2, 3), A(0, 3)),
    s(A(3), dim=-1), ref=lambda *ts, dim=0: torch.cat(ts, dim), promotes=True, errors=[
      bad(AssertionError, r"\(2, 3\), \(2, 4\) don't match", A(2, 3), A(2, 4)), bad(AssertionError, r"\(\), \(\)", A(), A()),
      bad(IndexError, r"\[-2, 1\], but got 2", A(2, 3), dim=2)]),
  movement("stack", lambda *ts, dim=0: Tensor.stack(list(ts), dim), s(A(2, 3), A(2, 3)), s(A(2), A(2), A(2), dim=1), s(A(), A()), s(A(2, 3), dim=-1),
    s(A(0), A(0)), ref=lambda *ts, dim=0: torch.stack(ts, dim), promotes=True, errors=[
      bad(AssertionError, r"\(1, 2\), \(1, 3\) don't match", A(2), A(3)), bad(IndexError, "got 77", A(2, 3), dim=77), bad(ValueError, "no tensors")]),
  movement("repeat", lambda x, *a: x.repeat(*a), s(A(2, 3), (2, 1)), s(A(2, 3), (2, 1, 3)), s(A(), (2, 2)), s(A(2, 3), (0, 2)), s(A(3), 4),
    draw=shapes(low=1).flatmap(lambda shape: sizes(len(shape), 0, 3).map(lambda n: s(A(*shape), n))),
    errors=[bad(ValueError, r"\(2, 3, 4\) by \(2, 4\)", A(2, 3, 4), (2, 4)), bad(ValueError, r"by \(2, -1\)", A(2, 3), (2, -1))]),
  movement("chunk", lambda x, *a: x.chunk(*a), s(A(7, 3), 3), s(A(2, 6), 4, 1), s(A(2, 3), 5), s(A(2, 6), 2, -1),
    errors=[bad(IndexError, r"\[-2, 1\], but got 3", A(2, 3), 2, 3)]),
  *[movement(name, lambda x, *a, name=name: getattr(x, name)(*a), s(A(4, 5)), s(A(2, 5, 4), 1), s(A(4, 4), -2), s(A(4, 5), 9), s(A(4, 5), -9),
    s(np.full((3, 3), np.nan)), s(A(0, 3))) for name in ("triu", "tril")],

  # indexing
  movement("getitem", lambda x, key: x[key], *[s(A(5, 4, 3), key) for key in (
    0, -5, (1, 2), (1, -1, 2), slice(1, 4), slice(None, None, -1), slice(-1, 0, -3), slice(None, None, 4), (slice(2, 2), 0), (..., 1), (None, 2),
    (slice(None), None, 1, None), (slice(1, 99), slice(-99, 2)), (0, ..., slice(None, None, 2)), (slice(3, 1), slice(None, None, -2)), ..., ())],
    s(A(), None), s(A(), ()), s(A(0, 3), slice(None)), draw=slices(), ref=basic, errors=[
      bad(IndexError, r"index 2 .* size 2 of \(2, 3\)", A(2, 3), 2), bad(IndexError, r"-3 .* size 2 of \(2, 3\)", A(2, 3), -3),
      bad(IndexError, r"too many .*\(\)", A(), 0), bad(IndexError, r"too many indices.*\(2, 3\)", A(2, 3), (0, 0, 0)),
      bad(IndexError, r"ellipses.*\(2, 3\)", A(2, 3), (..., ...)), bad(ValueError, "step cannot be zero", A(2, 3), slice(None, None, 0)),
      bad(IndexError, r"1\.0 of <class 'float'> is no index", A(2, 3), 1.0), bad(IndexError, "'a' .* no index", A(2, 3), "a")]),
  movement("getitem of tensors", lambda x, *key: x[key], s(A(5, 4, 3), I(5, 2, low=-5)), s(A(5, 4, 3), I(5, 2, 3), I(4, 3)),
    s(A(5, 4, 3), 1, I(4, 6)), s(A(5, 4, 3), I(5, 2), slice(None), I(3, 2)), s(A(5, 4, 3), slice(None), I(4, 2, 2), I(3, 2)),
    s(A(5, 4, 3), None, I(5, 2), None, I(4, 2)), s(A(5, 4, 3), ..., I(3, 2)), s(A(5, 4, 3), slice(1, 4), I(4, 7), slice(None, None, 2)),
    s(A(5, 4), [0, 2]), s(A(5), I(5, 0)), s(A(5), I(5)), s(A(2, 3), MASK), s(A(2, 3), MASK[:, 0]), s(A(2, 3, 2), MASK, 1), s(A(2, 3), ~MASK & MASK),
    draw=fancy(), errors=[
      bad(IndexError, r"5 to 5 .* size 2 of \(2, 3\)", A(2, 3), np.array([5])), bad(IndexError, "must be of integers.*float", A(2, 3), [0.5]),
      bad(IndexError, r"mask's axis of size 2 .* \(2, 3\)", A(2, 3), MASK[:, :2])]),
  movement("getitem of floats", lambda x, i: x[i.float()], s(A(5, 3), I(5, 2, 2)), s(A(5, 3), I(5)), ref=lambda x, i: x[i]),
  movement("setitem", written, s(A(5, 4), A(4), 1), s(A(5, 4), A(), slice(1, 3)), s(A(5, 4), A(5), slice(None), -1),
    s(A(5, 4), A(2, 4), slice(None, None, 3)), s(A(5, 4), A(2, 4), np.array([0, 3])), s(A(2, 3), A(3), MASK), s(A(5, 4), A(2), np.array([1, 2]), 3),
    s(A(3), A(0), slice(2, 2)), grad=False),
  movement("gather", lambda x, i, dim: x.gather(i, dim), s(A(4, 5, 6), I(4, 3, 4, 5), 0), s(A(4, 5, 6), I(5, 3, 4, 5), 1),
    s(A(4, 5, 6), I(6, 3, 4, 9), -1), s(A(3), I(3, 0), 0), s(A(2, 2), np.zeros((2, 2), int), 1), draw=gathers(),
    ref=lambda x, i, dim: x.gather(dim, i), errors=[
      bad(AssertionError, r"\(2,\) .* \(2, 3\)", A(2, 3), I(2, 2), 0), bad(AssertionError, r"\(2, 4\) .* \(2, 3\)", A(2, 3), I(2, 2, 4), 0),
      bad(IndexError, r"from 2 to 2 .* axis 0 of \(2, 3\)", A(2, 3), I(3, 1, 1, low=2), 0), bad(IndexError, "but got 2", A(2, 3), I(2, 2, 3), 2)]),

  # reductions
  reduction("sum", over(torch.sum), result=summed, ulps=64),  # sums of 300
  reduction("mean", mean, result=floated),
  *[reduction(name, extreme(fxn, none), s(TIES), s(TIES, axis=1), s(TIES, axis=0, keepdim=True), samples=AXES[:-1], least=1, result=own)
    for name, fxn, none in (("max", torch.amax, -math.inf), ("min", torch.amin, math.inf))],
  *[Op(f"{name} of none", ours(name), extreme(None, none), [s(A(4, 0), axis=1), s(A(0, 2), axis=0, keepdim=True), s(A(0))])
    for name, none in (("max", -math.inf), ("min", math.inf))],
  reduction("std", std, *[s(A(4, 5), axis=1, correction=c) for c in (0, 2, 5)], samples=AXES[:6], least=2, result=floated, dtypes=NUMBERS),
  *[Op(name, ours(name), lambda x, axis=-1, f=f: f(x, axis), [s(A(3, 4)), s(A(3, 4, 5), axis=1), s(A(3, 300), axis=-1), s(A(), axis=0), s(A(0, 3)),
       s(HUGE), value(WILD)], NO_AXIS, SOME_AXIS, ALL, floated) for name, f in {"softmax": torch.softmax, "log_softmax": torch.log_softmax}.items()],
  Op("softmax over axes", Tensor.softmax, lambda x, axis: torch.softmax(x.reshape(2, -1), 1).reshape(x.shape), [s(A(2, 3, 4), axis=(1, 2))]),
  *[Op(name, ours(name), position(fxn), [s(A(3, 4)), s(A(3, 4), axis=1), s(A(3, 4), axis=0, keepdim=True), s(A()), s(A(2, 300), axis=-1), s(TIES),
       s(TIES, axis=1), s(EDGES), s(EDGES[:6]), s(A(0, 3), axis=1)], [bad(ValueError, r"axis 0 of \(0, 3\)", A(0, 3), axis=0), *NO_AXIS],
       SOME_AXIS, ALL, grad=False) for name, fxn in {"argmax": np.argmax, "argmin": np.argmin}.items()],
  Op("cumsum", Tensor.cumsum, lambda x, axis=0: torch.cumsum(x, axis), [s(A(7)), s(A(3, 4), axis=1), s(A(3, 4, 5), axis=-2), s(A()),
    s(A(0, 3), axis=0), s(A(3, 700), axis=1), s(A(1022, 2), axis=0), s(EDGES[2:5])], NO_AXIS, SOME_AXIS, ALL, summed, ulps=256),  # sums of 1022

  # products, convolution, pooling
  Op("dot", Tensor.dot, torch.matmul, [
    s(A(4), A(4)), s(A(3, 4), A(4)), s(A(4), A(4, 5)), s(A(3, 4), A(4, 5)), s(A(2, 3, 4), A(4, 5)), s(A(2, 3, 4), A(2, 4, 5)), s(A(4), A(2, 4, 5)),
    s(A(2, 1, 3, 4), A(5, 4, 2)), s(A(0, 4), A(4, 3)), s(A(3, 0), A(0, 2)), s(A(40, 50), A(50, 30)), s(A(1, 200), A(200, 1)),
    s(A(65, 3), A(3, 70))], [bad(AssertionError, r"\(4,\) and \(1, 2\)", A(4), A(1, 2)), bad(AssertionError, r"\(\) and \(3, 3\)", A(), A(3, 3)),
    bad(AssertionError, r"\(2, 3\) and \(4, 3\)", A(2, 3), A(4, 3)),
    bad(ValueError, r"\(2, 2, 3\) and \(3, 3, 4\).* can't be broadcast", A(2, 2, 3), A(3, 3, 4))],
    products(), NUMBERS, own, promotes=True, ulps=64),  # sums of 200
  Op("matmul, reversed", lambda x, w: x.matmul(w, True), lambda x, w: w @ x, [s(A(4, 5), A(3, 4))]),
  Op("x @= y", lambda x, y: operator.imatmul(x + 0, y), lambda x, y: x @ y, [s(A(3, 3), A(3, 3))]),
  Op("linear", Tensor.linear, lambda x, w, b=None: (x * w if w.ndim == 1 else x @ w) + (0 if b is None else b), [
    s(A(2, 3), A(3, 4)), s(A(2, 3), A(3, 4), A(4)), s(A(5, 2, 3), A(3, 1), A(1)), s(A(2, 3), A(3), A(3)), s(A(0, 3), A(3, 4), A(4))],
    [bad(AssertionError, r"\(2, 3\) and \(4, 2\)", A(2, 3), A(4, 2))]),
  Op("_pool", Tensor._pool, windows, [s(A(2, 7), (3,)), s(A(2, 3, 7, 6), (3, 2), (2, 1), (2, 3)), s(A(2, 4), (5,)), s(A(9), (2,), 4)], draw=pools()),
  *[Op(name, ours(name), pooled(fxn), [
    s(IMAGE), s(IMAGE, 3), s(IMAGE, (3, 2)), s(IMAGE, (2, 3), 1), s(IMAGE, (2, 2), (3, 4)), s(IMAGE, (2, 2), 1, (2, 3)), s(IMAGE, (7, 6)),
    s(A(2, 3, 9), (2,)), s(A(2, 4, 5, 6), (2, 3, 2), (1, 2, 2)), s(A(4, 4), 2, 2)], [
    bad(AssertionError, r"\(2, 2\).*over \(5,\)", A(5)), bad(AssertionError, r"stride \(1,\).*\(5, 5\)", A(5, 5), (2, 2), (1,)),
    bad(ValueError, r"stride .*\(5, 5\) .*1, not 0", A(5, 5), 2, 0), bad(ValueError, r"\(2, 0\) of size 0.*\(5, 5\)", A(5, 5), (2, 0), 1),
    bad(TypeError, r"stride .*\(5, 5\) must be an int, not 1\.5", A(5, 5), 2, 1.5),
    bad(ValueError, r"\(2, 6\) .*larger than \(5, 5\)", A(5, 5), (2, 6)),
    bad(ValueError, r"dilation .*not -1", A(5, 5), 2, 1, -1), bad(TypeError, "window .*not nan", A(5, 5), math.nan)], pools())
    for name, fxn in {"max_pool2d": torch.amax, "avg_pool2d": torch.mean}.items()],
  Op("conv2d", Tensor.conv2d, conv, [
    s(IMAGE, A(4, 3, 3, 2)), s(IMAGE, A(4, 3, 3, 3), A(4), padding=1), s(IMAGE, A(6, 1, 3, 3), groups=3),
    s(A(2, 4, 5, 5), A(6, 2, 3, 3), A(6), groups=2), s(A(2, 32, 6, 6), A(32, 1, 3, 3), groups=32), s(IMAGE, A(4, 3, 3, 3), stride=(2, 1)),
    s(IMAGE, A(4, 3, 3, 2), dilation=(2, 1)), s(IMAGE, A(4, 3, 3, 3), padding=(2, 1)), s(IMAGE, A(4, 3, 3, 3), padding=[0, 1, 2, 3]),
    s(IMAGE, A(4, 3, 3, 3), padding=-1), s(IMAGE, A(4, 3, 3, 3), padding=(-1, 0, -1, 1)),
    s(IMAGE, A(4, 3, 3, 3), A(4), stride=2, dilation=2, padding=3), s(IMAGE, A(4, 3, 1, 1)), s(IMAGE, A(1, 3, 7, 6)), s(A(0, 3, 7, 6), A(4, 3, 3, 3)),
    s(A(2, 3, 9), A(4, 3, 3)), s(A(2, 4, 9), A(2, 2, 2), A(2), groups=2, stride=2, padding=(1, 2)), s(A(1, 2, 5, 4, 3), A(3, 2, 2, 2, 2)),
    s(A(1, 4, 4, 5, 6), A(4, 2, 3, 2, 1), A(4), groups=2, stride=(1, 2, 3), padding=1), s(A(8, 16, 14, 14), A(16, 16, 3, 3))], [
    bad(AssertionError, r"\(1, 2, 5, 5\) .* \(4, 3, 3, 3\) in 1", SMALL, A(4, 3, 3, 3)), bad(AssertionError, r"\(4, 2, 3\)", SMALL, A(4, 2, 3)),
    bad(ValueError, "3 .* in 2 groups", SMALL, A(3, 1, 3, 3), groups=2), bad(ValueError, r"\(6, 6\) .* \(1, 2, 5, 5\)", SMALL, A(3, 2, 6, 6)),
    bad(AssertionError, r"\(1, 1, 1\) is no padding of 2", SMALL, A(3, 2, 3, 3), padding=(1, 1, 1)),
    bad(AssertionError, r"\(2,\) for 3", SMALL, A(3, 2, 3, 3), A(2)),
    bad(ValueError, r"stride .*\(1, 2, 5, 5\) and \(3, 2, 3, 3\) .*not 0", SMALL, A(3, 2, 3, 3), stride=0),
    bad(AssertionError, r"stride \(1, 1, 1\) .*\(1, 2, 5, 5\)", SMALL, A(3, 2, 3, 3), stride=(1, 1, 1)),
    bad(TypeError, "padding .*'same'", SMALL, A(3, 2, 3, 3), padding="same"), bad(TypeError, r"stride .*not 1\.5", SMALL, A(3, 2, 3, 3), stride=1.5),
    bad(ValueError, r"\(-3, -3, -3, -3\) crops more of \(1, 2, 5, 5\)", SMALL, A(3, 2, 3, 3), padding=-3),
    bad(ValueError, "groups must be at least 1, not -1", SMALL, A(3, 2, 3, 3), groups=-1), bad(TypeError, "weight must be a Tensor", SMALL, 3),
    bad(AssertionError, r"\(3,\) doesn't fit .*\(N, groups cin, \*in\)", A(3), A(3, 2, 3, 3)),
    bad(AssertionError, "doesn't fit", A(2, 3), A(2, 3))], convs(), ulps=256),  # gradients are sums of 1152
  Op("conv_transpose2d", Tensor.conv_transpose2d, conv_transpose, [
    s(IMAGE, A(3, 4, 3, 2)), s(IMAGE, A(3, 4, 3, 3), A(4), stride=2, output_padding=1), s(A(2, 4, 5, 5), A(4, 3, 2, 2), A(6), groups=2, padding=1),
    s(IMAGE, A(3, 2, 3, 3), stride=(2, 3), dilation=(2, 1), padding=(1, 2), output_padding=(1, 2)), s(A(2, 3, 9), A(3, 2, 3), stride=2),
    s(A(1, 2, 3, 4, 3), A(2, 3, 2, 2, 2), A(3), stride=(1, 2, 1)), s(A(2, 3, 1, 1), A(3, 1, 4, 4))], [
    bad(AssertionError, r"\(1, 2, 5, 5\) .* \(3, 2, 3, 3\) in 1", SMALL, A(3, 2, 3, 3)),
    bad(AssertionError, "in 3 g", SMALL, A(2, 1, 3, 3), groups=3), bad(AssertionError, r"\(3,\) for 2", SMALL, A(2, 2, 3, 3), A(3)),
    bad(ValueError, r"\(1, 2, 5, 5\) .*\(2, 2, 3, 3\).*sizes \[-1, 3\]", SMALL, A(2, 2, 3, 3), padding=(4, 2)),
    bad(ValueError, r"sizes \[0, 0\]", A(1, 2, 2, 2), A(2, 2, 1, 1), padding=1),
    bad(ValueError, "output_padding .*not -1", SMALL, A(2, 2, 3, 3), output_padding=-1),
    bad(AssertionError, r"padding \(1, 2, 3, 4\)", SMALL, A(2, 2, 3, 3), padding=(1, 2, 3, 4)),
    bad(ValueError, "stride .*not 0", SMALL, A(2, 2, 3, 3), stride=0)],
    convs(True), ulps=256),  # as conv2d's gradients

  # networks and losses
  Op("sequential", lambda x: x.sequential([Tensor.relu, lambda x: x * 2]), lambda x: x.relu() * 2, [s(A(3, 4)), s(A())], avoid=(0,)),
  Op("layernorm", Tensor.layernorm, layernorm, [s(A(3, 7)), s(A(2, 3, 7), axis=(1, 2), eps=0.1), s(A(3, 7), axis=0)], NO_AXIS),
  Op("batchnorm", Tensor.batchnorm, batchnorm, [
    s(A(2, 3, 4, 4), A(3), A(3), A(3), A(3)), s(A(2, 3, 4, 4), None, None, A(3), A(3)), s(A(5, 3), A(3), None, A(3), A(3)),
    s(A(2, 3, 5), None, A(3), A(3), A(3))], [
    bad(ValueError, r"\(2, 3, 4, 4\), \(1, 2, 1, 1\) can't be broadcast", A(2, 3, 4, 4), None, None, A(2), A(2))], domain=(0.2, 2)),
  Op("dropout outside training", Tensor.dropout, lambda x, p=0.5: x, [s(A(3, 4)), s(A(3, 4), 0.1)], dtypes=ALL, result=own),
  Op("scaled_dot_product_attention", Tensor.scaled_dot_product_attention, F.scaled_dot_product_attention, [
    s(QUERY, KEY, VALUE), s(QUERY, KEY, VALUE, A(2, 3, 5, 6)), s(QUERY, KEY, VALUE, A(5, 6)), s(QUERY, KEY, VALUE, np.tril(np.ones((5, 6), bool))),
    s(QUERY, KEY, VALUE, np.arange(30).reshape(5, 6) % 17 > 9), s(A(2, 5, 4), A(2, 5, 4), A(2, 5, 4), is_causal=True), s(A(5, 4), A(6, 4), A(6, 3))],
    [bad(AssertionError, r"queries \(2, 4\), keys \(3, 5\) and values \(3, 5\)", A(2, 4), A(3, 5), A(3, 5)),
     bad(AssertionError, r"queries \(4,\)", A(4), A(3, 4), A(3, 4)), bad(TypeError, "mask must be a Tensor", A(2, 4), A(2, 4), A(2, 4), "a"),
     bad(ValueError, "mask and is_causal", A(2, 4), A(2, 4), A(2, 4), A(2, 2), is_causal=True)]),
  Op("binary_crossentropy", Tensor.binary_crossentropy, F.binary_cross_entropy, [s(A(3, 4), A(3, 4)), s(A(5), A(5))], domain=(0.1, 0.9)),
  Op("binary_crossentropy_logits", Tensor.binary_crossentropy_logits, F.binary_cross_entropy_with_logits, [
    s(A(3, 4), A(3, 4)), s(A(5), A(5)), s(HUGE, np.array([0., 1., 0., 1., 0., 1.]))], avoid=(0,)),
  Op("sparse_categorical_crossentropy", Tensor.sparse_categorical_crossentropy, cross_entropy, [
    s(A(4, 5), LABELS), s(A(4, 5), LABELS.astype(np.uint8)), s(A(4, 5), np.array([0, -1, 2, -1])), s(A(4, 5), LABELS, ignore_index=2),
    s(A(2, 3, 5), I(5, 2, 3)), value(A(2, 5), np.array([-1, -1])), s(A(5), np.array(3))], [
    bad(ValueError, r"\(3,\) .* \(2, 3\)", A(2, 3), I(3, 3)), bad(IndexError, "3 to 3 for 3 classes", A(2, 3), np.array([3, 3]))]),

  # beyond the original: integers and bits
  binary("floor_divide", torch.floor_divide, corners=WHOLE, grad=False, dtypes=NUMBERS, result=counted, domain=(0.6, 9)),
  binary("mod", torch.remainder, corners=WHOLE, avoid=(0,), dtypes=NUMBERS, result=counted, domain=(0.6, 9)),
  *[Op(f.__name__ + " of signs", lambda x, y, f=f: f(x, y).detach(), lambda x, y, g=g: g(x, y).detach(),
     [value(*SIGNS), value(*SIGNS[::-1])], dtypes=FLOATS[:2] + SIGNED, grad=False)
    for f, g in ((operator.floordiv, torch.floor_divide), (operator.mod, torch.remainder))],
  *[numbers(name, fxn, 1, 2, 3, ref=ref, dtypes=NUMBERS, domain=(0.6, 9), grad=False, errors=errors) for name, fxn, ref, errors in (
    ("x // c", lambda x, c: x // c, torch.floor_divide, [bad(ZeroDivisionError, "dtypes.long divided by 0", I(5, 3), 0)]),
    ("c // x", lambda x, c: c // x, lambda x, c: torch.floor_divide(torch.full_like(x, c), x), ()),
    ("x % c", lambda x, c: (x % c).detach(), lambda x, c: torch.remainder(x, c).detach(), [bad(ZeroDivisionError, "divided by 0", I(5, 3), 0)]),
    ("c % x", lambda x, c: (c % x).detach(), lambda x, c: torch.remainder(torch.full_like(x, c), x).detach(), ()))],
  *[Op(f.__name__, f, f, [
    s(I(100, 3, 4, low=-100), I(100, 4, low=-9)), s(I(100, 5), 6), s(MASK, ~MASK), s(I(9, 0, 3), I(9, 3)), s(I(200, 3), MASK[0])], [
      bad(TypeError, f"{e} is not defined for float32", A(3), A(3)), bad(TypeError, e, I(3, 3), 1.5)], dtypes=(), grad=False)
    for f, e in ((operator.and_, "AND"), (operator.or_, "OR"), (operator.xor, "XOR"))],
  *[Op(f.__name__, f, f, [s(I(100, 3, 4, low=-100), I(70, 4, low=-9)), s(I(100, 5, low=-100), 6), s(I(100, 5, low=-9), 64)],
       [bad(TypeError, f"{e} is not defined for float32", A(3), A(3))], dtypes=(), grad=False)
    for f, e in ((operator.lshift, "SHL"), (operator.rshift, "SHR"))],
  Op("~", operator.invert, operator.invert, [s(I(100, 3, 4, low=-100)), s(MASK)], [bad(TypeError, "~ is not defined for dtypes.float", A(3))],
     dtypes=(), grad=False),
  *[Op(f"c {f.__name__} x", lambda x, f=f: f(5, x), lambda x, f=f: f(5, x), [s(I(9, 3, 4))], dtypes=(), grad=False)
    for f in (operator.and_, operator.or_, operator.xor, operator.lshift, operator.rshift)],
  *[Op(f"x {f.__name__} y", *2 * (lambda x, y, f=f: f(x + 0, y),), [s(I(99, 3, 4, low=9), I(9, 4, low=1))], dtypes=(), grad=False)
    for f in (operator.ifloordiv, operator.imod, operator.iand, operator.ior, operator.ixor, operator.ilshift, operator.irshift)],

  # beyond the original: functions, reductions
  *[unary(name, grad=False, result=truth) for name in ("isnan", "isinf", "isfinite")],
  Op("masked_fill", Tensor.masked_fill, torch.masked_fill, [s(A(2, 3), MASK, 2), s(A(2, 3), MASK[0], 1), s(A(3), MASK[0], 0)],
     dtypes=NUMBERS, result=own),
  Op("lerp", Tensor.lerp, torch.lerp, [s(A(3, 4), A(3, 4), 0.3), s(A(3, 4), A(4), A(3, 4)), s(A(), A(), 1.0)]),
  Op("one_hot", lambda x, n=-1: Tensor.one_hot(x, n), F.one_hot, [s(I(5, 3, 4), 5), s(I(5, 3), 9), s(np.array([0, 3, 1])), s(I(3), 3)],
     [bad(TypeError, "integers, not dtypes.float", A(3), 4)], dtypes=(), grad=False),
  reduction("prod", product, s(np.array([[2., 0., 3.], [0., 4., 0.], [1., -2., 3.]]), axis=1), s(np.array([2., 0., 3.])), s(A(2, 300), axis=1),
            s(A(300, 2), axis=0), result=summed, domain=(0.8, 1.25), ulps=64),
  *[reduction(name, over(lambda x, a, k, f=f: f(x != 0, a, k)), result=truth, grad=False) for name, f in {
    "any": lambda x, a, k: x.sum(a, k) > 0 if a else x, "all": lambda x, a, k: (~x).sum(a, k) == 0 if a else x}.items()],
  Op("var", Tensor.var, var, [*AXES[1:-1], s(A(3, 4), correction=0), value(A(3, 4), axis=1, correction=5), s(A(1, 4), axis=0),
                               s(np.ones((3, 4)), axis=1),
                              value(WILD, axis=1)], NO_AXIS, reductions(2), dtypes=ALL, result=floated, ulps=32),
  Op("var_mean", Tensor.var_mean, lambda x, axis=None, **kw: list(torch.var_mean(x, axis, **kw)),
     [s(A(3, 4)), s(A(3, 4), axis=1, keepdim=True)], NO_AXIS),
  Op("logsumexp", Tensor.logsumexp, logsumexp, [*AXES, value(WILD, axis=1), s(HUGE), value(np.full((2, 3), -np.inf), axis=1)], NO_AXIS, reductions(1),
     dtypes=ALL, result=floated),
  Op("norm", Tensor.norm, norm, [*[s(x, p, **kw) for p in (2.0, 1, 3, 0.5, math.inf, -math.inf, -1.5) for x, kw in (
    (A(3, 4), {}), (A(3, 4), {"axis": 1}), (A(2, 3, 4), {"axis": (0, 2), "keepdim": True}),
    (np.array([[0., 0.], [0., 3.], [-2., 2.]]), {"axis": 1}))],
    value(A(3, 4), 0), value(np.array([0., 1., np.nan]), 0), value(WILD, 2.0, axis=1)], NO_AXIS, dtypes=FLOATS + SIGNED, result=floated, avoid=(0,),
     ulps=64),

  # beyond the original: order and movement
  *[Op(f"{name}: {('values', 'indices')[i]}", lambda *a, name=name, i=i, **kw: ours(name)(*a, **kw)[i],
       lambda *a, ref=ref, i=i, **kw: ref(*a, **kw)[i],
       [*more, s(A(3, 7), *k), s(A(300), *k), s(A(2, 3, 4), *k, dim=0), s(A(3, 4, 2), *k, dim=1, **{down: name == "sort"}),
        s(A(2), *k, **{down: True}),
        s(np.array([[3., 1., 3., 1., 2.]] * 2), *k), value(EDGES, *k), s(A(2, 40), *k)],
       errors, dtypes=ALL, grad=not i, result=(lambda d: dtypes.int64) if i else own) for i in range(2) for name, ref, k, down, more, errors in (
    ("sort", sort, (), "descending", (s(A()), s(A(0, 3)), s(A(3, 0)), value(EDGES, descending=True), s(A(600), descending=True)), NO_DIM),
    ("topk", topk, (2,), "largest", (s(A(), 1), s(A(3, 4), 0), s(A(900), 10), s(A(900), 700, largest=False), value(EDGES, 4, largest=False)),
     [bad(ValueError, r"the first 5 along axis 1 of \(3, 4\)", A(3, 4), 5, dim=1), bad(ValueError, "first -1", A(3), -1)]))],
  Op("argsort", Tensor.argsort, lambda x, *a, **kw: sort(x, *a, **kw)[1],
     [s(A(3, 4)), s(A(3, 4), dim=0, descending=True), s(A())], NO_DIM, dtypes=ALL,
     grad=False, result=lambda d: dtypes.int64),
  movement("split", Tensor.split, s(A(7, 3), 3), s(A(7, 3), (2, 1), 1), s(A(7, 3), [4, 0, 3]), s(A(4, 2), 2, -1), s(A(0, 2), 3), s(A(3), 9),
    ref=lambda x, *a: list(torch.split(x, *a)), errors=[
      bad(ValueError, r"pieces of \(2, 2\) of axis 0 of \(3,\)", A(3), (2, 2)), bad(ValueError, "pieces of 0", A(3), 0),
      bad(ValueError, "-1", A(2), (3, -1))]),
  movement("roll", Tensor.roll, s(A(3, 4), 1), s(A(3, 4), -2, 1), s(A(3, 4), (1, 5), (0, 1)), s(A(3, 4), (1, 1), (0, 0)), s(A(), 3), s(A(0, 3), 1, 0),
    s(A(5), 0, 0), ref=torch.roll, errors=[bad(ValueError, "2 shifts along 1 axes", A(3), (1, 2), 0), bad(IndexError, "but got 2", A(3, 4), 1, 2)]),
  movement("diagonal", Tensor.diagonal, *[s(A(*shape), o) for shape in ((3, 3), (3, 5), (5, 3)) for o in (0, 1, -2, 5, -5)], s(A(2, 3, 4), 1, 1, 2),
    s(A(2, 3, 2), 0, -1, 0), s(A(0, 3)), ref=torch.diagonal, errors=[bad(ValueError, "axes 0 and 0", A(2, 3), 0, 0, 0)]),
  Op("trace", Tensor.trace, torch.trace, [s(A(3, 3)), s(A(3, 5))], [bad(IndexError, "out of range", A(3))], dtypes=FLOATS + SIGNED, result=summed),

  # beyond the original: products and losses
  Op("outer", Tensor.outer, torch.outer, [s(A(3), A(4)), s(A(0), A(2))], [bad(ValueError, r"\(2, 2\) and \(2,\)", A(2, 2), A(2))], dtypes=NUMBERS),
  Op("einsum", Tensor.einsum, einsum, [s(*case) for case in (
    ("ij,jk->ik", A(3, 4), A(4, 5)), ("ij,jk", A(3, 4), A(4, 5)), ("ba", A(3, 4)), ("ii", A(3, 3)), ("ii->i", A(3, 3)), ("iij->j", A(3, 3, 4)),
    ("iii->i", A(3, 3, 3)), ("...ij,...jk->...ik", A(5, 2, 3), A(3, 4)), ("...ij,jk", A(2, 5, 2, 3), A(3, 4)), ("a...a->...a", A(3, 4, 3)),
    ("...,...", A(3, 1), A(1, 4)),
    ("...a->a...", A(2, 3, 4)), ("i,j->ij", A(3), A(4)), ("i,i", A(300), A(300)), (",ij->ij", A(), A(2, 3)), ("->", A()), ("ij->", A(3, 4)),
    ("bij,bjk,bkl->bil", A(2, 3, 4), A(2, 4, 5), A(2, 5, 6)), ("ab,cd,ef->acf", A(2, 3), A(4, 5), A(2, 3)), ("i,ij,j", A(3), A(3, 4), A(4)),
    ("b q h d, b k h d -> b h q k", A(2, 3, 2, 5), A(2, 4, 2, 5)), ("i,i->i", A(3), A(1)), ("ij,kj->ik", A(0, 3), A(2, 3)),
    ("ij,jk->ik", A(2, 0), A(0, 3)),
    ("aB,Ba->", A(2, 3), A(3, 2)))], [
      bad(ValueError, "of 1 operands", "ij,jk", A(2, 2)), bad(ValueError, "sizes 3 and 4", "ij,jk", A(2, 3), A(4, 2)),
      bad(ValueError, "'i' doesn't name", "i", A(2, 3)), bad(ValueError, "a letter twice", "ij->ii", A(2, 3)),
      bad(ValueError, "of no operand", "ij->k", A(2, 3)), bad(ValueError, "no list of letters", "i1", A(2, 3)),
      bad(ValueError, "no list of letters", "i..", A(2, 3)), bad(ValueError, "einsum of no operands", "")],
    einsums(), dtypes=FLOATS + SIGNED[2:], result=own,
    domain=(-4, 4), ulps=64),
  *[Op(name, ours(name), ref, [s(A(3, 4), A(3, 4)), s(A(3, 4), A(3, 4), reduction="sum"), s(A(3, 4), A(3, 4), reduction="none"), s(A(), A())],
       [bad(ValueError, "\"none\", \"sum\" or \"mean\", not 'all'", A(3), A(3), reduction="all")], avoid=(0,))
    for name, ref in (("mse_loss", F.mse_loss), ("l1_loss", F.l1_loss))],
  *[Op(name, weighted(ours(name)), weighted(lambda x, y, *a, ref=ref, **kw: ref(x.contiguous(), y.long(), *a, **kw)), [
    *[s(x, y, **kw) for x, y in ((A(4, 5), LABELS), (A(2, 5, 3), I(5, 2, 3)), (A(5), np.array(3)), (A(2, 5, 2, 2), I(5, 2, 2, 2)))
      for kw in ({}, {"reduction": "sum"}, {"ignore_index": 2}, *more)],
    *[s(A(4, 5), LABELS, A(5), **kw) for kw in ({}, {"reduction": "sum"}, {"reduction": "none"}, {"ignore_index": 2}, *more)],
    *[s(A(2, 5, 3), I(5, 2, 3), A(5), **kw) for kw in ({}, {"reduction": "none", "ignore_index": 2}, *more)],
    value(A(2, 5), np.array([-100, -100]))], [
      bad(ValueError, r"labels of shape \(3,\) for classes of shape \(2, 3\)", A(2, 3), I(3, 3)),
      bad(IndexError, "3 to 3 for 3 classes", A(2, 3), np.array([3, 3])), bad(ValueError, "reduction is", A(2, 3), np.array([1, 1]), reduction="x"),
      bad(ValueError, r"weights of shape \(2,\) for 3 classes", A(2, 3), np.array([1, 1]), A(2))], domain=(0.3, 2)) for name, ref, more in (
    ("nll_loss", F.nll_loss, ()),
    ("cross_entropy", F.cross_entropy, ({"label_smoothing": 0.1}, {"label_smoothing": 0.3, "ignore_index": 2, "reduction": "sum"})))],
  Op("cross_entropy of probabilities", weighted(Tensor.cross_entropy), weighted(F.cross_entropy), [
    s(A(4, 5), A(4, 5)), s(A(2, 5, 3), A(2, 5, 3), A(5), label_smoothing=0.2), s(A(4, 5), A(4, 5), reduction="none"), s(A(5), A(5), reduction="sum")],
    [bad(ValueError, "label_smoothing 2", A(2, 3), np.array([1, 1]), label_smoothing=2)], domain=(0.1, 1)),

  # creation and random numbers
  Op("full", Tensor.full, lambda n, x, dtype: torch.full(n if isinstance(n, (tuple, list)) else (n,), x, dtype=dtype), [
    s((2, 3), 4), s([2], 1), s(3, 7), s((), 2), s((0, 2), 1)], [
    bad(ValueError, r"\(-1,\)", (-1,), 1), bad(OverflowError, "300 .*unsigned char", (2,), 300, dtype=dtypes.uint8)], dtypes=ALL, grad=False),
  *[Op(name, fxn, lambda *n, dtype, ref=ref: ref(n or (), dtype=dtype) if not n or isinstance(n[0], int) else ref(n[0], dtype=dtype), [
    s(2, 3), s((2, 3)), s([2]), s(), s([]), s(0, 2)], [bad(ValueError, r"\(2, -1\)", 2, -1)], dtypes=ALL, grad=False) for name, fxn, ref in (
    ("zeros", Tensor.zeros, torch.zeros), ("ones", Tensor.ones, torch.ones),
    ("empty", lambda *n, **kw: Tensor.empty(*n, **kw).zeros_like(), torch.zeros))],
  Op("arange", Tensor.arange, torch.arange, [s(10), s(5, 10, 3), s(10, 5, -3), s(11, 5, -3), s(100), s(0), s(3, 4)], [
    bad(ZeroDivisionError, "zero", 1, 2, 0), bad(OverflowError, "299 .*unsigned char", 300, dtype=dtypes.uint8)], dtypes=NUMBERS, grad=False),
  Op("arange of fractions", Tensor.arange, torch.arange, [s(0, 1, 0.1), s(0.5, 4), s(2, -1, -0.25), s(1e6, 1e6 + 5)], dtypes=FLOATS[:2], grad=False),
  Op("eye", Tensor.eye, torch.eye, [s(4), s(1), s(0)], [bad(ValueError, "not -1", -1), bad(TypeError, "rows .*1.5", 1.5)], dtypes=ALL, grad=False),
  *[Op(name, ours(name), torchs(name), [s(A(2, 3), *c), s(A(), *c), s(A(0, 2), *c)], dtypes=ALL, result=own, grad=False)
    for name, c in {"full_like": (1,), "zeros_like": (), "ones_like": ()}.items()],
  drawn("rand", Tensor.rand, (0.5, 12**-0.5, 0.25), 0, 1), drawn("uniform", lambda n: Tensor.uniform(n, low=-1, high=3), (1, 2 * 3**-0.5, 1), -1, 3),
  drawn("randn", Tensor.randn, (0, *BELL), -6, 6), drawn("normal", lambda n: (Tensor.normal(n, mean=2, std=3) - 2) / 3, (0, *BELL), -6, 6),
  drawn("randint", lambda n: Tensor.randint(n, low=-3, high=5), (0.5, (63 / 12)**0.5, 2), -3, 5),
  drawn("scaled_uniform", Tensor.scaled_uniform, (0, *EVEN), -1, 1, 20000**-0.5),
  drawn("glorot_uniform", Tensor.glorot_uniform, (0, *EVEN), -1, 1, (6 / 1020)**0.5),
  drawn("kaiming_uniform", lambda n: Tensor.kaiming_uniform(n, a=1), (0, *EVEN), -1, 1, (3 / 1000)**0.5),
  drawn("kaiming_normal", lambda n: Tensor.kaiming_normal(n, a=1), (0, *BELL), -6, 6, 1000**-0.5),
  drawn("multinomial", lambda n: Tensor([1, 2, 3, 4]).multinomial(20000, True), (2, 1, 0.8), 0, 4),
  drawn("dropout in training", dropout, (1, 3**-0.5, 0.5), 0, 1.5),
]
