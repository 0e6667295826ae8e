#!/usr/bin/env python3
"""Writes docs/reference.md and docs/ops.md from what the code says about itself: docstrings, signatures, csrc/graph/ops.def and node.h, and traces
of what methods and Functions do. `python docs/generate.py`, or `make docs`; tests/test_docs.py fails while a file is not up to date."""
import ast, functools, importlib, inspect, math, pathlib, re, sys
from enum import Enum
from types import SimpleNamespace
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
if __name__ == "__main__": sys.path.insert(0, str(ROOT))
from teenygrad import Tensor, _engine, functions, mlops  # noqa: E402
from teenygrad.helpers import DType, dtypes  # noqa: E402
from teenygrad.tensor import Function  # noqa: E402

NOTE = "<!-- Written by docs/generate.py from the docstrings: change those, then run it. -->\n\n"

# *** what the sources say ***

@functools.lru_cache(maxsize=None)
def source(path): return (ROOT / path).read_text(encoding="utf-8")

def doc_of(node):
  """A docstring as one paragraph."""
  return re.sub(r"\s+", " ", ast.get_docstring(node) or "")

def escaped(text):
  """Text in which Markdown must find nothing to format."""
  return re.sub(r"([*_<>|\[\]])", r"\\\1", text)

def signature(node, name=None):
  """name(arguments) -> result, without self, as the source has it."""
  args = node.args
  if args.args and args.args[0].arg == "self": args = ast.arguments(**{**dict(ast.iter_fields(args)), "args": args.args[1:]})
  returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
  return f"{name or node.name}({ast.unparse(args)}){returns}"

def decorated(node, name): return any(isinstance(d, ast.Name) and d.id == name for d in node.decorator_list)

def sections(path, first, last):
  """(line, title, intro) of the comments `# *** title ***` among these lines and of the comments right under them."""
  lines, found = source(path).split("\n"), []
  for i in range(first, last):
    if not (title := re.match(r" *# \*\*\* (.*) \*\*\*$", lines[i])): continue
    intro = []
    while re.match(r" *# ", lines[i + 1 + len(intro)]): intro.append(lines[i + 1 + len(intro)].strip()[2:])
    found.append((i + 1, title[1], " ".join(intro)))
  return found

def class_node(cls):
  """The path of a class and its syntax tree."""
  path = cls.__module__.replace(".", "/") + ".py"
  return path, next(n for n in ast.parse(source(path)).body if isinstance(n, ast.ClassDef) and n.name == cls.__name__)

def tensor_members():
  """[(path, title, intro, [syntax tree of a public member])] of the class Tensor and of those that it is made of."""
  out = []
  for cls in Tensor.__mro__[:-1]:
    if cls.__module__ == "teenygrad._engine": continue
    path, node = class_node(cls)
    parts = [(node.lineno, "", ""), *sections(path, node.lineno, node.end_lineno)]
    for (start, title, intro), (end, *_) in zip(parts, [*parts[1:], (node.end_lineno + 1,)]):
      members = [m for m in node.body if start <= m.lineno < end and isinstance(m, (ast.FunctionDef, ast.ClassDef)) and
                 (not m.name.startswith("_") or m.name in ("__getitem__", "__setitem__"))]
      if members: out.append((path, title or ("shape and dtype" if cls is Tensor else doc_of(node).split(".")[0]), intro, members))
  return out

# *** what the methods do: calls are recorded ***

def image(*shape): return Tensor((np.arange(math.prod(shape), dtype=np.float32) / 7 + 1).reshape(shape))
def sample(): return Tensor([[0.5, 0.25, 0.75], [0.3, 0.6, 0.9]], requires_grad=True)
def numbers(): return Tensor(np.array([0, 1]))
def dropped(x):
  with Tensor.train(): return x.dropout()

UNKNOWN = "not described in docs/generate.py"
# Methods of which no call is made: they change something, or compute no Tensor.
UNCALLED = {"train", "manual_seed", "backward", "deepwalk", "assign", "corealize", "sequential", "__setitem__", "to_"}
# Calls of the methods that none of the usual ones suits.
EXAMPLES = {
  "arange": lambda x: Tensor.arange(3), "eye": lambda x: Tensor.eye(3), "full": lambda x: Tensor.full((2,), 1.0),
  "randint": lambda x: Tensor.randint(2),
  "cast": lambda x: x.cast(dtypes.float64), "bitcast": lambda x: x.bitcast(dtypes.int32), "item": lambda x: x[0, 0].detach().item(),
  "to": lambda x: x.to("CPU"), "float": lambda x: x.half().float(), "contiguous": lambda x: x.contiguous(),
  "reshape": lambda x: x.reshape(3, 2), "expand": lambda x: x.expand(4, 2, 3), "permute": lambda x: x.permute(1, 0),
  "shrink": lambda x: x.shrink(((0, 1), None)), "pad": lambda x: x.pad(((1, 0), None)), "slice": lambda x: x.slice(((-1, 1), None)),
  "pad2d": lambda x: x.pad2d((1, 0)), "cat": lambda x: x.cat(x), "stack": lambda x: Tensor.stack([x, x]), "repeat": lambda x: x.repeat(2, 1),
  "chunk": lambda x: x.chunk(2)[0], "__getitem__": lambda x: x[0], "gather": lambda x: x.gather(Tensor(np.array([[0, 1]])), 0),
  "dot": lambda x: x.dot(image(3, 4)), "matmul": lambda x: x.matmul(image(3, 4)), "linear": lambda x: x.linear(image(3, 4), image(4)),
  "conv2d": lambda x: x[None, None].conv2d(image(1, 1, 2, 2)), "conv_transpose2d": lambda x: x[None, None].conv_transpose2d(image(1, 1, 2, 2)),
  "clip": lambda x: x.clip(0.4, 0.7), "pow": lambda x: x.pow(image(3)), "where": lambda x: x.where(x, 0.0),
  "batchnorm": lambda x: x.batchnorm(image(3), image(3), image(3), image(3)), "dropout": dropped,
  "scaled_dot_product_attention": lambda x: x.scaled_dot_product_attention(x, x),
  "sparse_categorical_crossentropy": lambda x: x.sparse_categorical_crossentropy(numbers()), "nll_loss": lambda x: x.nll_loss(numbers()),
  "cross_entropy": lambda x: x.cross_entropy(numbers()), "one_hot": lambda x: numbers().one_hot(2), "outer": lambda x: x[0].outer(x[1]),
  "einsum": lambda x: Tensor.einsum("ij,kj->ik", x, x), "bitwise_not": lambda x: numbers().bitwise_not(),
  **{name: lambda x, name=name: getattr(numbers(), name)(numbers()) for name in ("bitwise_and", "bitwise_or", "bitwise_xor", "lshift", "rshift")}}

@functools.lru_cache(maxsize=None)
def made_of(name):
  """(the Functions that a call of the method applied, whether the result has a gradient), or None if there is no example of a call."""
  if name in UNCALLED: return (), False
  usual = ((), (sample(),), (0,), (1,), (sample(), sample()), (0, sample()), (0, 1))
  calls = [EXAMPLES[name]] if name in EXAMPLES else [lambda x, args=args: getattr(x, name)(*args) for args in usual]
  if isinstance(vars(Tensor).get(name), property): calls = [lambda x: getattr(x, name)]
  apply, names, x = vars(Function)["apply"], [], sample()
  def recording(cls, *tensors, **kwargs):
    names.append(cls.__name__)
    return apply.__func__(cls, *tensors, **kwargs)
  for call in calls:
    names.clear()
    Function.apply = classmethod(recording)
    try: out = call(x)
    except Exception: continue  # another call may do
    finally: Function.apply = apply
    results = out if isinstance(out, (tuple, list)) else [out]
    return tuple(dict.fromkeys(names)), any(isinstance(t, Tensor) and bool(t.requires_grad) for t in results)
  return None

# *** what the Functions compute: formulas ***

LOOSE, SUM, PRODUCT, ATOM = range(4)

def call(name, *args):
  """name(args) as a Formula."""
  texts = (x.text if isinstance(x, Formula) else x.name.lower() if isinstance(x, Enum) else f"{x}" for x in args)
  return Formula(f"{name}({', '.join(texts)})")

class Formula:
  """Stands for a LazyBuffer and writes down what is done with it."""
  def __init__(self, text, binds=ATOM, shape=(2, 3), dtype=dtypes.float32): self.text, self.binds, self.shape, self.dtype = text, binds, shape, dtype
  def inside(self, binds): return self.text if self.binds >= binds else f"({self.text})"
  def of(self, x): return x if isinstance(x, Formula) else Formula(f"{x:.6g}", ATOM if x >= 0 else SUM)
  def infix(self, sign, x, binds, reverse=False):
    a, b = (self.of(x), self) if reverse else (self, self.of(x))
    return Formula(f"{a.inside(binds)} {sign} {b.inside(binds + (sign in '-/'))}", binds)
  def __add__(self, x): return self.infix("+", x, SUM)
  def __radd__(self, x): return self.infix("+", x, SUM, True)
  def __sub__(self, x): return self.infix("-", x, SUM)
  def __rsub__(self, x): return self.infix("-", x, SUM, True)
  def __mul__(self, x): return self.infix("*", x, PRODUCT)
  def __rmul__(self, x): return self.infix("*", x, PRODUCT, True)
  def __truediv__(self, x): return self.infix("/", x, PRODUCT)
  def __rtruediv__(self, x): return self.infix("/", x, PRODUCT, True)
  def __neg__(self): return Formula(f"-{self.inside(PRODUCT)}", PRODUCT)
  def const(self, value): return self.of(value)
  def cast(self, dtype, bitcast=False): return self if dtype == self.dtype or dtype == dtypes.bool else call("cast", self)
  def e(self, op, *srcs):
    if op.name == "CMPLT": return self.infix("<", srcs[0], LOOSE)
    return call(op.name.lower(), self, *srcs)
  def r(self, op, shape): return call(op.name.lower(), self)
  def dot(self, other, swapped=False, other_swapped=False):
    return Formula(f"{self.inside(ATOM)}{'^T' * swapped} @ {other.inside(ATOM)}{'^T' * other_swapped}", PRODUCT)
  def __getattr__(self, name):
    if name not in dir(_engine.LazyBuffer): raise AttributeError(name)
    return lambda *args: call(name, self, *(a for a in args if isinstance(a, Formula)))

KEYWORDS = {"new_shape": (2, 1), "shape": (4, 2, 3), "order": (1, 0), "arg": ((0, 1), (0, 1)), "axis": 1, "dim": 0, "kernel": (2,), "stride": (1,),
            "dilation": (1,), "size": (4,), "steps": (1, 1), "beta": Formula("beta"), "dtype": dtypes.float64, "bitcast": False}

def formulas(cls):
  """The formula of forward, and those of the operands' gradients by the operands' names."""
  module = sys.modules[cls.__module__]
  ctx, params = object.__new__(cls), list(inspect.signature(cls.forward).parameters.values())[1:]
  if params[0].kind is params[0].VAR_POSITIONAL: params = [*(inspect.Parameter(n, params[0].POSITIONAL_ONLY) for n in "xy"), *params[1:]]
  operands = [Formula(p.name) for p in params if p.annotation in (_engine.LazyBuffer, "LazyBuffer", p.empty) and p.kind is not p.KEYWORD_ONLY]
  keywords = {p.name: KEYWORDS[p.name] if p.name in KEYWORDS else 1 for p in params[len(operands):]}
  if cls is mlops.Cat: keywords = {"dim": 0}
  if cls is mlops.Flip: keywords = {"axis": (0,)}
  if cls is mlops.Slice: keywords = {"arg": ((0, 1), (0, 3)), "steps": (1, 1), "shape": (1, 3)}
  ctx.needs_input_grad, ctx.requires_grad = [True] * len(operands), True
  ctx.parents = [SimpleNamespace(requires_grad=True, shape=x.shape, dtype=x.dtype) for x in operands]
  names = [x.text for x in operands]
  helpers = {k: v for k, v in vars(mlops).items() if inspect.isfunction(v) and v.__module__ == mlops.__name__}
  shorter = {k: functools.partial(call, k) for k in helpers if k not in ("folded", "less")}
  shorter["select"] = functools.partial(call, "where")
  replaced = {**shorter, "LazyBuffer": SimpleNamespace(arange=lambda n, dtype: Formula("arange"))}
  before = {k: v for k, v in vars(module).items() if k in replaced}
  vars(module).update({k: replaced[k] for k in before})
  try:
    out = ctx.forward(*operands, **keywords)
    forward = out.text
    if out not in operands: out.text, out.binds = "out", ATOM
    try: grads = ctx.backward(Formula("g", shape=out.shape))
    except RuntimeError: grads = None  # there is no backward
  finally: vars(module).update(before)
  grads = grads if isinstance(grads, tuple) else (grads,)
  return forward, {n: x.text for n, x in zip(names, grads) if x is not None}

def differentiable():
  """[(section, [(Function, its docstring)])] of mlops.py and functions.py, the bases that compute nothing left out."""
  found = {}
  for module, path in ((mlops, "teenygrad/mlops.py"), (functions, "teenygrad/functions.py")):
    parts = [(0, "beyond the original's (functions.py)", ""), *sections(path, 0, source(path).count("\n"))]
    for node in ast.parse(source(path)).body:
      if not isinstance(node, ast.ClassDef) or not issubclass(cls := getattr(module, node.name), Function): continue
      if cls.forward is Function.forward or cls is mlops.Unary: continue
      found.setdefault([t for line, t, _ in parts if line < node.lineno][-1], []).append((cls, doc_of(node)))
  return list(found.items())

# *** docs/ops.md ***

MEANING = {  # of the rows of ops.def; a, b, c are the operands
  "NOOP": "a", "EXP2": "2^a", "LOG2": "the logarithm to base 2", "CAST": "a in another dtype, its value or its bytes", "SIN": "the sine",
  "SQRT": "the square root", "RECIP": "1 / a", "NEG": "-a", "COS": "the cosine", "EXP": "e^a", "LOG": "the natural logarithm", "EXPM1": "e^a - 1",
  "LOG1P": "log(1 + a)", "TANH": "the hyperbolic tangent",
  "SIGMOID": "1 / (1 + e^-a)", "POW": "a^b, as C's pow", "FLOORDIV": "a / b rounded down", "AND": "the bits of both", "OR": "the bits of either",
  "XOR": "the bits of one only", "SHL": "a 2^b", "SHR": "a / 2^b rounded down", "REDUCE_PROD": "the product over axes",
  "ADD": "a + b; of bools: or", "SUB": "a - b", "MUL": "a b; of bools: and",
  "DIV": "a / b; integers toward zero", "MAX": "the larger one, NaN from either side", "MOD": "the remainder, with the sign of b",
  "CMPLT": "a < b, as 0 or 1",
  "REDUCE_SUM": "the sum over axes", "REDUCE_MAX": "the maximum over axes", "MULACC": "a b + c", "WHERE": "b where a is not zero, else c",
  "RESHAPE": "a view", "PERMUTE": "a view", "EXPAND": "a view", "PAD": "a view with bounds", "SHRINK": "a view", "STRIDE": "a view",
  "EMPTY": "any values", "RAND": "uniform numbers in [0, 1)", "CONST": "one number everywhere", "FROM": "a copy to another device",
  "CONTIGUOUS": "a, stored in C order", "CUSTOM": "code of the user's"}

def table(head, rows):
  return "\n".join(["", *("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]), ""])

def engine_ops():
  rows = re.findall(r"^TG_OP\((\w+), (\w+), (\w+), (\d), (\w+), (\d+), (\w+)\)", source("csrc/graph/ops.def"), re.M)
  done = [[f"`{enum}.{member}`", kind, arity, cost, domain, escaped(MEANING.get(e, UNKNOWN))]
          for e, enum, member, arity, kind, cost, domain in rows if kind != "NONE"]
  named = ", ".join(f"`{enum}.{member}` ({MEANING.get(e, UNKNOWN)})" for e, enum, member, _, kind, *_ in rows if kind == "NONE")
  return done, named

def engine_nodes():
  body = re.search(r"typedef enum tg_node_kind \{(.*?)\} tg_node_kind;", source("csrc/graph/node.h"), re.S)[1]
  return [[f"`{name}`", escaped(re.sub(r"\s+", " ", text))] for name, text in re.findall(r"TG_NODE_(\w+), +/\* (.*?) \*/", body, re.S)]

def shown_formula(text): return f"`{text}`" if len(text) <= 110 else "several steps: see the code"

def ops_page():
  done, named = engine_ops()
  out = [NOTE, """# Operations, on three levels

A method of Tensor is made of Functions, which have gradients. A Function is made of operations of the engine, which have
none. So another engine under this frontend would have to offer the first table; the other two would stay as they are.
How to add one: [add-an-op.md](add-an-op.md).

1. [What the engine computes](#what-the-engine-computes): `LazyBuffer.e`, `.r`, `.cast` and `.loadop`, movement, and a few methods.
2. [What has a gradient](#what-has-a-gradient): the Functions of `teenygrad/mlops.py`.
3. [What is composed](#what-is-composed): the methods of Tensor.

## What the engine computes

The rows of [ops.def](../csrc/graph/ops.def). From them come the enumerators in C, the enums of `teenygrad.ops`, and what the scheduler knows.
Kind: which method of LazyBuffer takes the operation: UNARY, BINARY and TERNARY `e`, REDUCE `r`, LOAD `loadop`, CAST `cast`. Cost: of one
element in L1, in additions. Domain: ANY computes integers in their own dtype, FLOAT in float64 (`DIV` only those of up to 32 bits); WHOLE is
not defined for floats.
The loops are in `csrc/kernels/k_elementwise.inc`, `k_math.inc`, `k_fold.inc` and `k_cast.inc`.
""",
    table(["operation", "kind", "operands", "cost", "domain", "value"], done),
    f"""
Named as the original names them, but never executed: {named}. The movement ones are methods of LazyBuffer, which only
make a view: no data moves.

In the lazy graph each computation is a node of one of these kinds ([node.h](../csrc/graph/node.h)). Beside `e`, `r`, `cast` and `loadop`,
the methods `fromCPU`, `arange`, `contiguous`, `cumsum`, `gather`, `scatter_add` and `dot` of [LazyBuffer](reference.md#lazybuffer) make them.
""",
    table(["node", "what it is"], engine_nodes()),
    """
What a schedule makes of nodes, the kinds of kernels, is said at the head of [kernel.h](../csrc/sched/kernel.h).

## What has a gradient

The Functions of [mlops.py](../teenygrad/mlops.py) and [functions.py](../teenygrad/functions.py) with their formulas, written down
by running `forward` and `backward` on placeholders. `g` is the gradient of the result `out`. `where(c, a, b)` is a where c, else b.
`sum` and `max` of one operand go over the axes of the reduction. The formulas leave out the shapes, and that the gradient of an
operand that was broadcast is summed over the axes along which it was repeated.
"""]
  for title, found in differentiable():
    rows = []
    for cls, doc in found:
      forward, grads = formulas(cls)
      gradient = "<br>".join((f"d{n}: " if len(grads) > 1 else "") + shown_formula(text) for n, text in grads.items()) or "none"
      rows.append([f"`{cls.__name__}`", escaped(doc), shown_formula(forward), gradient])
    out += [f"\n### {title}\n\n", table(["Function", "what", "forward", "gradient"], rows)]
  out.append("""
## What is composed

The Functions that one call of a method applied, in order of first use. Calls differ with their arguments; these were made with small float32
tensors. Methods that apply none are left out: they compute no Tensor, or work on LazyBuffers directly, as comparisons, operations on bits and
most of creation do. "yes": the result requires a gradient if an operand does.
""")
  for path, title, _, members in tensor_members():
    rows = []
    for m in members:
      names, gradient = made_of(m.name) or ((UNKNOWN,), False)
      if not names: continue
      rows.append([f"[{escaped(m.name)}](reference.md#{m.name.lower()})", ", ".join(f"`{n}`" for n in names), "yes" if gradient else ""])
    if rows: out += [f"\n### {title} ({path.split('/')[-1]})\n\n", table(["method", "Functions", "gradient"], rows)]
  return "".join(out)

# *** docs/reference.md ***

OPERATORS = {"__neg__": "-x", "__abs__": "abs(x)", "__invert__": "~x", "__add__": "x + y", "__sub__": "x - y", "__mul__": "x * y",
             "__truediv__": "x / y", "__floordiv__": "x // y", "__mod__": "x % y", "__pow__": "x ** y", "__matmul__": "x @ y", "__and__": "x & y",
             "__or__": "x | y", "__xor__": "x ^ y", "__lshift__": "x << y", "__rshift__": "x >> y", "__iadd__": "x += y", "__isub__": "x -= y",
             "__imul__": "x *= y", "__itruediv__": "x /= y", "__ifloordiv__": "x //= y", "__imod__": "x %= y", "__ipow__": "x **= y",
             "__imatmul__": "x @= y", "__lt__": "x < y", "__gt__": "x > y", "__le__": "x <= y", "__ge__": "x >= y", "__eq__": "x == y",
             "__ne__": "x != y", "__len__": "len(x)", "__iter__": "iter(x)", "__contains__": "y in x", "__bool__": "bool(x)", "__int__": "int(x)",
             "__float__": "float(x)", "__index__": "operator.index(x)", "__array__": "np.asarray(x)", "__repr__": "repr(x)",
             "__reduce__": "pickle, copy"}

def entry(name, sig, doc, more=""):
  return f"\n### {escaped(name)}\n\n`{sig}`\n\n{escaped(doc)}{more}\n"

def gradient_line(name):
  names, gradient = made_of(name) or ((), False)
  if not names: return ""
  through = ", ".join(f"`{n}`" for n in names)
  return f" Made of {through}{'.' if gradient else '; without a gradient.'}"

def functions_of(path):
  """A table of the public classes and functions of a module that have docstrings."""
  rows = []
  for node in ast.parse(source(path)).body:
    if not isinstance(node, (ast.FunctionDef, ast.ClassDef)) or node.name.startswith("_") or not ast.get_docstring(node): continue
    if isinstance(node, ast.FunctionDef):
      rows.append([f"`{signature(node)}`", escaped(doc_of(node))])
      continue
    methods = {m.name: m for m in node.body if isinstance(m, ast.FunctionDef)}
    bases = ", ".join(ast.unparse(b) for b in node.bases)
    rows.append([f"`{signature(methods['__init__'], node.name) if '__init__' in methods else 'class ' + node.name}`",
                 escaped(doc_of(node) + (f" A kind of {bases}." if bases else ""))])
    for m in methods.values():
      if not m.name.startswith("_") and ast.get_docstring(m): rows.append([f"`{signature(m, f'{node.name}.{m.name}')}`", escaped(doc_of(m))])
  return table(["name", "what"], rows) if rows else ""

def c_table(owner):
  """What the C extension defines, in its own words."""
  rows = []
  for name in sorted(vars(owner)):
    member = vars(owner)[name]
    if isinstance(member, staticmethod): member = member.__func__
    if name.startswith("_") or inspect.isclass(member) or not getattr(member, "__doc__", None): continue
    if callable(member): name += re.sub(r"^\(\$?(self|module|type)(, )?", "(", member.__text_signature__ or "(...)")
    elif not inspect.isgetsetdescriptor(member): continue
    rows.append([f"`{name}`", escaped(re.sub(r"\s+", " ", member.__doc__.split("--\n\n")[-1]))])
  return table(["name", "what"], rows)

def tensor_pages():
  out = []
  for path, title, intro, members in tensor_members():
    named = title if path.endswith("tensor.py") else f"{title} ({path.split('/')[-1]})"
    out.append(f"\n## {named}\n\nIn [{path}](../{path}).{' ' + escaped(intro) if intro else ''}\n")
    for m in members:
      if isinstance(m, ast.ClassDef):
        init = next(n for n in m.body if isinstance(n, ast.FunctionDef) and n.name == "__init__")
        out.append(entry(m.name, "Tensor." + signature(init, m.name), doc_of(m)))
        continue
      prefix = "Tensor." if decorated(m, "staticmethod") else "x."
      sig = m.name if decorated(m, "property") else signature(m)
      alias = [k for k, v in vars(Tensor).items() if k != m.name and not k.startswith("_") and v is vars(Tensor).get(m.name)]
      also = f" Also named {', '.join(f'`{a}`' for a in alias)}." if alias else ""
      if m.name == "__getitem__": sig = "[key] -> Tensor"
      if m.name == "__setitem__": sig = "[key] = value"
      out.append(entry(m.name, (prefix if sig[0] != "[" else "x") + sig, doc_of(m), also + gradient_line(m.name)))
  return "".join(out)

def operators_page():
  rows = []
  for name, text in OPERATORS.items():
    member = next((vars(c)[name] for c in Tensor.__mro__[:-1] if name in vars(c)), None)
    if member is None: continue
    same = next((k for c in Tensor.__mro__[:-1] for k, v in vars(c).items() if v is member and not k.startswith("_")), None)
    what = f"[{same}](#{same})" if same else escaped(re.sub(r"\s+", " ", getattr(member, "__doc__", None) or ""))
    if name[2:-2] in ("lt", "gt", "le", "ge", "eq", "ne"): what = "bool, elementwise; without a gradient"
    if name.startswith("__i") and f"__{name[3:]}" in OPERATORS: what = "x with the new value: [in place](#in-place)"
    if name in ("__bool__", "__int__", "__float__"): what = "[item](#item) as that type"
    if name == "__len__": what = "the size of axis 0; TypeError for shape ()"
    if name == "__iter__": what = "the slices along axis 0"
    if name == "__contains__": what = "whether an element is equal to y"
    if name == "__array__": what = "[numpy](#numpy)"
    if name == "__reduce__": what = "the value, `requires_grad` and `grad`, without the graph"
    if name == "__index__": what = "[item](#item) of a Tensor of integers"
    shown = text.replace("|", "\\|")
    rows.append([f"`{shown}`", what])
  return table(["Python", "what"], rows)

def dtype_rows():
  named = {}
  for k, v in vars(dtypes).items():
    if isinstance(v, DType): named.setdefault(v, []).append(k)
  return [[", ".join(f"`{n}`" for n in names), str(d.itemsize), str(d.priority), f"`{np.dtype(d.np).name}`" if d.np else "none"]
          for d, names in named.items()]

def reference_page():
  layers = sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "teenygrad/nn").glob("*.py"))
  parts = [tensor_pages()]
  path, node = class_node(Function)
  methods = [m for m in node.body if isinstance(m, ast.FunctionDef) and ast.get_docstring(m)]
  modules = [("helpers", "teenygrad/helpers.py"), *((p[len("teenygrad/"):-3].replace("/", ".").replace(".__init__", ""), p) for p in layers),
             ("viz", "teenygrad/viz/__init__.py"), ("ops", "teenygrad/ops.py"), ("lazy", "teenygrad/lazy.py"), ("realize", "teenygrad/realize.py")]
  modules = [(name, path, entries) for name, path in modules if (entries := functions_of(path))]
  _, cls = class_node(Tensor)
  out = [NOTE, f"""# Reference

Every public function: signature, then what its docstring says. "x." stands before methods, "Tensor." before static methods. "Made of" names
the [Functions](ops.md#what-has-a-gradient) that a call applied, which is where the gradient comes from.

- [Tensor](#tensor) and its methods, in the order of the source; [Operators](#operators)
- [Function](#function), [dtypes](#dtypes), {', '.join(f"[{name}](#{anchor('teenygrad.' + name)})" for name, *_ in modules)}
- [LazyBuffer](#lazybuffer), [_engine](#_engine)
- environment variables: [Settings](../README.md#settings)

## Tensor

`{signature(next(m for m in cls.body if isinstance(m, ast.FunctionDef) and m.name == "__init__"), "Tensor")}`

{escaped(doc_of(cls))}

Attributes of the class: `training` (whether `dropout` does something), `no_grad` (nothing gets a graph), `default_type` (the dtype of numbers and
lists). Of a tensor: `lazydata` (its [LazyBuffer](#lazybuffer)), `requires_grad`, `grad`.
""", *parts, f"""
## Operators

An operand on either side may be a Tensor, a number, a list or an array.

{operators_page()}
### In place

{escaped(doc_of(next(m for m in cls.body if isinstance(m, ast.FunctionDef) and m.name == "_update")))}

## Function

In [{path}](../{path}). {escaped(doc_of(node))}
""", *[entry(f"Function.{m.name}", signature(m).replace("(cls, ", "("), doc_of(m)) for m in methods], f"""
## dtypes

In [teenygrad/helpers.py](../teenygrad/helpers.py). The dtype of a result is the operand's with the larger (priority, itemsize, name).

{table(["name", "bytes", "priority", "NumPy"], dtype_rows())}"""]
  for name, path, entries in modules:
    module = importlib.import_module("teenygrad." + name)
    about = escaped(re.sub(r"\s+", " ", module.__doc__ or ""))
    out.append(f"\n## teenygrad.{name}\n\nIn [{path}](../{path}). {about}\n{entries}")
  out.append(f"""
## LazyBuffer

In [csrc/py/lazybuffer.c](../csrc/py/lazybuffer.c). {escaped(_engine.LazyBuffer.__doc__)} It also has the operators
`+`, `-`, `*`, `/` and the sign `-`; operands broadcast, and a number is a constant of the other one's dtype. What fails raises ValueError (shapes),
TypeError (dtypes), IndexError (indices) or NotImplementedError (operations that are only named).
{c_table(_engine.LazyBuffer)}
## _engine

Switches and figures of `teenygrad._engine`, in [csrc/py](../csrc/py/switches.c).
{c_table(_engine)}""")
  return "".join(out)

def anchor(title):
  """The name by which a heading is linked to, as GitHub makes it."""
  return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")

def pages():
  """The texts of the generated files by name."""
  return {name: re.sub(r"\n{3,}", "\n\n", page()) for name, page in (("reference.md", reference_page), ("ops.md", ops_page))}

if __name__ == "__main__":
  for name, text in pages().items(): (ROOT / "docs" / name).write_text(text, encoding="utf-8")
