"""Random graphs, which must compute with teenygrad what they compute with PyTorch in float64: on each instruction set, with operations fused and each
computed on its own. How results are compared tells program.py.

    python tests/stress/graphs.py --seed 0 --count 1000 --minutes 5 --isa avx2 --threads 2      (all of them optional)

A graph has leaves of all dtypes, operations on earlier values, values computed together in the midst of it, reads in any order, and gradients. Its
seed determines it, as well as the number of threads and how many operations may be pending. One in ten has infinities, NaN and zeros of both signs
among its numbers, and then no gradients.

A graph that fails is made smaller as long as it still fails, and printed as a program that runs in this folder."""
# ruff: noqa: E501  (tables)
import argparse, collections, gc, math, random, re, sys, time

import numpy as np
from program import BACKWARD, CHECK, COMPUTE, EPS, LARGEST, NAMES, Reference, Setting, Step, difference, most, new_leaf, order_matters, prepare, printed, shrink

from teenygrad import _engine

INTS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
LEAVES = ["float32"] * 12 + ["float64", "float16", "bfloat16"] * 2 + ["int32", "int64", "bool", *INTS]

# *** tables: our text, and PyTorch's where it differs ***

def both(*texts): return [(t, t) if isinstance(t, str) else t for t in texts]

# Exact values stay away from kinks by a quarter. What is added is exact in all dtypes.
EXACT = both(
  "-x", "x.neg()", "x.relu()", "x.abs()", "x+1", "2-x", "x*2", "x*0.5", "x.square()", "x+x", "x.contiguous()", "x.detach()", "x*1.0", "x*x",
  ("x.float()", "x*1.0"), ("x.half()", "x*1.0"), ("x.clip(-2, 3)", "clip(x, -2, 3)"), ("x.maximum(1)", "clip(x, 1, None)"),
  ("x.minimum(1)", "clip(x, None, 1)"), ("x.contiguous_backward()", "x+0"), ("x.to('CPU')", "x+0"), ("x+x.ones_like()", "x+1"),
  ("x-x.full_like(2)", "x-2"), ("x+x.zeros_like()", "x+0"), ("x.sequential([Tensor.relu, Tensor.neg])", "-x.relu()"), ("x.mul(3)", "x*3"),
  ("x.sub(1, True)", "1-x"), ("x.add(2)", "x+2"), ("x.cpu()", "x+0"), *[(f"x.cast(dtypes.{name})", "x*1.0") for name in EPS])
SMOOTH = both(
  *[f"x.{name}()" for name in ("sin", "cos", "tanh", "sigmoid", "asinh")], "(x*0.3).exp()", "(x*0.5).exp2()", "(x.abs()+0.5).log()",
  "(x.abs()+0.5).log2()", "(x*x+0.5).sqrt()", "(x*x+0.5).rsqrt()", "(x*x+0.5).reciprocal()", "(x*0.2).tan()", "(x*0.3).sinh()", ("(x*0.3).cosh()", "((x*0.3).exp()+(x*-0.3).exp())/2"),
  "(x.abs()+1.5).acosh()", "(x.tanh()*0.5).atanh()", "1/(x*x+1)", "(x*x+1)**0.7", "x**3", "2.0**(x*0.3)", "(x.abs()+1)**-1.5", "(x.abs()+1)**0.5",
  ("x.gelu()", "gelu(x)"), ("x.swish()", "F.silu(x)"), ("x.silu()", "F.silu(x)"), ("x.mish()", "F.mish(x)"), ("(x+0.25).celu()", "celu(x+0.25)"),
  ("x.softplus()", "torch.logaddexp(x, 0*x)"), ("x.quick_gelu()", "x*torch.sigmoid(1.702*x)"), ("x/3", "divided(x, 3)"), ("x.div(1.7)", "x/1.7"),
  ("(x*0.2+0.5).clip(0.1, 0.9).binary_crossentropy((x*0.3).sigmoid())+1",
   "binary_crossentropy(clip(x*0.2+0.5, 0.1, 0.9), (x*0.3).sigmoid())+1"),
  ("1+(x+0.25).binary_crossentropy_logits(x.sigmoid())", "1+F.binary_cross_entropy_with_logits(x+0.25, x.sigmoid())"),
  ("x.sin().mse_loss(x)+1", "F.mse_loss(x.sin(), x)+1"), ("(x*0.5).l1_loss(x.abs()+1)", "F.l1_loss(x*0.5, x.abs()+1)"), ("x.lerp(x*x, 0.25)", "x+(x*x-x)*0.25"),
  *[(f"(x+0.25).{ours}()", f"F.{theirs}(x+0.25)") for ours, theirs in (
    ("softsign", "softsign"), ("elu", "elu"), ("leakyrelu", "leaky_relu"), ("relu6", "relu6"), ("hardswish", "hardswish"), ("hardtanh", "hardtanh"))])
WHOLE = both(  # of int32
  ("x.bitwise_and(6)", "x & 6"), ("x.bitwise_or(9)", "x | 9"), ("x.bitwise_xor(5)", "x ^ 5"), ("x.bitwise_not()", "~x"), ("x.lshift(2)", "x << 2"),
  ("x.rshift(1)", "x >> 1"), ("x.floor_divide(3)", "x // 3"), ("x.mod(3)", "x % 3"), ("x % -5", "x % -5"), "x.sort(-1)[0] if x.ndim else x")
JUMPS = both(
  *[(re.sub(r"\bx\b", "x.cast(dtypes.int32)", ours), re.sub(r"\bx\b", "x.long()", theirs)) for ours, theirs in WHOLE],
  "x.isnan()", "x.isinf()", ("x.isfinite()", "x.isfinite()"), "x.masked_fill(x > 1, 2)", ("x.floor_divide(2)", "torch.div(x.detach(), 2, rounding_mode='floor')"),
  ("x.mod(3)", "torch.remainder(x, 3)"), ("x.cast(dtypes.int32).mod(4).one_hot(4)", "F.one_hot(x.long() % 4, 4)"), ("x.any()", "(x != 0).any()"), ("x.all()", "(x != 0).all()"),
  "x.sign()", "(x*0.5).floor()", "(x*0.5).ceil()", "(x*0.5).trunc()", "x<1", "x>=0", "x==1", "x!=0", "x<=-1", "(x>0)",
  *[(f"x.cast(dtypes.{name})", "x.long()") for name in ("int8", "int16", "int32", "int64")], ("x.cast(dtypes.bool)", "x!=0"),
  *[(f"x.abs().cast(dtypes.{name})", "x.abs().long()") for name in ("uint8", "uint16", "uint32", "uint64")],
  ("x.float().bitcast(dtypes.int32)", "x.float().view(torch.int32).long()"),
  ("x.abs().cast(dtypes.uint32).bitcast(dtypes.float32).bitcast(dtypes.int32)", "x.abs().long()"))
PAIRS = both("x+y", "x-y", "x*y", ("x.maximum(y)", "torch.maximum(x, y)"), ("x.minimum(y)", "torch.minimum(x, y)"))
SMOOTH_PAIRS = both("x/(y.abs()+1)", "(x*x+1)**(y*0.2)", "(x-y).square()", ("(x*x+1).pow((y*0.3).cos())", "(x*x+1)**(y*0.3).cos()"))
JUMPING_PAIRS = both("x<y", "x>y", "x<=y", "x>=y", "x==y", "x!=y")
# For infinities, NaN and zeros.
ODD = both(
  "-x", "x.relu()", "x.abs()", "x+1", "2-x", "x*2", "x.square()", "x+x", "x*x", "x-x", "x.contiguous()", "x.tanh()", "x.sigmoid()", "x.exp()", "x.log()",
  "x.sqrt()", "x.exp2()", "x.log2()", "x.sin()", "x.abs().rsqrt()", "x.square().reciprocal()", "1/x.abs()", "x.asinh()", "x.cosh()", "x.floor()", "x.ceil()", "x.trunc()",
  "x**2", "x**3", "x**0.5", "x**0", "2.0**x", ("x.float()", "x*1.0"), ("x.half()", "x*1.0"), ("x.clip(-2, 3)", "clip(x, -2, 3)"),
  ("x.maximum(1)", "clip(x, 1, None)"), ("x.cast(dtypes.bfloat16)", "x*1.0"), ("x.cast(dtypes.float64)", "x*1.0"), "x<1", "x>=0", "x==x", "x!=x",
  ("x.cast(dtypes.bool)", "x!=0"), ("x.softplus()", "torch.logaddexp(x, torch.zeros(()))"), "(x>0)*1.0")

# *** random graphs ***

class Generator:
  """steps, and what is known of the values. want: PyTorch's results, as it has computed all on the way."""
  def __init__(self, seed):
    self.random, self.seed, self.steps, self.shapes, self.kinds, self.their_run = random.Random(seed), seed << 10, [], {}, {}, None
    self.their_run, self.values, self.failed = Reference(self.kinds), {}, False
    self.odd = self.random.random() < 0.1
    self.large = self.random.random() < 0.0005  # enough for chains of kernels
    self.limit = 1 << 22 if self.large else self.random.choices([100, 1000, 5000, 20000, 100000], [40, 40, 15, 4.5, 0.5])[0]  # elements of a value
    operations = [attention_of_many] if self.large else ODD_OPERATIONS if self.odd else OPERATIONS
    computed = self.random.choice([0, 0.06, 0.06, 0.3])
    for _ in range(self.random.choice([1, 1, 2, 3])): self.leaf(self.any_shape())
    for _ in range(1 if self.large else self.random.choice([1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 12, 20])):
      self.random.choice(operations)(self)
      if self.failed: break
      if self.random.random() < computed: self.statement(COMPUTE, self.some(3))
    self.finish()
    self.values.clear()
    self.want = None if "float16" in self.kinds.values() else self.their_run.run(self.steps)  # gradients too large for it have to be looked for

  # what is chosen
  def one(self, items): return self.random.choice(items)
  def some(self, most): return tuple(self.random.sample(names := list(self.shapes), min(len(names), self.random.randint(1, most))))
  def size(self): return self.one([1, 2, 2, 3, 3, 4, 5, 7, 8, 9, 16, 17, 31, 33, 64, self.random.randint(1, 70), self.one([0, 1, 130, 1030])])
  def any_shape(self):
    while True:
      shape = tuple(self.size() for _ in range(self.one([0, 1, 1, 2, 2, 2, 3, 3, 4, 4])))
      if len(shape) == 4 and self.random.random() < 0.7: shape = tuple(self.random.randint(*ends) for ends in ((1, 3), (1, 6), (3, 9), (3, 9)))
      if math.prod(shape) <= min(self.limit, 100000): return shape
  def pick(self, least=0, exact=False, floats=False, numbers=False):
    """A value, rather a late one, of at least so many axes; or None."""
    names = [n for n, shape in self.shapes.items() if len(shape) >= least and (not exact or self.their_run.exact[n])
             and (not floats or self.kinds[n] in EPS) and (not numbers or self.kinds[n] != "bool")]
    return names[int(len(names) * self.random.random()**0.5)] if names else None
  def axis(self, name): return self.random.randrange(n := len(self.shapes[name])) - self.one([0, n])
  def number(self): self.seed += 1; return self.seed

  # what is added
  def add(self, sources, ours, theirs=None, *args, exact=False, sums=False):
    """A step and its value's name; None if PyTorch refuses it or the value is too large. failed: ours refused what PyTorch computes."""
    s = Step(f"v{len(self.steps)}", ours, ours if theirs is None else theirs, tuple(sources), args, exact, sums)
    try: self.their_run.step(s)
    except Exception: return None
    t = self.their_run.values[s.name]
    a = t.detach().numpy()
    if a.size > self.limit or a.ndim > 8: return self.forget(s)
    largest = most(a[np.isfinite(a)] if self.odd and a.dtype.kind == "f" else a)
    if not largest <= LARGEST: return self.forget(s)
    try: x = self.values[s.name] = s.call(s.ours, self.values)
    except OverflowError: return self.forget(s)  # a negative number for an unsigned type
    except MemoryError: raise
    except Exception:
      self.failed, self.shapes[s.name], self.kinds[s.name] = True, t.shape, "float32"
      self.steps.append(s)
      return None
    kind = NAMES[x.dtype]
    if kind in INTS and a.size and not np.iinfo(kind).min <= a.min() <= a.max() <= np.iinfo(kind).max: return self.forget(s)
    self.shapes[s.name], self.kinds[s.name] = x.shape, kind
    self.steps.append(s)
    return s.name
  def forget(self, s):
    """Takes the step's value back."""
    del self.their_run.values[s.name]
    self.values.pop(s.name, None)
  def statement(self, kind, sources, text=""): self.steps.append(Step(ours=text, theirs=text, sources=sources, kind=kind))
  def leaf(self, shape, dtype=None):
    dtype = dtype or self.one(LEAVES)
    kind = "odd" if self.odd and dtype in EPS else self.one(["whole", "normal"])
    s = new_leaf("", self.number(), shape, dtype, kind, dtype in EPS and not self.odd and self.random.random() < 0.7)
    return self.add((), s.ours, s.theirs, *s.args, exact=True)

  def finish(self):
    """Gradients of what some values come to, and the values to be checked, in any order and some of them together or twice."""
    leaves = [s.name for s in self.steps if s.name and not s.sources and s.theirs[:3] == "ref" and s.args[2][2]]
    ends = [n for n in self.shapes if n in self.values and self.their_run.values[n].requires_grad and self.kinds[n] in EPS and n not in leaves]
    checks = [Step(ours="x", theirs="x", sources=(n,), kind=CHECK) for n in self.shapes if self.random.random() < 0.4 or self.failed]
    if ends and not self.failed and self.random.random() < 0.7:
      parts = []
      for n in {ends[-1], self.one(ends)}:
        w = self.leaf(self.shapes[n], "float32")
        part = w and self.add((n, w), "(x*y).sum()", sums=True)
        if part: parts.append(part)
      while len(parts) > 1 and (total := self.add(parts[-2:], "x+y")): parts[-2:] = [total]
      if parts and self.their_run.values[parts[-1]].requires_grad:
        self.statement(BACKWARD, (parts[-1],), "x.backward()")
        checks += [Step(ours="x.grad", theirs="x.grad", sources=(n,), kind=CHECK) for n in leaves]
    if not checks and self.steps: checks = [Step(ours="x", theirs="x", sources=(next(reversed(self.shapes)),), kind=CHECK)]
    if self.random.random() < 0.1: checks += checks[:2]
    self.random.shuffle(checks)
    for c in checks:
      if self.random.random() < 0.2: self.statement(COMPUTE, self.some(4))
      self.steps.append(c)

# *** what is added to a graph ***

def overflows(g, *names):
  """Do squares of squares within a step, such as the gradient of 1/(x*x+1) has, overflow a half?"""
  return any(g.kinds[n] == "float16" and most(g.their_run.values[n].detach().numpy()) > 15 for n in names)
def elementwise(g):
  exact = g.random.random() < 0.5
  if not (x := g.pick(numbers=True, floats=not exact)): return
  if exact or not overflows(g, x): g.add((x,), *g.one(EXACT if exact else SMOOTH), exact=exact, sums=not exact)
def jump(g):
  if x := g.pick(exact=True, numbers=True): g.add((x,), *g.one(JUMPS), exact=True)
def odd_elementwise(g):
  if x := g.pick(floats=True): g.add((x,), *g.one(ODD), exact=False)
def made(g):
  n, r = g.one([0, 1, 3, 8, 17]), g.random
  g.add((), *g.one([
    ("Tensor.arange(p)", "torch.arange(p).double()"), ("Tensor.eye(p)", "torch.eye(p)"), ("Tensor.arange(1, 2*p+1, 2, dtype=dtypes.int32)", "torch.arange(1, 2*p+1, 2)"),
    ("Tensor.full((2, p), 3)", "torch.full((2, p), 3.)"), ("Tensor.ones(p, 1)", "torch.ones(p, 1)"), ("Tensor.zeros(p)", "torch.zeros(p)"),
    ("Tensor.arange(p, 0, -1)", "torch.arange(p, 0, -1).double()")]), n if r else n, exact=True)

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
    if g.kinds[x] in EPS and g.kinds[y] in EPS and not overflows(g, x, y): g.add(sources, *g.one(SMOOTH_PAIRS))
  elif g.their_run.exact[x] and g.their_run.exact[y]: g.add(sources, *g.one(JUMPING_PAIRS), exact=True)
def choice(g):
  if not (c := g.pick(exact=True)) or not (x := partner(g, c)) or not (y := partner(g, x)): return
  g.add((c, x, y), "(x>0).where(y, z)", "torch.where(x>0, y, z)", exact=True)

def reduction(g):
  if not (x := g.pick(1)): return
  n, keep = len(g.shapes[x]), g.random.random() < 0.7
  axis = tuple(sorted(g.random.sample(range(n), g.random.randint(1, n)))) if g.random.random() < 0.5 else (g.random.randrange(n),)
  ours, theirs, exact, sums = g.one([("sum", "x.sum", True, True), ("sum", "x.sum", True, True), ("max", "x.amax", True, False),
                                     ("min", "x.amin", True, False), ("mean", "mean", False, True)])
  out = g.add((x,), f"x.{ours}(p, q)", "mean(x.double(), p, q)" if ours == "mean" else f"{theirs}(p, q)", axis, keep, exact=exact, sums=sums)
  if out and keep and g.kinds[x] != "bool" and g.random.random() < 0.7: g.add((x, out), text := g.one(["x-y", "x*y", "x+y*x"]), exact=len(text) == 3)
def along(g):
  if not (x := g.pick(1, floats=True)): return
  axis, name = g.axis(x), g.one(["softmax", "log_softmax", "cumsum", "std", "layernorm", "argmax", "argmin", "normalised", "logits", "batchnorm", "sort", "argsort",
                                                       "topk", "var", "logsumexp", "norm"])
  if name == "softmax": g.add((x,), "x.softmax(p)", None, axis, sums=True)
  elif name == "log_softmax": g.add((x,), "x.log_softmax(p)", "log_softmax(x, p)", axis, sums=True)
  elif name == "cumsum":
    if g.shapes[x][axis] <= 2000: g.add((x,), "x.cumsum(p)", None, axis, exact=True, sums=True)
  elif name == "std":
    if (g.their_run.values[x].detach().std(axis) > 0.01).all(): g.add((x,), "x.std(p, True)", "std(x, p, True)", axis, sums=True)
  elif name == "layernorm": g.add((x,), "x.layernorm(p, 0.1)", "layernorm(x, p, 0.1)", axis, sums=True)
  elif name == "normalised":
    if not overflows(g, x): g.add((x,), "x*(x*x+0.5).sum(p, True).rsqrt()", None, axis, sums=True)
  elif name == "sort": g.add((x,), "x.sort(p, q)[0]", "torch.sort(x, dim=p, descending=q, stable=True)[0]", axis, g.random.random() < 0.5, exact=True)
  elif name == "topk":
    if k := g.random.randint(0, g.shapes[x][axis]): g.add((x,), "x.topk(p, q)[0]", "torch.sort(x, dim=q, descending=True, stable=True)[0].narrow(q, 0, p)", k, axis, exact=True)
  elif name == "argsort":
    if g.their_run.exact[x]: g.add((x,), "x.argsort(p)", "torch.argsort(x.detach(), dim=p, stable=True)", axis, exact=True)
  elif name == "var": g.add((x,), g.one(["x.var(p, True)", "x.var_mean(p, True)[0]"]), "x.double().var(p, keepdim=True)", axis, sums=True)
  elif name == "logsumexp": g.add((x,), "x.logsumexp(p)", "logsumexp(x, p)", axis, sums=True)
  elif name == "norm": g.add((x,), "(x*0.125+1).norm(2, p)+1", "(x*0.125+1).norm(2, p)+1", axis, sums=True)
  elif name == "batchnorm":
    if len(g.shapes[x]) < 2 or not (w := g.leaf(g.shapes[x][1:2], "float32")): return
    g.add((x, w), "x.batchnorm(y, None, y*0.5, (y*y+1).rsqrt())", "batchnorm(x, y, None, y*0.5, (y*y+1).rsqrt())")
  elif name == "logits":
    rows, classes = g.shapes[x][:-1], g.shapes[x][-1]
    if len(rows) == 1 and g.random.random() < 0.5:
      g.add((x,), "x.log_softmax(-1).nll_loss(Tensor(indices(p, q, -1, r)), ignore_index=-1)+1", "cross_entropy(x, torch.tensor(indices(p, q, -1, r)))+1",
            g.number(), rows, classes, sums=True)
      return
    g.add((x,), "x.sparse_categorical_crossentropy(Tensor(indices(p, q, -1, r)))+1", "cross_entropy(x, torch.tensor(indices(p, q, -1, r)))+1",
          g.number(), rows, classes, sums=True)
  elif g.their_run.exact[x]: g.add((x,), f"x.{name}(p)", f"position(np.{name})(x.detach(), p).long()", axis, exact=True)

def movement(g):
  if not (x := g.pick(1)): return
  shape, r = g.shapes[x], g.random
  n, axis, k = len(shape), g.axis(x), r.randint(1, 3)
  def pads(): return tuple((r.choice([0, 0, 1, 2]), r.choice([0, 0, 1, 3])) for _ in shape)
  def ends(): return tuple(tuple(sorted((r.randint(0, s // 3), r.randint(s - s // 3, s)))) for s in shape)
  def factors(): return tuple(f for s in shape for f in ((s,) if s < 4 or s % 2 or r.random() < 0.5 else (2, s // 2)))
  def merged():
    fs = factors()
    i = r.randrange(len(fs))
    return (*fs[:i], math.prod(fs[i:i + 2]), *fs[i + 2:])
  def order(): return tuple(r.sample(range(n), n))
  def crops(): return tuple((r.randint(-2, s // 2), s + r.randint(-(s // 2), 2)) for s in shape)
  ours, theirs, make = g.one([
    ("x.reshape(p)", None, merged), ("x.reshape(p)", None, factors), ("x.permute(p)", None, order), ("x.permute(p)", None, order),
    ("x.transpose(p, q)", None, lambda: (axis, g.axis(x))), ("x.flip(p)", "x.flip((p,))", lambda: axis), ("x.pad(p)", "padded(x, p)", pads),
    ("x.pad(p, True)", "padded(x, p, 1)", pads), ("x.slice(p)", "sliced(x, p)", crops), ("x.pad2d((1, -1, 0, 2)[:p])", "F.pad(x, (1, -1, 0, 2)[:p])", lambda: 2 * min(n, 2)),
    ("x.shrink(p)", "x[tuple(slice(*r) for r in p)]", ends), ("x.unsqueeze(p)", None, lambda: axis), ("x.squeeze()", None, lambda: ()),
    ("x.squeeze(p)", None, lambda: axis), ("x.unsqueeze(p).expand(q)", None, lambda: (axis % n, (*shape[:axis % n], k, *shape[axis % n:]))),
    ("x.flatten()", None, lambda: ()), ("x.flatten(p)", None, lambda: axis), ("x.T", "x.transpose(0, 1)", lambda: ()),
    ("x.repeat(p)", None, lambda: (k,) * n), ("x.triu(p)", None, lambda: k - 2), ("x.tril(p)", None, lambda: k - 2),
    ("x.roll(p)", None, lambda: k), ("x.roll(p, q)", None, lambda: (k, axis)), ("x.split(p, q)[0]", None, lambda: (k, axis)), ("x.split(p, q)[-1]", None, lambda: (k, axis)),
    ("x.diagonal(0, p, q)", None, lambda: (axis, g.axis(x))), ("x.outer(x)" if n == 1 else "x.T", "x.outer(x)" if n == 1 else "x.transpose(0, 1)", lambda: ()),
    ("x.chunk(p, q)[0]", None, lambda: (k, axis)), ("x.chunk(p, q)[-1]", None, lambda: (k, axis))])
  args = make()
  g.add((x,), ours, theirs, *(args if isinstance(args, tuple) and (", q" in ours or not args or ".expand" in ours) else (args,)), exact=True)
def joined(g):
  if not (x := g.pick(1)): return
  axis, r = g.axis(x), g.random
  at = axis % len(g.shapes[x])
  like = [n for n, s in g.shapes.items() if len(s) == len(g.shapes[x]) and all(a == b or i == at for i, (a, b) in enumerate(zip(s, g.shapes[x])))]
  others = (x, *(g.one(like) for _ in range(r.randint(0, 3))))
  names = ", ".join("xyzw"[:len(others)])
  if len(set(others)) < len(others) and {"float16", "bfloat16"} & {g.kinds[n] for n in others}: return  # gradients would be rounded one by one
  if any(g.shapes[n] != g.shapes[x] for n in others) or r.random() < 0.5: g.add(others, f"Tensor.cat({names}, dim=p)", f"torch.cat([{names}], p)", axis, exact=True)
  else: g.add(others, f"Tensor.stack([{names}], p)", f"torch.stack([{names}], p)", axis, exact=True)

def a_key(g, shape):
  r = g.random
  def piece(s):
    if s and r.random() < 0.3: return r.randrange(-s, s)
    return slice(r.choice([None, r.randint(-s - 1, s + 1)]), r.choice([None, r.randint(-s - 1, s + 1)]), r.choice([None, 1, 2, 3, -1, -2]))
  key = [piece(s) for s in shape[:r.randint(1, len(shape))]]
  if r.random() < 0.2: key.insert(r.randint(0, len(key)), None)
  if r.random() < 0.2: key.append(Ellipsis)
  return tuple(key)
def indexing(g):
  if not (x := g.pick(1)): return
  shape, r = g.shapes[x], g.random
  kind, k = r.random(), r.randrange(len(shape))
  if kind < 0.5: g.add((x,), "x[p]", "basic(x, p)", a_key(g, shape), exact=True)
  elif not shape[k]: return
  elif kind < 0.7:
    at = [r.randrange(-shape[k], shape[k]) for _ in range(r.randint(1, 6))]
    at = [at, at[::-1]] if r.random() < 0.3 else at
    key = (slice(None),) * k
    g.add((x,), "x[(*p, q)]", "x[(*p, torch.tensor(q))]", key, at, exact=True)
  elif kind < 0.75:
    g.add((x,), "x[tuple(Tensor(i) for i in p)]", "x[tuple(torch.tensor(i) for i in p)]", tuple([r.randrange(s) for _ in range(3)] if s else [] for s in shape[:2]), exact=True)
  elif kind < 0.8: g.add((x,), "x[indices(p, q, 0, 2)>0]", "x[torch.tensor(indices(p, q, 0, 2)>0)]", g.number(), shape[:r.randint(1, len(shape))], exact=True)
  else:
    sizes = tuple(r.randint(1, 9) if i == k else r.randint(max(1, s - 2), s) if s else 0 for i, s in enumerate(shape))
    g.add((x,), "x.gather(Tensor(indices(p, q, 0, r)), s)", "x.gather(s, torch.tensor(indices(p, q, 0, r)))", g.number(), sizes, shape[k], k, exact=True)
def writing(g):
  if not (x := g.pick(1)): return
  r, shape = g.random, g.shapes[x]
  if r.random() < 0.3 and g.kinds[x] != "bool":
    like = [n for n in g.shapes if g.shapes[n] == shape and g.kinds[n] == g.kinds[x]]
    if g.kinds[x] in ("float32", "float64", "int32", "int64"): g.add((x, g.one(like)), "assigned(x, y)", None, exact=True)
    return
  key = a_key(g, shape)
  if math.prod(shape) > 5000: return
  part = np.empty(shape, bool)[key].shape
  like = [n for n in g.shapes if g.shapes[n] == part and g.kinds[n] == g.kinds[x]]
  y = g.one(like) if like else g.leaf(part, g.kinds[x])
  if y and g.kinds[x] == g.kinds[y]: g.add((x, y), "changed(x, y, p)", None, key, exact=True)

def product(g):
  if not (x := g.pick(1, floats=True)): return
  shape, r = g.shapes[x], g.random
  like = [n for n in g.shapes if g.kinds[n] in EPS and len(g.shapes[n]) > 1 and g.shapes[n][-2] == shape[-1]]
  y = g.one(like) if like and r.random() < 0.5 else g.leaf((shape[-1], g.size()), g.one(["float32", g.kinds[x]]))
  kind = r.random()
  if y and math.prod(shape) * g.shapes[y][-1] > 20 * g.limit: return  # without fusion, products are stored
  if kind < 0.2 and len(shape) > 1 and math.prod(shape) * shape[-2] <= 20 * g.limit: g.add((x,), "(x @ x.transpose(-1, -2))*0.125", exact=True, sums=True)
  elif kind < 0.25 and len(shape) > 1 and math.prod(shape) * shape[-2] <= 20 * g.limit:
    g.add((x,), "Tensor.einsum('...ij,...kj->...ik', x, x)*0.125", "(x @ x.transpose(-1, -2))*0.125", exact=True, sums=True)
  elif kind < 0.27 and math.prod(shape) <= 100: g.add((x,), "x.flatten().outer(x.flatten()).trace()", "(x*x).sum()", exact=True, sums=True)
  elif kind < 0.35 and not g.odd and len(shape) > 1 and math.prod(shape) * shape[-2] <= 20 * g.limit: attention(g, x)
  elif y and kind < 0.5:
    if b := g.leaf(g.shapes[y][-1:]): g.add((x, y, b), "x.linear(y, z)", "x @ y + z", sums=True)
  elif y and kind < 0.6: g.add((x, y), "x.dot(y)", "x @ y", exact=True, sums=True)
  elif y and kind < 0.7: g.add((x, y), "x.matmul(y)", "x @ y", exact=True, sums=True)
  elif y: g.add((x, y), "x @ y", exact=True, sums=True)
def attention(g, x):
  if not (y := g.add((x,), "x.tanh()")): return
  call = "scaled_dot_product_attention"
  if g.random.random() < 0.3 and (m := g.leaf((g.shapes[x][-2],) * 2, "float32")):
    g.add((y, m), f"x.{call}(x, x, y)", f"F.{call}(x, x, x, y)", sums=True)
  else: g.add((y,), f"x.{call}(x, x, is_causal=p)", f"F.{call}(x, x, x, is_causal=p)", g.random.random() < 0.5, sums=True)
def attention_of_many(g):
  """Scores that a chain of kernels passes on without storing them."""
  if x := g.leaf((g.random.randint(20, 24), g.random.randint(235, 260), g.random.randint(2, 4)), "float32"): attention(g, x)

def convolution(g):
  if not (x := g.pick(3, floats=True)) or len(g.shapes[x]) > 5 or not g.shapes[x][1]: return
  (_, channels, *size), r = g.shapes[x], g.random
  groups = r.choice([k for k in (1, 1, 2, 3, channels) if channels % k == 0])
  kernel, stride, dilation = (tuple(r.choice(items) for _ in size) for items in ([1, 2, 3, 3, 4], [1, 1, 2, 3], [1, 1, 1, 2]))
  o, bias = r.choice([1, 2, 5]), r.random() < 0.3
  common = dict(groups=groups, stride=stride, dilation=dilation)
  if r.random() < 0.65:
    name, theirs, channels = "conv2d", "conv", (groups * o, channels // groups)
    common["padding"] = tuple(r.choice([0, 1, 1, 2]) for _ in range(2 * len(size)))
  else:
    name, theirs, channels = "conv_transpose2d", "conv_transpose", (channels, o)
    common["padding"] = tuple(r.randint(0, d * (k - 1)) // 2 for d, k in zip(dilation, kernel))
    common["output_padding"] = tuple(r.randrange(s) for s in stride)
  if math.prod(g.shapes[x]) * o * math.prod(kernel) > 20 * g.limit: return
  w, b = g.leaf((*channels, *kernel), g.one(["float32", g.kinds[x]])), bias and g.leaf((groups * o,), "float32")
  if not w: return
  if b: g.add((x, w, b), f"x.{name}(y, z, **p)", f"{theirs}(x, y, z, **p)", common, sums=True)
  else: g.add((x, w), f"x.{name}(y, **p)", f"{theirs}(x, y, **p)", common, exact=True, sums=True)
def pool(g):
  if not (x := g.pick(1)): return
  r, n = g.random, min(len(g.shapes[x]), g.one([1, 2, 2, 2, 3]))
  kernel, stride, dilation = (tuple(r.choice(items) for _ in range(n)) for items in ([1, 2, 2, 3], [1, 2, 2, 3], [1, 1, 1, 2]))
  name, theirs = g.one([("max_pool2d", "pooled(torch.amax)"), ("avg_pool2d", "pooled(torch.mean)"), ("_pool", "windows")])
  if any(d * (k - 1) >= s for d, k, s in zip(dilation, kernel, g.shapes[x][-n:])): name, theirs = "_pool", "windows"  # which may be empty
  step = g.one([kernel, stride]) if name == "_pool" else g.one([None, stride])
  g.add((x,), f"x.{name}(p, q, r)", f"{theirs}(x, p, q, r)", kernel, step, dilation, exact=name != "avg_pool2d", sums=name == "avg_pool2d")

def several(weights): return [operation for operation, weight in weights.items() for _ in range(weight)]
OPERATIONS = several({elementwise: 10, jump: 4, made: 1, pair: 12, choice: 2, reduction: 8, along: 6, movement: 12, joined: 2, indexing: 5, writing: 1,
                      product: 4, convolution: 4, pool: 2})
ODD_OPERATIONS = several({odd_elementwise: 5, pair: 4, choice: 2, reduction: 3, movement: 5, joined: 1, indexing: 2, writing: 1, product: 1})

# *** running them ***

def run(seed, isas, threads=None, figures=None):
  """Computes the graph of that seed with each instruction set, fused and not: what is to be told if it fails, else None."""
  g = Generator(seed)
  ways = [Setting(isa, fusion, threads or (1, 1, 2, 3)[seed // 128 % 4], seed % 5 == 4) for isa in isas for fusion in (True, False)]
  if found := difference(g.steps, g.kinds, ways, g.want, figures):
    pair = ways[(first := ways.index(found[0]) // 2 * 2):first + 2]
    def fails(steps): return difference(steps, g.kinds, pair)
  else:
    way = ways[seed // 4 % len(isas) * 2]._replace(few=False)
    def fails(steps): return (text := order_matters(steps, g.kinds, way)) and (way, text)
    if not (found := fails(g.steps)): return None
  steps = shrink(g.steps, g.shapes, g.kinds, fails)
  again = fails(steps) or found
  return f"# seed {seed}, {found[0]}: {found[1]}\n# {again[1]}\n{printed(steps, again[0])}\n"

def main():
  parser = argparse.ArgumentParser(description="Random graphs, which must compute with teenygrad what they compute with PyTorch.")
  for name, default, text in (("seed", 0, "of the first graph"), ("count", 1000, "graphs")):
    parser.add_argument(f"--{name}", type=int, default=default, help=f"{text} ({default})")
  parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so many")
  parser.add_argument("--isa", help="only this instruction set; else all that there are")
  parser.add_argument("--threads", type=int, help="only so many threads; else 1 to 3")
  args = parser.parse_args()
  prepare()
  isas = []
  for isa in [args.isa] if args.isa else ("base", "avx2", "avx512"):
    try: _engine.set_isa(isa)
    except ValueError: print(f"no {isa} here")
    else: isas.append(isa)
  gc.freeze()  # collections need not look through PyTorch
  start, failures, done, figures = time.monotonic(), 0, 0, collections.Counter()
  for seed in range(args.seed, args.seed + args.count):
    if time.monotonic() - start > 60 * args.minutes: break
    done += 1
    if text := run(seed, isas, args.threads, figures):
      failures += 1
      print(text, flush=True)
  print(f"{done} graphs from seed {args.seed} on, each with {', '.join(isas)}, fused and not: {failures} failures in "
        f"{time.monotonic() - start:.0f} s, {time.process_time():.0f} s of a processor")
  for kind in ("sums", "others"): print(f"{kind}: {figures[kind, True]} results have the same bits fused and not, {figures[kind, False]} other ones")
  return failures > 0

if __name__ == "__main__": sys.exit(main())
