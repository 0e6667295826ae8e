"""Arguments that nobody should pass, and every public entry that could get them: the table behind test_hostile.py and stress/calls.py."""
# ruff: noqa: E501  (tables)
import inspect, os, sys

import numpy as np

from teenygrad import Tensor, _engine, helpers, mlops
from teenygrad.helpers import dtypes
from teenygrad.lazy import LazyBuffer, RawCPUBuffer
from teenygrad.nn import optim
from teenygrad.ops import BinaryOps, LoadOps, MathOps, MovementOps, ReduceOps, TernaryOps, UnaryOps

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

class Hostile(Exception):
  """Raised by an argument itself."""

class Raising:
  """Raises whatever it is asked."""
  def _raise(self, *_): raise Hostile("by an argument")
  __index__ = __int__ = __float__ = __bool__ = __iter__ = __len__ = __getitem__ = __eq__ = __lt__ = __array__ = __add__ = __radd__ = _raise
  __hash__ = object.__hash__

class Liar:
  """An index that empties the list it stands in."""
  def __init__(self, items): self.items = items
  def __index__(self):
    self.items.clear()
    return 1
  __int__ = __index__

class Realizer:
  """A number that computes, and lets go of, what it was given with."""
  def __init__(self, *tensors): self.tensors = tensors
  def __index__(self):
    for t in self.tensors: t.realize()
    return 1
  def __float__(self): return float(self.__index__())

class Child(Tensor):
  """A subclass with an attribute of its own."""
  def __init__(self, data): super().__init__(data); self.own = [self]

class Sized(int): pass
class Text(str): pass
class Row(list): pass
class Pair(tuple): pass

def liar():
  items = [2, 3]
  items[0] = Liar(items)
  return items

def cyclic():
  a = [1]
  a.append(a)
  return a

def deep(n):
  a = [1.]
  for _ in range(n): a = [a]
  return a

def arrays():
  a = np.arange(6, dtype=np.float32).reshape(2, 3)
  frozen = a.copy()
  frozen.flags.writeable = False
  record = np.zeros(2, [("x", "f4"), ("y", "i4")])
  return [a, a[::-1, ::-2], a.T, frozen, a.astype(">f4"), np.frombuffer(b"x" + a.tobytes(), np.uint8)[1:].view(np.float32).reshape(2, 3),
          record, record["x"], np.array([None, 1]), np.array(["a"]), np.zeros((2, 3), complex), np.zeros(2, "M8[s]"), np.zeros(0), np.array(3),
          np.zeros((1,) * 32), np.broadcast_to(np.float32(1), (2, 3)), np.ma.masked_array(a, a > 2), np.array([2**63], np.uint64), np.array([np.nan]),
          np.array([True, False]), np.array([2, 200], np.uint8).view(bool), np.lib.stride_tricks.as_strided(a, (2, 3), (0, 0))]

def values():
  """Fresh ones: some change when they are used."""
  t = Tensor([[1., 2., 3.], [4., 5., 6.]])
  numbers = [0, 1, -1, 2, True, 2**31, 2**62, 2**63 - 1, 2**63, -2**63, 2**64, 2**200, 1.5, -0.0, float("nan"), float("inf"), -float("inf"), 1e308, 1j,
             Sized(2), np.int8(1), np.float64(2), np.bool_(True), np.datetime64("2020")]
  shapes = [(), (0,), (-1,), (2, -1), (2, 3), (3, 2), [3, 2], (2**31, 2**31), (2**31,) * 3, (2**63,), (2**62, 4), (1,) * 40, (0,) * 40, (2.0, 3), (None, 3),
            (True, 2), Pair((2, 3)), Row([2, 3]), ((0, 1), (0, 1)), ((1, 2), None), ((-1, 2**63), (0, 0)), ((2**62, 2**62),) * 2, ((0, 1, 2),), [[0, 1], [2**62, 2**62]],
            ((1, 1),) * 5, (0, 0), (1, 0), (0, 1), (-2, -1), (0, 5), range(2), {0, 1}, {1: 2}]
  lists = [[], [[]], [1], [[1, 2], [3]], [1, [2]], ["a"], [None], [[None]], [1, "a"], [1e400], [2**70], cyclic(), deep(40), deep(2000), liar(), [Raising()], (Raising(), 1),
           [t, t], (t, t), [t, 1], iter([1]), (x for x in (2, 3))]
  tensors = [t, t.detach() * 1, t.half(), t.cast(dtypes.int32), t > 2, t.cast(dtypes.uint8), t.cast(dtypes.bfloat16), t[0], t.T, Tensor(1.), Tensor([]), Tensor.ones(0, 3),
             Tensor.ones(2, 3, requires_grad=True), Tensor.ones(2, 3, requires_grad=True) * 2, Tensor.ones(1, 1, 3, 3), Tensor.ones(*(1,) * 32), Tensor.ones(7), Child([1., 2.]),
             Tensor([0, 1]), Tensor([5, -7]), Tensor([0., float("nan")]), object.__new__(Tensor), t.lazydata, Tensor.ones(1).expand(3, 2).lazydata]
  others = [None, "", "ab", "\udc80", "a\0b", Text("cpu"), b"", b"12", bytearray(3), memoryview(b"12"), object(), type, Tensor, LazyBuffer, len, lambda *a: a[0], lambda *a: None, _engine, dtypes.float32,
            dtypes.bfloat16, dtypes.int8, dtypes.uint64, helpers.DType(99, 3, "odd", None), np.float32, BinaryOps.ADD, UnaryOps.NOOP, UnaryOps.CAST, MovementOps.PAD, LoadOps.RAND, LoadOps.EMPTY,
            ReduceOps.SUM, TernaryOps.WHERE, MathOps.EXP, slice(None), slice(None, None, -1), slice(0, 2**63, 2), slice(1, 0, 0), slice("a"), slice(None, None, Raising()), ...,
            (..., ...), (None,) * 40, (slice(None), 0), Raising(), Liar([1]), Realizer(t * 2)]
  return numbers + shapes + lists + tensors + arrays() + others

# What stands for a parameter while another one is hostile, by its name.
def good(name):
  t = Tensor([[1., 2., 3.], [4., 5., 6.]])
  return {
    "shape": (3, 2), "data": [1., 2.], "fill_value": 1, "axis": 0, "dim": 0, "order": (1, 0), "arg": ((0, 1), (0, 2)), "x": t, "y": t, "Y": Tensor([0, 1]), "w": Tensor.ones(3, 2),
    "weight": Tensor.ones(1, 1, 1, 1), "dtype": dtypes.float32, "tensors": [t, t], "repeats": (2, 1), "num": 2, "idx": Tensor([[0, 1]]), "padding": (1, 1), "ll": [Tensor.relu], "start": 3,
    "stop": 5, "step": 1, "key": t, "value": t, "mean": Tensor.ones(3), "invstd": Tensor.ones(3), "bias": Tensor.ones(3), "params": [Tensor.ones(2, requires_grad=True)], "lr": .1, "low": 0,
    "high": 5, "op": BinaryOps.ADD, "device": "CPU", "kernel_size": (1, 1), "min_": 0, "max_": 1, "itm": 0, "cond": t > 2, "fxn": mlops.Sum, "seed": 1, "new_shape": (1, 3), "val": True,
    "buf": np.ones((2, 3), np.float32), "array": np.ones((2, 3), np.float32), "index": Tensor([[0, 1]]).lazydata, "v": t, "i": 0, "item": 0,
  }.get(name, 1)

def subjects():
  """Tensors that methods are called on: 2-d, scalar, empty, integer, of four axes, uncomputed, with a graph."""
  return [Tensor([[1., 2., 3.], [4., 5., 6.]]), Tensor(2.), Tensor.ones(0, 3), Tensor([[1, 2], [3, 4]], dtype=dtypes.int32), Tensor.ones(1, 1, 4, 4),
          Tensor([1., 2.]) * 3, Tensor([1., 2.], requires_grad=True) * 2]

SKIP = {"__class__", "__new__", "__init__", "__init_subclass__", "__subclasshook__", "__dir__", "__getattribute__", "__getattr__", "__setattr__", "__delattr__", "__sizeof__", "__reduce_ex__", "__getstate__",
        "__slots__", "__module__", "__doc__", "__dict__", "__weakref__", "__annotations__", "__array_ufunc__", "__array_priority__", "__hash__", "__format__", "__del__",
        "__static_attributes__", "__firstlineno__"}

def entries():
  """(name, function of a subject that gives a callable, kind): methods and static functions of Tensor and LazyBuffer, and all else that is public."""
  found = []
  for name in sorted(set(dir(Tensor)) - SKIP):
    if callable(getattr(Tensor, name)): found.append(("Tensor." + name, lambda s, n=name: getattr(s, n)))
  for name in sorted(set(dir(LazyBuffer)) - SKIP):
    if callable(getattr(LazyBuffer, name)): found.append(("LazyBuffer." + name, lambda s, n=name: getattr(s.lazydata, n)))
  for cls in (Tensor, LazyBuffer, RawCPUBuffer, Tensor.train): found.append((cls.__qualname__, lambda s, c=cls: c))
  for name in ("SGD", "Adam", "AdamW", "LAMB", "Optimizer"): found.append(("optim." + name, lambda s, n=name: optimise(getattr(optim, n))))
  for name, f in sorted(vars(helpers).items()):
    if inspect.isfunction(f) and f.__module__ == helpers.__name__: found.append(("helpers." + name, lambda s, f=f: f))
  for name, f in sorted(vars(mlops).items()):
    if inspect.isclass(f) and issubclass(f, mlops.Function): found.append(("mlops." + name, lambda s, f=f: f.apply))
  for name in ("realize", "schedule", "set_pending", "fail_at", "set_threads", "set_isa", "set_fusion", "explain", "node", "set_recorder", "set_tracer"):
    found.append(("_engine." + name, lambda s, n=name: keep_settings(getattr(_engine, n), n)))
  return found

def keep_settings(f, name):
  """The switch, undone after the call; sizes of the pool that take long are left out."""
  def call(*args):
    if name == "fail_at" and args and isinstance(args[0], int) and 0 < args[0] < 10**6: raise ValueError("would fail at will")
    pending = _engine.set_pending(0, 0)
    info = _engine.info()
    try: return f(*args)
    finally:
      _engine.fail_at(0)
      _engine.set_pending(*pending)
      if name == "set_threads": _engine.set_threads(info["threads"])
      if name == "set_isa": _engine.set_isa(info["isa"])
      if name == "set_fusion": _engine.set_fusion(True)
      if name == "set_recorder": _engine.set_recorder(None)
      if name == "set_tracer": _engine.set_tracer(None)
  return call

def optimise(cls):
  """Makes an optimiser and takes a step."""
  def call(*args, **kwargs):
    opt = cls(*args, **kwargs)
    for p in opt.params: (p * 2.).sum().backward()
    opt.step()
    opt.zero_grad()
    return opt.params[0]
  call.__signature__ = inspect.signature(cls)
  return call

def parameters(f):
  """The names of those that can be given by place or name; None if they are not known."""
  try: return [p for p in inspect.signature(f).parameters.values() if p.name != "self"]
  except (TypeError, ValueError): return None

def calls(f, value):
  """(args, kwargs) of calls that have the value in each place, good arguments elsewhere."""
  known = parameters(f)
  if known is None or all(p.kind is p.VAR_POSITIONAL or p.kind is p.VAR_KEYWORD for p in known):
    return [((value,), {}), ((value, value), {}), ((value, good("arg"), good("x")), {}), ((good("shape"), value), {}), ((BinaryOps.ADD, value), {}), ((2, value), {})]
  needed = {p.name: good(p.name) for p in known if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.POSITIONAL_ONLY)}
  made = []
  for p in known:
    if p.kind is p.VAR_POSITIONAL: made.append(((*needed.values(), value), {}))
    elif p.kind is p.VAR_KEYWORD: made.append(((*needed.values(),), {"dtype": value}))
    elif p.kind is p.POSITIONAL_ONLY: made.append((tuple({**needed, p.name: value}.values()), {}))
    else: made.append(((), {**needed, p.name: value}))
  return made

def look(result, most=10**5):
  """Computes what came out, unless it is large."""
  for r in result if isinstance(result, (tuple, list)) else (result,):
    if isinstance(r, LazyBuffer): r = Tensor(r)
    if isinstance(r, Tensor) and hasattr(r, "lazydata") and r.numel() <= most:
      r.numpy()
      repr(r)

def verdict(e):
  """What is wrong with an exception, if anything."""
  if isinstance(e, SystemError): return f"SystemError: {e}"
  if not isinstance(e, Exception): return f"{type(e)}: {e}"
  return None if str(e) or isinstance(e, (MemoryError, RecursionError, AssertionError, StopIteration)) else f"{type(e).__name__} without a message"
