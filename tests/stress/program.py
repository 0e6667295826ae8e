"""Programs: lists of steps that compute the same with teenygrad as with PyTorch in float64. Here they are run, compared, made smaller and printed;
graphs.py makes random ones.

What error is fair, PyTorch tells: where a result is off by more than a few units in the last place, it computes the program several times more,
with the operands and results of everything it computes, on the way to values and back to gradients, off by one unit in the last place of
teenygrad's dtype there, up or down at random. What differs from the undisturbed result by much more than any of these is wrong. So the bound comes
from the magnitudes all along the graph: a difference of large numbers may be off by units of these, a product by units of its own. Values that
are exact in every dtype of floats, as small whole numbers are, stay undisturbed: operations that jump, such as floor, are only applied to these."""
import contextlib, functools, math, os, re, sys, warnings
from typing import NamedTuple, Tuple

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import numpy as np
import torch
import torch.nn.functional as F
from ops_table import (basic, batchnorm, celu, clip, conv, conv_transpose, divided, layernorm, mean, padded, pooled, position, sliced,
                       std, windows)
from torch.utils._python_dispatch import TorchDispatchMode

from teenygrad import Tensor, _engine
from teenygrad.helpers import dtypes

__all__ = ["F", "Setting", "Tensor", "assigned", "basic", "batchnorm", "binary_crossentropy", "celu", "changed", "clip", "conv", "conv_transpose",
           "cross_entropy", "divided", "dtypes", "gelu", "indices", "layernorm", "leaf", "log_softmax", "logsumexp", "mean", "np", "padded", "pooled",
           "position", "prepare", "reference", "sliced", "std", "torch", "windows"]

EPS = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
# The spacing of the smallest numbers; or the largest value times a factor that may be 0, being smaller than any normal number.
LEAST = {"float16": 2.0**-24, "float32": 2.0**-114, "bfloat16": 2.0**-114, "float64": 0.0}
NAMES = {getattr(dtypes, name): name for name in (*EPS, "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "bool")}
LARGEST = 2.0**12         # of values: sums of exact ones stay exact
UNITS, FACTOR = 4, 16     # errors over the unit in the last place of the result; over the largest disturbance
NOISES = (1, 4, 16, 64)   # disturbances, and more to confirm a failure
COMPUTE, BACKWARD, CHECK = "compute", "backward", "check"

# *** what a printed program calls ***

def prepare():
  """Before any program."""
  torch.set_default_dtype(torch.float64)  # of what it makes of integers
  torch.set_num_threads(1)
  np.seterr(all="ignore")
  warnings.simplefilter("ignore")

POOL = 1 << 18
ODD = np.array([math.nan, math.inf, -math.inf, -0.0, 0.0, 0.0, 1, -1, 2, -2, 0.5, -3, 1.5, 4, -0.25, 1])
@functools.lru_cache(None)
def pool(kind, dtype):
  """Random numbers that the dtype has, in float64 (integers: int64): whole ones, normal ones, or odd ones."""
  rng = np.random.default_rng(len(dtype))
  if dtype == "bool": return rng.random(POOL) < 0.5
  if dtype not in EPS: return rng.integers(0 if dtype[0] == "u" else -4, 5, POOL)
  a = rng.choice(ODD, POOL) if kind == "odd" else rng.standard_normal(POOL) if kind == "normal" else rng.integers(-4, 5, POOL).astype(float)
  return torch.tensor(a).to(getattr(torch, dtype)).double().numpy()
@functools.lru_cache(64)
def data(seed, shape, dtype, kind):
  n, start = math.prod(shape), seed * 7919 % (POOL // 2)
  a = pool(kind, dtype)[start:start + n]
  return a.reshape(shape) if a.size == n else np.resize(a, shape)
def leaf(seed, shape, dtype, kind="whole", requires_grad=False):
  a = data(seed, shape, dtype, kind)
  if dtype != "bfloat16": return Tensor(a.astype(dtype), requires_grad=requires_grad)
  return Tensor(Tensor(a.astype(np.float32)).cast(dtypes.bfloat16).lazydata, requires_grad=requires_grad)
def reference(seed, shape, dtype, kind="whole", requires_grad=False):
  return torch.tensor(data(seed, shape, dtype, kind)).requires_grad_(requires_grad)
def indices(seed, shape, low, high): return np.random.default_rng(seed).integers(low, max(high, low + 1), shape)
def changed(x, y, key):
  """A copy of x, written to. y has the index' shape."""
  if isinstance(x, Tensor):
    z = x.detach().contiguous()
    z[key] = y.detach().cast(x.dtype)
    return z
  z = np.array(x.detach())
  z[key] = y.detach().numpy()
  return torch.tensor(z)
def log_softmax(x, axis):
  """As teenygrad computes it, off by units of 1."""
  x = x - x.amax(axis, True).detach()
  return x - x.exp().sum(axis, True).log()
def logsumexp(x, axis=None):
  axis = tuple(range(x.ndim)) if axis is None else axis
  top = x.detach().amax(axis, True) if x.numel() else torch.zeros(())
  return torch.logsumexp(x, axis) if not x.numel() or not top.isfinite().all() else (x - top).exp().sum(axis, True).log().add(top).sum(axis)
def cross_entropy(x, y):
  rows, y = log_softmax(x.reshape(-1, x.shape[-1]), -1), y.reshape(-1)
  return -rows[y != -1, y[y != -1]].sum() / (y != -1).sum()
def gelu(x): return x * (math.sqrt(8 / math.pi) * (x + 0.044715 * x**3)).sigmoid()  # PyTorch's adds 1 to a tanh near -1
def binary_crossentropy(p, y): return -(y * p.log() + (1 - y) * (1 - p).log()).mean()
def assigned(x, y):
  """What x becomes by assign and += while it is the operand of something."""
  if not isinstance(x, Tensor): return 3 * x.detach() + y.detach()
  z = x.detach()
  w = z * 1
  z.assign(y.detach().cast(x.dtype))
  z += w
  w *= 2
  return z + w

# *** programs ***

class Step(NamedTuple):
  """A value `name`. x, y, z, w in the texts are its sources, p, q, r, s its arguments. exact: exact sources make it exact. sums: floats are added
  up, in an order that fusion may change. Or, without a name, what `kind` says: values are computed together, a gradient is, a value is checked."""
  name: str = ""
  ours: str = ""
  theirs: str = ""
  sources: Tuple[str, ...] = ()
  args: tuple = ()
  exact: bool = False
  sums: bool = False
  kind: str = ""
  def call(self, text, values): return function(text, len(self.sources), len(self.args))(*[values[x] for x in self.sources], *self.args)
  def text(self, text, prefix=""):
    names = dict(zip("xyzw", (prefix + x for x in self.sources))) | dict(zip("pqrs", map(repr, self.args)))
    return re.sub(r"\b[xyzwpqrs]\b", lambda m: names[m[0]], text)

@functools.lru_cache(4096)
def function(text, sources, args): return eval(f"lambda {','.join('xyzw'[:sources] + 'pqrs'[:args])}: {text}", globals())

# *** PyTorch's run ***

# What has no rounding error; what picks an element would pick another one. What has one, and nothing else.
QUIET = """_to_copy abs amax amin cat ceil clamp clone constant_pad_nd empty_like eq flip floor full_like gather ge gt hardtanh index le lift_fresh
  logical_and lt maximum minimum ne neg new_empty_strided new_zeros ones ones_like relu repeat scalar_tensor select_backward sgn sign slice_backward
  stack threshold_backward tril triu trunc where zeros zeros_like""".split()
ELEMENTARY = "add sub rsub mul div sqrt reciprocal".split()
UP_AND_DOWN = torch.randint(0, 2, (1 << 20,), generator=torch.Generator().manual_seed(0)).double() * 2 - 1
@functools.lru_cache(None)
def factors(eps): return 1 + eps * UP_AND_DOWN

@functools.lru_cache(None)
def disturbs(func):
  """What Noise does to an operation of PyTorch: 0 nothing, 1 changes its results, 2 its operands as well."""
  name = func._schema.name.removeprefix("aten::")
  return 0 if func._schema.is_mutable or func.is_view or name in QUIET else 1 if name in ELEMENTARY else 2

def disturbs_parts(func): return func._schema.name == "aten::convolution_backward"

class Noise(TorchDispatchMode):
  """Operands and results of whatever PyTorch computes are off by eps, relatively, up or down, and by the least spacing of numbers."""
  def __init__(self, seed):
    super().__init__()
    self.at, self.eps, self.least, self.back = seed * 54321 % (len(UP_AND_DOWN) // 2), 0.0, 0.0, False
  @classmethod
  def _should_skip_dynamo(cls): return False  # the wrapper takes as long as the rest
  def off(self, t):
    if t.dtype is not torch.float64 or not (n := t.numel()): return t
    at, end, all_factors = self.at, self.at + n, factors(self.eps)
    part = all_factors[at:end] if end <= len(all_factors) else all_factors.repeat(-(-n // len(all_factors)))[:n]
    self.at = (end + 1) % (len(all_factors) // 2)
    out = t * part.view(t.shape)
    return out.add_(part.view(t.shape) - 1, alpha=self.least / self.eps) if self.least else out
  def __torch_dispatch__(self, func, types, args=(), kwargs=None):
    how = disturbs(func) or self.back and func._schema.name == "aten::neg"  # of gradients that cancel, ours are rounded apart
    if not self.eps or not how: return func(*args, **(kwargs or {}))
    if how == 2: args = [self.off(a) if isinstance(a, torch.Tensor) else a for a in args]
    out = func(*args, **(kwargs or {}))
    if isinstance(out, torch.Tensor): return self.off(out)
    if disturbs_parts(func) and out[0] is not None:  # the gradient of an image is a sum of windows, each of them rounded
      parts = func(*[a.abs() if isinstance(a, torch.Tensor) else a for a in args], **(kwargs or {}))[0]
      out = (out[0] + self.off(parts) - parts, *out[1:])
    return tuple(self.off(t) if isinstance(t, torch.Tensor) else t for t in out) if isinstance(out, tuple) else out

def is_exact(a):
  if a.dtype != np.float64: return True
  return not (np.ascontiguousarray(a).view(np.int64) & (1 << 45) - 1).any() and most(a) <= LARGEST  # bfloat16 has 7 bits
def most(a): return float(np.abs(a).max()) if a.size else 0.0

class Reference:
  """A run of PyTorch; noise: the number of the disturbed one, or None."""
  def __init__(self, kinds, noise=None):
    self.kinds, self.values, self.exact, self.largest, self.noise = kinds, {}, {}, 0.0, None if noise is None else Noise(noise)
  def precision(self, *names):
    """Sets the noise to that of the coarsest dtype; returns the one until now."""
    kind = max((self.kinds[x] for x in names if self.kinds.get(x) in EPS), key=EPS.__getitem__, default="float32")
    before = self.noise.eps, self.noise.least
    self.noise.eps, self.noise.least = EPS[kind], LEAST[kind] if kind == "float16" else 0.0
    return before
  def step(self, s):
    exact = s.exact and all(self.exact[x] for x in s.sources)
    if exact or not self.noise: t = s.call(s.theirs, self.values)
    exact = self.exact[s.name] = exact and is_exact(t.detach().numpy())
    if self.noise and not exact and s.sources:
      self.precision(s.name, *s.sources)
      with self.noise: t = s.call(s.theirs, self.values)
    if any(t is self.values[x] for x in s.sources): t = t.view_as(t)  # a hook of its own, which comes before its source's
    self.values[s.name] = t
    if not t.requires_grad or not self.noise and "float16" not in self.kinds.values(): return
    def hook(g):
      self.largest = max(self.largest, most(g.numpy()))
      if not self.noise: return None
      before = self.precision(s.name)
      g = self.noise.off(g)
      if s.sources: self.precision(s.name, *s.sources)
      else: self.noise.eps, self.noise.least = before
      return g
    t.register_hook(hook)
  def run(self, steps):
    """What is checked, in order; a gradient too large for a float16 is None."""
    out = []
    for s in steps:
      if s.name and s.name not in self.values: self.step(s)
      elif s.kind == BACKWARD:
        if self.noise: self.noise.back = True
        with self.noise or contextlib.nullcontext(): self.values[s.sources[0]].backward()
        if self.noise: self.noise.back = False
      elif s.kind == CHECK: out.append(s.call(s.theirs, self.values))
    lost = self.largest > 1e4 and "float16" in self.kinds.values()
    checks = [s for s in steps if s.kind == CHECK]
    return [None if t is None or lost and "grad" in s.ours else t.detach().numpy() for s, t in zip(checks, out)]

# *** ours ***

def run_ours(steps, drop=True):
  """What is checked, with dtypes, computed where the program says so. Values are dropped after their last use, or not."""
  values, out = {}, []
  last = {name: i for i, s in enumerate(steps) for name in (s.name, *s.sources)}
  for i, s in enumerate(steps):
    if s.name: values[s.name] = s.call(s.ours, values)
    elif s.kind == COMPUTE: Tensor.corealize([values[x] for x in s.sources])
    elif s.kind == BACKWARD: values[s.sources[0]].backward()
    else:
      t = s.call(s.ours, values)
      out.append(None if t is None else (t.dtype, t.numpy()))
    for name in (s.name, *s.sources):
      if drop and name and last[name] == i: values.pop(name, None)
  return out

# *** both ***

class Setting(NamedTuple):
  """How the engine is to run a program."""
  isa: str
  fusion: bool = True
  threads: int = 1
  few: bool = False  # may operations be pending
  def set(self):
    now = _engine.info()
    if now["isa"] != self.isa: _engine.set_isa(self.isa)
    if now["threads"] != self.threads: _engine.set_threads(self.threads)
    _engine.set_fusion(self.fusion)
    _engine.set_pending(*((8, 1 << 14) if self.few else (0, 0)))
  def __str__(self):
    return f"{self.isa}, {'fused' if self.fusion else 'not fused'}, {self.threads} threads{', few pending' if self.few else ''}"

class Comparison:
  """Our results against PyTorch's, which are computed once; disturbed ones when they are needed."""
  def __init__(self, steps, kinds, want=None):
    self.steps, self.kinds, self.checks = steps, kinds, [s for s in steps if s.kind == CHECK]
    self.want, self.noisy = Reference(kinds).run(steps) if want is None else want, []
    self.passed = [[] for _ in self.checks]  # results seen to be right
    self.least = max([LEAST[k] for k in kinds.values() if k in LEAST], default=0.0)  # what any value may have lost below its dtype's least

  def disturbed(self, count):
    while len(self.noisy) < count: self.noisy.append(Reference(self.kinds, len(self.noisy) + 1).run(self.steps))
    return self.noisy[:count]

  def floats(self, i, a, b, dtype):
    """What is wrong with the i-th result a, b being PyTorch's, or None."""
    a = a.astype(np.float64)
    odd = ~np.isfinite(b)
    if odd.any():
      if "grad" in self.checks[i].ours: return None
      same = np.isnan(a) & np.isnan(b) | (a == b)
      for n in self.disturbed(NOISES[2]) if not same[odd].all() else (): same |= np.isfinite(n[i]) == odd
      if not same[odd].all(): return f"{(~same[odd]).sum()} of {odd.sum()} values that are not finite differ"
      a, b = np.where(odd, 0, a), np.where(odd, 0, b)
    error, fair = np.abs(a - b), UNITS * EPS[dtype] * np.abs(b) + UNITS * self.least
    if (error <= fair).all(): return None
    for count in NOISES:
      off = np.max([np.where(odd, 0, np.abs(n[i] - b)) for n in self.disturbed(count) if n[i] is not None] or [0 * b], axis=0)
      wrong = ~(error <= fair + FACTOR * np.nan_to_num(off, nan=math.inf))  # NaN: off so little, it leaves the domain
      if not wrong.any(): return None
    at = np.unravel_index(np.argmax(wrong), wrong.shape)
    return f"{wrong.sum()} of {wrong.size} differ; at {tuple(map(int, at))} {a[at]} and {b[at]}, disturbed by up to {off[at]:.3g}"

  def result(self, i, x):
    """What is wrong with x, the i-th of ours."""
    if (b := self.want[i]) is None: return None
    if x is None: return "missing"
    dtype, a = x
    if any(dtype == d and a.tobytes() == bits for d, bits in self.passed[i]): return None
    if a.shape != b.shape: return f"shapes {a.shape} and {b.shape}"
    if (b.dtype.kind == "f") != (NAMES[dtype] in EPS): return f"{dtype} and {b.dtype}"
    if b.dtype.kind != "f": wrong = None if np.array_equal(a, b) else f"{np.sum(a != b)} of {a.size} integers differ"
    else: wrong = self.floats(i, a, b, NAMES[dtype])
    if not wrong: self.passed[i].append((dtype, a.tobytes()))
    return wrong

  def look(self, setting):
    """What is wrong with this setting's results, or None; and the results."""
    setting.set()
    try: got = run_ours(self.steps)
    except MemoryError: raise
    except Exception as e: return f"{type(e).__name__}: {e}", None
    for i, (s, x) in enumerate(zip(self.checks, got)):
      if wrong := self.result(i, x): return f"{s.text(s.ours)}: {wrong}", got
    return None, got

def summed(steps):
  """Names of values in which floats were added up, gradients' names being None."""
  found = set()
  for s in steps:
    if s.name and (s.sums or found.intersection(s.sources)): found.add(s.name)
  return found

def difference(steps, kinds, settings, want=None, figures=None):
  """(setting, what is wrong with it), or None. The settings come in pairs, with fusion and the same without. want: PyTorch's results, if they are
  known. figures: counts of results that have the same bits in both."""
  compared, inexact = Comparison(steps, kinds, want), summed(steps)
  for pair in zip(settings[::2], settings[1::2]):
    both = []
    for setting in pair:
      wrong, got = compared.look(setting)
      if wrong: return setting, wrong
      both.append(got)
    for s, x, y in zip(compared.checks, *both):
      if x is None or y is None: continue
      same, sums = x[0] == y[0] and np.array_equal(x[1], y[1], equal_nan=x[1].dtype.kind == "f"), "grad" in s.ours or s.sources[0] in inexact
      if figures is not None: figures["sums" if sums else "others", bool(same)] += 1
      if not same and not sums: return pair[0], f"{s.text(s.ours)}: other bits than without fusion, and no sums"
  return None

def order_matters(steps, kinds, setting):
  """What is wrong with results that are read at the end, first to last and last to first: their bits must be the same. 16-bit floats are left out, as
  a product of these that is summed is rounded if it is read before."""
  if {"float16", "bfloat16"} & set(kinds.values()): return None
  setting.set()
  checks = [s for s in steps if s.kind == CHECK]
  graph = [s for s in steps if s.kind not in (CHECK, COMPUTE)]
  for s, x, y in zip(checks, run_ours(graph + checks, False), run_ours(graph + checks[::-1], False)[::-1]):
    if x is None or np.array_equal(x[1], y[1], equal_nan=x[1].dtype.kind == "f"): continue
    return f"{s.text(s.ours)}: other bits where the last result is read first"
  return None

# *** making one smaller ***

def needed(steps):
  """The program without values that nothing refers to, and statements about what there isn't."""
  defined, used, out = {s.name for s in steps}, set(), []
  for s in reversed(steps):
    if not set(s.sources) <= defined or s.name and s.name not in used: continue
    used |= set(s.sources)
    out.append(s)
  return out[::-1]

def new_leaf(name, seed, shape, dtype, kind, requires_grad=False):
  return Step(name, "leaf(p, q, *r)", "reference(p, q, *r)", (), (seed, tuple(shape), (dtype, kind, requires_grad)), True)

def smaller(steps, i, shapes, kinds):
  """Programs without step i: its readers read a source of it in its place, or new numbers."""
  s, rest = steps[i], steps[:i] + steps[i+1:]
  if s.kind == COMPUTE and len(s.sources) > 1:
    return [rest] + [[*steps[:i], s._replace(sources=tuple(x for x in s.sources if x != y)), *steps[i+1:]] for y in s.sources]
  if not s.name: return [rest]
  out = []
  for x in s.sources:
    if shapes[x] == shapes[s.name] and kinds[x] == kinds[s.name]:
      out.append([r._replace(sources=tuple(x if y == s.name else y for y in r.sources)) for r in rest])
  if s.sources: out.append([*steps[:i], new_leaf(s.name, i, shapes[s.name], kinds[s.name], "whole"), *steps[i+1:]])
  return out

def shrink(steps, shapes, kinds, fails):
  """Without steps that can be left out so that fails(steps) still."""
  found = True
  while found:
    found = False
    for i in reversed(range(len(steps))):
      for candidate in smaller(steps, i, shapes, kinds):
        candidate = needed(candidate)
        if not candidate: continue
        try: failed = fails(candidate)
        except Exception: continue  # no program any more
        if failed:
          steps, found = candidate, True
          break
      if found: break
  return steps

def printed(steps, setting):
  lines = ["from program import *", "prepare()", f"{setting!r}.set()"]
  for s in steps:
    ours, theirs = s.text(s.ours), s.text(s.theirs, "t")
    if s.name: lines.append(f"{s.name}, t{s.name} = {ours}, {theirs}")
    elif s.kind == COMPUTE: lines.append(f"Tensor.corealize([{', '.join(s.sources)}])")
    elif s.kind == BACKWARD: lines.append(f"{ours}, {theirs}")
    else: lines.append(f"print({ours}.numpy(), {theirs}, sep='\\n')")
  return "\n".join(lines)
