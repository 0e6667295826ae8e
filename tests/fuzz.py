#!/usr/bin/env python3
"""Random programs, which must compute with teenygrad what they compute with PyTorch in float64.

    python tests/fuzz.py --seed 0 --count 1000 --minutes 5 --isa avx2 --threads 2      (all of them optional)

A program is a list of steps: leaves of all dtypes, operations on earlier values, values computed together in the midst of it, gradients. It runs
twice with teenygrad: as it is, so that operations fuse, and with each value computed at once. Values are dropped after their last use; in every
fifth program few may be pending.

What error is fair, PyTorch tells: it computes a program several times more, each time with every value and every gradient off by random parts of
the precision of teenygrad's dtype. What differs from the undisturbed result by much more than any of these is wrong. Values that are exact in
every dtype of floats, as small whole numbers are, stay undisturbed; operations that jump, such as floor, are only applied to these.

A program that fails is made smaller as long as it still fails, and printed as one that runs on its own, in tests/."""
import argparse, math, random, sys, time, warnings
from dataclasses import dataclass, replace
from typing import Tuple

import numpy as np
import torch
import torch.nn.functional as F
from ops_table import basic, celu, clip, conv, conv_transpose, cross_entropy, divided, gelu, layernorm, padded, pooled, position, std, windows
from teenygrad import Tensor, _engine
from teenygrad.helpers import dtypes

__all__ = ["F", "Tensor", "basic", "celu", "clip", "conv", "conv_transpose", "cross_entropy", "divided", "dtypes", "gelu", "layernorm", "leaf", "np",
           "padded", "pooled", "position", "reference", "std", "torch", "windows"]

torch.set_default_dtype(torch.float64)  # of what it makes of integers
EPS = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
LEAST = {"float16": 2.0**-24}       # the spacing of the smallest numbers, where that matters
INTS = ("int8", "uint8", "int16", "int32", "int64")
NAMES = {getattr(dtypes, name): name for name in (*EPS, *INTS, "bool", "uint16", "uint32", "uint64")}
LARGEST = 2.0**12                   # of values: sums of exact ones stay exact
FACTOR, NOISES = 32, (2, 20)        # errors over the largest disturbance; disturbances, and again to confirm a failure
REALIZE, BACKWARD, CHECK = "realize", "backward", "check"

# *** what a printed program calls ***

def data(seed, shape, dtype):
  """Numbers that the dtype has: whole ones for integers and even seeds."""
  rng = np.random.default_rng(seed)
  if dtype == "bool": return np.array(rng.random(shape) < 0.5)
  if dtype not in EPS: return np.array(rng.integers(0 if dtype == "uint8" else -4, 5, shape))
  a = rng.integers(-4, 5, shape).astype(np.float64) if seed % 2 == 0 else rng.standard_normal(shape)
  return torch.tensor(a).to(getattr(torch, dtype)).double().numpy()
def leaf(seed, shape, dtype, requires_grad=False):
  a = data(seed, shape, dtype)
  x = Tensor(a.astype(np.float32)).cast(dtypes.bfloat16) if dtype == "bfloat16" else Tensor(a.astype(dtype))
  return Tensor(x.lazydata, requires_grad=requires_grad)
def reference(seed, shape, dtype, requires_grad=False): return torch.tensor(data(seed, shape, dtype), requires_grad=requires_grad)

# *** programs ***

@dataclass(frozen=True)
class Step:
  """A value `name`: {0}, {1}, ... of the texts are its sources. exact: exact sources make it exact. Or, without a name, what `kind` says: values are
  computed together, a gradient is computed, values are checked."""
  name: str = ""
  ours: str = ""
  theirs: str = ""
  sources: Tuple[str, ...] = ()
  exact: bool = False
  kind: str = ""
  def text(self): return self.ours.format(*self.sources)
  def their_text(self, prefix=""): return self.theirs.format(*(prefix + x for x in self.sources))

def is_exact(t): return not t.is_floating_point() or bool((t == t.bfloat16()).all() and (abs(t) <= LARGEST).all())
def most(t): return t.detach().double().abs().max().item() if t.numel() else 0.0

class Disturbed:
  """A run of PyTorch. noise: the generator of disturbances, or None."""
  def __init__(self, kinds, noise=None):
    self.kinds, self.noise, self.values, self.exact, self.largest = kinds, noise, {}, {}, 0.0
    self.upstream = {}  # of a value: the largest error that a gradient given to one of its inexact readers may have
  def eps(self, s): return max(EPS.get(self.kinds[x], EPS["float32"]) for x in (s.name, *s.sources))
  def disturb(self, t, s, scale):
    """t, off by random parts of the precision of the step's coarsest dtype: of its size, and a little of the largest one's and of the scale, that of
    what it may be a small difference of."""
    if self.noise is None or not t.is_floating_point() or not t.numel(): return t
    unit = self.eps(s) * (abs(t.detach()) + most(t) / 8) + scale / 8 + max(LEAST.get(self.kinds[x], 0) for x in (s.name, *s.sources))
    return t + unit * (torch.rand(t.shape, generator=self.noise) * 2 - 1)
  def step(self, s):
    t = eval(s.their_text(), globals(), self.values)
    exact = self.exact[s.name] = s.exact and all(self.exact[x] for x in s.sources) and is_exact(t.detach())
    if not exact and s.sources and self.noise: t = self.disturb(t, s, self.eps(s) * max(most(self.values[x]) for x in s.sources))
    if t.requires_grad and t.is_floating_point():
      def hook(g):
        self.largest = max(self.largest, most(g))
        if self.noise and not s.exact:
          for x in s.sources: self.upstream[x] = max(self.upstream.get(x, 0), self.eps(s) * most(g))
        return self.disturb(g, s, self.upstream.get(s.name, 0))
      t.register_hook(hook)
    self.values[s.name] = t
  def run(self, steps):
    """The values to be checked, in order; a gradient too large for a float16 is none."""
    out = []
    for s in steps:
      if s.name: self.step(s)
      elif s.kind == BACKWARD: self.values[s.sources[0]].backward()
      elif s.kind == CHECK: out.append(eval(s.their_text(), globals(), self.values))
    return [None if t is None or g and self.largest > 1e4 else t.detach() for t, g in zip(out, ("grad" in s.ours for s in steps if s.kind == CHECK))]

def run_ours(steps, eager):
  """The values to be checked, computed where the program says so, or each at once."""
  values, out = {}, []
  last = {name: i for i, s in enumerate(steps) for name in (s.name, *s.sources)}
  for i, s in enumerate(steps):
    if s.name:
      values[s.name] = eval(s.text(), globals(), values)
      if eager: values[s.name].realize()
    elif s.kind == REALIZE: Tensor.corealize([values[x] for x in s.sources])
    elif s.kind == BACKWARD: values[s.sources[0]].backward()
    else:
      t = eval(s.text(), globals(), values)
      out.append(None if t is None else (t.dtype, (t.float() if t.dtype == dtypes.bfloat16 else t).numpy().copy()))
    for name in (s.name, *s.sources):
      if name and last[name] == i: values.pop(name, None)
  return out

def difference(steps, kinds):
  """What is wrong with the program, or None."""
  checks = [s for s in steps if s.kind == CHECK]
  want, noisy = Disturbed(kinds).run(steps), []
  for eager in (False, True):
    try: got = run_ours(steps, eager)
    except Exception as e: return f"{type(e).__name__}: {e}"
    for s, x, y, i in zip(checks, got, want, range(len(checks))):
      where = f"{s.text()}{', each value computed at once' if eager else ''}"
      if y is None: continue
      if x is None: return f"{where}: missing"
      dtype, a, b = *x, y.numpy()
      if a.shape != b.shape: return f"{where}: shapes {a.shape} and {b.shape}"
      if (b.dtype.kind == "f") != (NAMES[dtype] in EPS): return f"{where}: {dtype} and {b.dtype}"
      if b.dtype.kind != "f" or NAMES[dtype] not in EPS:
        if not np.array_equal(a, b): return f"{where}: {np.sum(a != b)} of {a.size} integers differ"
        continue
      if not b.size or not np.isfinite(b).all(): continue
      for count in NOISES:
        while len(noisy) < count: noisy.append(Disturbed(kinds, torch.Generator().manual_seed(len(noisy))).run(steps))
        off = np.max([b*0] + [abs(n[i].numpy() - b) for n in noisy if n[i] is not None], axis=0)
        floor = EPS[NAMES[dtype]] * abs(b).max() + LEAST.get(NAMES[dtype], 1e-30)
        wrong = ~(abs(a.astype(np.float64) - b) <= FACTOR * (off + floor))
        if not wrong.any(): break
      else:
        at = np.unravel_index(np.argmax(wrong), wrong.shape)
        return f"{where}: {wrong.sum()} of {wrong.size} differ; at {tuple(map(int, at))} {a[at]} and {b[at]}, disturbed by up to {off[at]:.3g}"
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

def smaller(steps, i, shapes, kinds):
  """Programs without step i: its readers read a source of it in its place, or new numbers."""
  s, rest = steps[i], steps[:i] + steps[i+1:]
  if s.kind == REALIZE and len(s.sources) > 1:
    return [rest] + [[*steps[:i], replace(s, sources=tuple(x for x in s.sources if x != y)), *steps[i+1:]] for y in s.sources]
  if not s.name: return [rest]
  out = []
  for x in s.sources:
    if shapes[x] == shapes[s.name] and kinds[x] == kinds[s.name]:
      out.append([replace(r, sources=tuple(x if y == s.name else y for y in r.sources)) for r in rest])
  if s.sources: out.append([*steps[:i], new_leaf(s.name, 2 * i, shapes[s.name], kinds[s.name]), *steps[i+1:]])
  return out

def shrink(steps, shapes, kinds):
  """Without steps that can be left out so that it still fails."""
  found = True
  while found:
    found = False
    for i in reversed(range(len(steps))):
      for candidate in smaller(steps, i, shapes, kinds):
        candidate = needed(candidate)
        if not candidate: continue
        try: failed = difference(candidate, kinds)
        except Exception: continue  # no program any more
        if failed:
          steps, found = candidate, True
          break
      if found: break
  return steps

def printed(steps):
  lines = ["from fuzz import *"]
  for s in steps:
    ours, theirs = s.text(), s.their_text("t")
    if s.name: lines.append(f"{s.name}, t{s.name} = {ours}, {theirs}")
    elif s.kind == REALIZE: lines.append(f"Tensor.corealize([{', '.join(s.sources)}])")
    elif s.kind == BACKWARD: lines.append(f"{ours}, {theirs}")
    else: lines.append(f"print({ours}.float().numpy(), {theirs}, sep='\\n')")
  return "\n".join(lines)

# *** random ones ***

# Our text, and PyTorch's where it differs. Exact values stay away from kinks by 0.3.
EXACT = [("-{0}",), ("{0}.relu()",), ("{0}.abs()",), ("{0}+1",), ("2-{0}",), ("{0}*2",), ("{0}*0.5",), ("{0}.square()",), ("{0}+{0}",),
         ("{0}.contiguous()",), ("{0}.detach()",), ("{0}*1.0",), ("{0}*{0}",), ("{0}.float()", "{0}.double()"), ("{0}.half()", "{0}.double()"),
         ("{0}.clip(-2, 3)", "clip({0}, -2, 3)"), ("{0}.maximum(1)", "clip({0}, 1, None)"), ("{0}.minimum(1)", "clip({0}, None, 1)"),
         *[(f"{{0}}.cast(dtypes.{name})", "{0}.double()") for name in EPS]]
SMOOTH = [(f"{{0}}.{name}()",) for name in ("sin", "cos", "tanh", "sigmoid", "asinh")]
SMOOTH += [(text,) for text in (
  "({0}*0.3).exp()", "({0}*0.5).exp2()", "({0}.abs()+0.5).log()", "({0}.abs()+0.5).log2()", "({0}*{0}+0.5).sqrt()", "({0}*{0}+0.5).rsqrt()",
  "({0}*{0}+0.5).reciprocal()", "({0}*0.2).tan()", "({0}*0.3).sinh()", "({0}*0.3).cosh()", "({0}.abs()+1.5).acosh()",
  "({0}.tanh()*0.5).atanh()", "1/({0}*{0}+1)", "({0}*{0}+1)**0.7", "{0}**3", "2.0**({0}*0.3)", "({0}.abs()+1)**-1.5")]
SMOOTH += [("{0}.gelu()", "gelu({0})"), ("{0}.swish()", "F.silu({0})"), ("{0}.mish()", "F.mish({0})"), ("({0}+0.3).celu()", "celu({0}+0.3)"),
           ("{0}.softplus()", "torch.logaddexp({0}, 0*{0})"), ("{0}.quick_gelu()", "{0}*torch.sigmoid(1.702*{0})"), ("{0}/3", "divided({0}, 3)"),
           ("1+({0}+0.3).binary_crossentropy_logits({0}.sigmoid())", "1+F.binary_cross_entropy_with_logits({0}+0.3, {0}.sigmoid())")]
SMOOTH += [(f"({{0}}+0.3).{ours}()", f"F.{theirs}({{0}}+0.3)") for ours, theirs in (
  ("softsign", "softsign"), ("elu", "elu"), ("leakyrelu", "leaky_relu"), ("relu6", "relu6"), ("hardswish", "hardswish"), ("hardtanh", "hardtanh"))]
JUMPS = [("{0}.sign()",), ("({0}*0.5).floor()",), ("({0}*0.5).ceil()",), ("({0}*0.5).trunc()",), ("{0}<1",), ("{0}>=0",), ("{0}==1",), ("{0}!=0",),
         ("{0}<=-1",), ("({0}>0)",), ("{0}.cast(dtypes.int32)", "{0}.long()"), ("{0}.cast(dtypes.int64)", "{0}.long()"),
         ("{0}.cast(dtypes.bool)", "{0}!=0"), ("{0}.abs().cast(dtypes.uint8)", "{0}.abs().long()")]
PAIRS = [("{0}+{1}",), ("{0}-{1}",), ("{0}*{1}",), ("{0}.maximum({1})", "torch.maximum({0}, {1})"),
         ("{0}.minimum({1})", "torch.minimum({0}, {1})")]
SMOOTH_PAIRS = [("{0}/({1}*{1}+1)",), ("({0}*{0}+1)**({1}*0.2)",), ("({0}-{1}).square()",)]
JUMPING_PAIRS = [("{0}<{1}",), ("{0}>{1}",), ("{0}<={1}",), ("{0}=={1}",), ("{0}!={1}",)]

class Generator:
  """steps, and what is known of the values; failed: ours refused one that PyTorch computes."""
  def __init__(self, seed):
    self.random, self.seed, self.steps, self.shapes, self.kinds, self.failed, self.rejected = random.Random(seed), seed << 12, [], {}, {}, False, 0
    self.their_run, self.values = Disturbed(self.kinds), {}
    self.limit = self.random.choice([300, 3000, 3000, 20000, 20000, 100000])  # elements of a value
    for _ in range(self.random.choice([1, 1, 2, 3])): self.leaf(self.any_shape())
    for _ in range(self.random.choice([2, 4, 8, 16, 30])):
      self.random.choice(OPERATIONS)(self)
      if self.failed: break
      if self.random.random() < 0.06: self.statement(REALIZE, self.some(3))
    self.finish()

  # what is chosen
  def one(self, items): return self.random.choice(items)
  def some(self, most): return tuple(self.random.sample(names := list(self.shapes), min(len(names), self.random.randint(1, most))))
  def size(self): return self.one([1, 2, 2, 3, 3, 4, 5, 7, 8, 9, 16, 17, 31, 33, 64, self.random.randint(1, 70), self.one([0, 1, 130, 1030])])
  def any_shape(self):
    while True:
      shape = tuple(self.size() for _ in range(self.one([0, 1, 1, 2, 2, 2, 3, 3, 4, 4])))
      if len(shape) == 4 and self.random.random() < 0.7: shape = tuple(self.random.randint(*ends) for ends in ((1, 5), (1, 6), (3, 14), (3, 14)))
      if math.prod(shape) <= self.limit: return shape
  def pick(self, least=0, exact=False, floats=False, numbers=False):
    """A value, rather a late one, of at least so many axes; or None."""
    names = [n for n, shape in self.shapes.items() if len(shape) >= least and (not exact or self.their_run.exact[n])
             and (not floats or self.kinds[n] in EPS) and (not numbers or self.kinds[n] != "bool")]
    return names[int(len(names) * self.random.random()**0.5)] if names else None
  def axis(self, name): return self.random.randrange(n := len(self.shapes[name])) - self.one([0, n])
  def number(self): self.seed += 1; return self.seed

  # what is added
  def add(self, sources, ours, theirs=None, exact=False):
    """A step and its value's name; None if PyTorch refuses it or the value is too large."""
    s = Step(f"v{len(self.steps)}", ours, ours if theirs is None else theirs, tuple(sources), exact)
    try: self.their_run.step(s)
    except Exception: t = None
    else: t = self.their_run.values[s.name].detach()
    if t is None or t.numel() > self.limit or t.numel() and not (t.isfinite().all() and t.double().abs().max() <= LARGEST):
      self.rejected += 1
      return None
    try: x = self.values[s.name] = eval(s.text(), globals(), self.values)
    except OverflowError: return None  # a negative number for an unsigned type
    except Exception:
      self.failed, self.shapes[s.name], self.kinds[s.name] = True, tuple(t.shape), "float32"
      self.steps.append(s)
      return None
    if NAMES[x.dtype] in INTS and t.numel() and not np.iinfo(x.dtype.np).min <= t.min() <= t.max() <= np.iinfo(x.dtype.np).max: return None
    self.shapes[s.name], self.kinds[s.name] = tuple(x.shape), NAMES[x.dtype]
    self.steps.append(s)
    return s.name
  def statement(self, kind, sources, text=""): self.steps.append(Step(ours=text, theirs=text, sources=sources, kind=kind))
  def leaf(self, shape, dtype=None, whole=None):
    dtype = dtype or self.one(["float32"] * 8 + ["float64", "float16", "bfloat16", "int32", "int64", "int8", "uint8", "bool"])
    seed = self.number() * 2 + (self.random.random() < 0.5 if whole is None else not whole)
    s = new_leaf("", seed, shape, dtype, dtype in EPS and self.random.random() < 0.7)
    return self.add((), s.ours, s.theirs, True)

  def finish(self):
    """Gradients of what some values come to, and the values to be checked, in any order and some of them together."""
    leaves = [s.name for s in self.steps if s.name and not s.sources and s.ours.endswith("True)") and s.name in self.their_run.values]
    ends = [n for n in self.shapes if n in self.values and self.their_run.values[n].requires_grad and self.kinds[n] in EPS and n not in leaves]
    checks = [Step(ours="{0}", theirs="{0}", sources=(n,), kind=CHECK) for n in self.shapes if self.random.random() < 0.4 or self.failed]
    if ends and not self.failed and self.random.random() < 0.8:
      parts = []
      for n in {ends[-1], self.one(ends), self.one(ends)}:
        w = self.leaf(self.shapes[n], "float32")
        part = w and self.add((n, w), "({0}*{1}).sum()")
        if part: parts.append(part)
      while len(parts) > 1 and (total := self.add(parts[-2:], "{0}+{1}")): parts[-2:] = [total]
      if parts and self.their_run.values[parts[-1]].requires_grad:
        self.statement(BACKWARD, (parts[-1],), "{0}.backward()")
        checks += [Step(ours="{0}.grad", theirs="{0}.grad", sources=(n,), kind=CHECK) for n in leaves]
    self.random.shuffle(checks)
    for c in checks:
      if self.random.random() < 0.3: self.statement(REALIZE, self.some(4))
      self.steps.append(c)

def new_leaf(name, seed, shape, dtype, requires_grad=False):
  arguments = f"({seed}, {tuple(shape)}, {dtype!r}, {requires_grad})"
  return Step(name, "leaf" + arguments, "reference" + arguments, exact=True)

def elementwise(g):
  exact = g.random.random() < 0.5
  if x := g.pick(numbers=True, floats=not exact): g.add((x,), *g.one(EXACT if exact else SMOOTH), exact=exact)
def jump(g):
  if x := g.pick(exact=True, numbers=True): g.add((x,), *g.one(JUMPS), exact=True)

def partner(g, x):
  """A value that broadcasts with x, or new numbers that do."""
  def fits(n):
    try: return math.prod(np.broadcast_shapes(g.shapes[x], g.shapes[n])) <= g.limit
    except ValueError: return False
  names = [n for n in g.shapes if fits(n)]
  if g.random.random() < 0.75: return g.one(names)
  shape = tuple(n if g.random.random() < 0.7 else 1 for n in g.shapes[x])
  return g.leaf(shape[g.random.randint(0, len(shape)) if g.random.random() < 0.3 else 0:])
def pair(g):
  x, kind = g.pick(numbers=True), g.random.random()
  if not x or not (y := partner(g, x)): return
  sources = (x, y) if g.random.random() < 0.5 else (y, x)
  if kind < 0.7: g.add(sources, *g.one(PAIRS), exact=True)
  elif kind < 0.85:
    if g.kinds[x] in EPS and g.kinds[y] in EPS: g.add(sources, *g.one(SMOOTH_PAIRS))
  elif g.their_run.exact[x] and g.their_run.exact[y]: g.add(sources, *g.one(JUMPING_PAIRS), exact=True)
def choice(g):
  if not (c := g.pick(exact=True)) or not (x := partner(g, c)) or not (y := partner(g, x)): return
  g.add((c, x, y), "({0}>0).where({1}, {2})", "torch.where({0}>0, {1}, {2})", exact=True)

def reduction(g):
  if not (x := g.pick(1)): return
  n, keep = len(g.shapes[x]), g.random.random() < 0.7
  axis = tuple(sorted(g.random.sample(range(n), g.random.randint(1, n)))) if g.random.random() < 0.5 else (g.random.randrange(n),)
  arguments = f"({axis}, {keep})"
  ours, theirs, exact = g.one([("sum", "{0}.sum", True), ("sum", "{0}.sum", True), ("max", "{0}.amax", True), ("min", "{0}.amin", True),
                               ("mean", "{0}.double().mean", False)])
  out = g.add((x,), "{0}." + ours + arguments, theirs + arguments, exact)
  if out and keep and g.kinds[x] != "bool" and g.random.random() < 0.7: g.add((x, out), g.one(["{0}-{1}", "{0}*{1}", "{0}+{1}*{0}"]), exact=True)
def along(g):
  if not (x := g.pick(1, floats=True)): return
  axis = g.axis(x)
  kind = g.one(["softmax", "log_softmax", "cumsum", "std", "layernorm", "argmax", "argmin", "normalised", "logits"])
  if kind in ("softmax", "log_softmax"): g.add((x,), f"{{0}}.{kind}({axis})")
  elif kind == "cumsum":
    if g.shapes[x][axis] <= 2000: g.add((x,), f"{{0}}.cumsum({axis})", exact=True)
  elif kind == "std":
    if (g.their_run.values[x].detach().std(axis) > 0.01).all(): g.add((x,), f"{{0}}.std({axis}, True)", f"std({{0}}, {axis}, True)")
  elif kind == "layernorm": g.add((x,), f"{{0}}.layernorm({axis}, 0.1)", f"layernorm({{0}}, {axis}, 0.1)")
  elif kind == "normalised": g.add((x,), f"{{0}}*({{0}}*{{0}}+0.5).sum({axis}, True).rsqrt()")
  elif kind == "logits":
    rows, classes = g.shapes[x][:-1], g.shapes[x][-1]
    labels = f"np.random.default_rng({g.number()}).integers(0, {max(classes, 1)}, {rows})"
    g.add((x,), f"{{0}}.sparse_categorical_crossentropy(Tensor(np.array({labels})))+1", f"cross_entropy({{0}}, torch.tensor({labels}))+1")
  elif g.their_run.exact[x]: g.add((x,), f"{{0}}.{kind}({axis})", f"position(np.{kind})({{0}}.detach(), {axis}).long()", exact=True)

def movement(g):
  if not (x := g.pick(1)): return
  shape, r = g.shapes[x], g.random
  n, axis = len(shape), g.axis(x)
  pads = tuple((r.choice([0, 0, 1, 2]), r.choice([0, 0, 1, 3])) for _ in shape)
  ends = tuple(tuple(sorted((r.randint(0, s // 3), r.randint(s - s // 3, s)))) for s in shape)
  order = tuple(r.sample(range(n), n))
  factors = [f for s in shape for f in ((s,) if s < 4 or s % 2 or r.random() < 0.5 else (2, s // 2))]
  merged = [*factors[:(k := r.randrange(len(factors)))], math.prod(factors[k:k + 2]), *factors[k + 2:]]
  copies = r.randint(1, 3)
  g.add((x,), *g.one([
    (f"{{0}}.reshape({tuple(merged)})",), (f"{{0}}.reshape({tuple(factors)})",), (f"{{0}}.permute({order})",), (f"{{0}}.permute({order})",),
    (f"{{0}}.transpose({axis}, {g.axis(x)})",), (f"{{0}}.flip({axis})", f"{{0}}.flip(({axis},))"), (f"{{0}}.pad({pads})", f"padded({{0}}, {pads})"),
    (f"{{0}}.shrink({ends})", "{0}[" + ", ".join(f"{a}:{b}" for a, b in ends) + "]"), (f"{{0}}.unsqueeze({axis})",), ("{0}.squeeze()",),
    (f"{{0}}.unsqueeze({axis % n}).expand({(*shape[:axis % n], copies, *shape[axis % n:])})",), ("{0}.flatten()",),
    (f"{{0}}.repeat({(copies,) * n})",), (f"{{0}}.triu({copies - 2})",), (f"{{0}}.tril({copies - 2})",),
    (f"{{0}}.chunk({copies}, {axis})[0]",), (f"{{0}}.chunk({copies}, {axis})[-1]",)]), exact=True)
def joined(g):
  if not (x := g.pick(1)): return
  like = [n for n in g.shapes if g.shapes[n] == g.shapes[x]]
  axis, others = g.axis(x), (x, *(g.one(like) for _ in range(g.random.randint(0, 2))))
  names = ", ".join(f"{{{i}}}" for i in range(len(others)))
  if g.random.random() < 0.7: g.add(others, f"Tensor.cat({names}, dim={axis})", f"torch.cat([{names}], {axis})", exact=True)
  else: g.add(others, f"Tensor.stack([{names}], {axis})", f"torch.stack([{names}], {axis})", exact=True)

def indexing(g):
  if not (x := g.pick(1)): return
  shape, r = g.shapes[x], g.random
  def piece(s):
    if s and r.random() < 0.3: return str(r.randrange(-s, s))
    return f"slice({r.choice([None, r.randint(-s - 1, s + 1)])}, {r.choice([None, r.randint(-s - 1, s + 1)])}, {r.choice([None, 1, 2, 3, -1, -2])})"
  kind, k = r.random(), r.randrange(len(shape))
  if kind < 0.5:
    key = "(" + "".join(piece(s) + ", " for s in shape[:r.randint(1, len(shape))]) + ")"
    g.add((x,), f"{{0}}[{key}]", f"basic({{0}}, {key})", exact=True)
  elif not shape[k]: return
  elif kind < 0.75:
    at, lead = [r.randrange(-shape[k], shape[k]) for _ in range(r.randint(1, 6))], ":, " * k
    at = [at, at[::-1]] if r.random() < 0.3 else at
    g.add((x,), f"{{0}}[{lead}{at}]", f"{{0}}[{lead}torch.tensor({at})]", exact=True)
  else:
    sizes = tuple(r.randint(1, 9) if i == k else r.randint(max(1, s - 2), s) if s else 0 for i, s in enumerate(shape))
    at = f"np.random.default_rng({g.number()}).integers(0, {shape[k]}, {sizes})"
    g.add((x,), f"{{0}}.gather(Tensor({at}), {k})", f"{{0}}.gather({k}, torch.tensor({at}))", exact=True)

def product(g):
  if not (x := g.pick(1, floats=True)): return
  shape, r = g.shapes[x], g.random
  like = [n for n in g.shapes if g.kinds[n] in EPS and len(g.shapes[n]) > 1 and g.shapes[n][-2] == shape[-1]]
  y = g.one(like) if like and r.random() < 0.5 else g.leaf((shape[-1], g.size()), g.one(["float32", g.kinds[x]]))
  kind = r.random()
  if kind < 0.2 and len(shape) > 1: g.add((x,), "({0} @ {0}.transpose(-1, -2))*0.125", exact=True)
  elif kind < 0.35 and len(shape) > 1:
    name, causal = "scaled_dot_product_attention", f"is_causal={r.random() < 0.5}"
    if y := g.add((x,), "{0}.tanh()"): g.add((y,), f"{{0}}.{name}({{0}}, {{0}}, {causal})", f"F.{name}({{0}}, {{0}}, {{0}}, {causal})")
  elif y and kind < 0.5:
    if b := g.leaf(g.shapes[y][-1:]): g.add((x, y, b), "{0}.linear({1}, {2})", "{0} @ {1} + {2}", exact=True)
  elif y: g.add((x, y), "{0} @ {1}", exact=True)

def convolution(g):
  if not (x := g.pick(3, floats=True)) or len(g.shapes[x]) > 5 or not g.shapes[x][1]: return
  (_, channels, *size), r = g.shapes[x], g.random
  groups = r.choice([k for k in (1, 1, 2, 3, channels) if channels % k == 0])
  kernel, stride, dilation = ([r.choice(items) for _ in size] for items in ([1, 2, 3, 3, 4], [1, 1, 2, 3], [1, 1, 1, 2]))
  o, bias = r.choice([1, 2, 5]), r.random() < 0.3
  common = f"groups={groups}, stride={tuple(stride)}, dilation={tuple(dilation)}"
  if r.random() < 0.65:
    name, theirs, channels = "conv2d", "conv", (groups * o, channels // groups)
    padding = tuple(r.choice([0, 1, 1, 2]) for _ in range(2 * len(size)))
  else:
    name, theirs, channels = "conv_transpose2d", "conv_transpose", (channels, o)
    padding = tuple(r.randint(0, d * (k - 1)) // 2 for d, k in zip(dilation, kernel))
    common += f", output_padding={tuple(r.randrange(s) for s in stride)}"
  w, b = g.leaf((*channels, *kernel), g.one(["float32", g.kinds[x]])), bias and g.leaf((groups * o,), "float32")
  if not w: return
  sources, arguments = (x, w, b) if b else (x, w), f"{'{1}, {2}' if b else '{1}'}, padding={padding}, {common}"
  g.add(sources, f"{{0}}.{name}({arguments})", f"{theirs}({{0}}, {arguments})", exact=True)
def pool(g):
  if not (x := g.pick(1)): return
  r, n = g.random, min(len(g.shapes[x]), g.one([1, 2, 2, 2, 3]))
  kernel, stride, dilation = (tuple(r.choice(items) for _ in range(n)) for items in ([1, 2, 2, 3], [1, 2, 2, 3], [1, 1, 1, 2]))
  kind, theirs = g.one([("max_pool2d", "pooled(torch.amax)"), ("avg_pool2d", "pooled(torch.mean)"), ("_pool", "windows")])
  if any(d * (k - 1) >= s for d, k, s in zip(dilation, kernel, g.shapes[x][-n:])): kind, theirs = "_pool", "windows"  # which may be empty
  arguments = f"{kernel}, {g.one([kernel, stride]) if kind == '_pool' else g.one([None, stride])}, {dilation}"
  g.add((x,), f"{{0}}.{kind}({arguments})", f"{theirs}({{0}}, {arguments})", exact=kind != "avg_pool2d")

OPERATIONS = [operation for operation, weight in {
  elementwise: 5, jump: 2, pair: 6, choice: 1, reduction: 4, along: 3, movement: 6, joined: 1, indexing: 2, product: 2, convolution: 2, pool: 2,
}.items() for _ in range(weight)]

def main():
  parser = argparse.ArgumentParser(description="Random programs, which must compute with teenygrad what they compute with PyTorch.")
  for name, default, text in (("seed", 0, "of the first program"), ("count", 1000, "programs")):
    parser.add_argument(f"--{name}", type=int, default=default, help=f"{text} ({default})")
  parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so many")
  parser.add_argument("--isa", help="only this instruction set; else each program has another one and 1 to 4 threads")
  parser.add_argument("--threads", type=int, help="only so many threads")
  args = parser.parse_args()
  warnings.simplefilter("ignore")
  np.seterr(all="ignore")
  torch.set_num_threads(1)
  usual = _engine.set_pending(0, 0)
  start, failures, values, done = time.monotonic(), 0, 0, 0
  for seed in range(args.seed, args.seed + args.count):
    if time.monotonic() - start > 60 * args.minutes: break
    isa, threads = args.isa or ("base", "avx2", "avx512")[seed % 3], args.threads or seed // 3 % 4 + 1
    try: _engine.set_isa(isa)
    except ValueError: isa = _engine.info()["isa"]
    _engine.set_threads(threads)
    _engine.set_pending(*((8, 1 << 14) if seed % 5 == 4 else usual))
    g = Generator(seed)
    done, values = done + 1, values + sum(s.kind == CHECK for s in g.steps)
    if not (wrong := difference(g.steps, g.kinds)): continue
    failures += 1
    steps = shrink(g.steps, g.shapes, g.kinds)
    print(f"# seed {seed}, {isa}, {threads} threads: {wrong}\n# {difference(steps, g.kinds)}\n{printed(steps)}\n", flush=True)
  print(f"{done} programs, {values} values, {failures} failures in {time.monotonic() - start:.0f} s")
  return failures > 0

if __name__ == "__main__": sys.exit(main())
