"""The tensor: what users call. Methods check, and build on the differentiable functions of mlops."""
from __future__ import annotations
import math, operator, time
from typing import Any, Iterable, List, Optional, Sequence, Tuple, Type, Union
import numpy as np
from teenygrad import _engine
from teenygrad.helpers import DType, dtypes, make_pair, prod
from teenygrad.lazy import LazyBuffer
from teenygrad.ops import Device, LoadOps

Number = Union[int, float]

class Function:
  """A differentiable function of LazyBuffers. Subclasses define forward(self, *buffers, **kw), which returns a LazyBuffer, and backward(self,
  grad), which returns the gradient of each operand (None: no gradient). An instance is one application and may keep what backward needs."""
  def __init__(self, device: str, *tensors: Tensor):
    self.device, self.needs_input_grad = device, [t.requires_grad for t in tensors]
    self.requires_grad = True if any(self.needs_input_grad) else None if None in self.needs_input_grad else False
    if self.requires_grad: self.parents = tensors
  def forward(self, *args, **kwargs): raise NotImplementedError(f"forward not implemented for {type(self)}")
  def backward(self, *args, **kwargs): raise RuntimeError(f"backward not implemented for {type(self)}")

  @classmethod
  def apply(cls, *tensors: Tensor, **kwargs) -> Tensor:
    """The result of forward as a Tensor. It remembers this application if an operand requires a gradient, unless under Tensor.no_grad.
    Only floats require gradients."""
    ctx = cls("CPU", *tensors)
    out = ctx.forward(*[t.lazydata for t in tensors], **kwargs)
    if not ctx.requires_grad: return _tensor(out, ctx.requires_grad)
    return _tensor(out, False) if Tensor.no_grad or out.dtype.priority < 9 else _tensor(out, True, ctx)

def _tensor(lazydata: LazyBuffer, requires_grad: Optional[bool] = None, ctx: Optional[Function] = None) -> Tensor:
  """A Tensor of a LazyBuffer, without the constructor's checks."""
  ret: Tensor = object.__new__(Tensor)
  ret.lazydata, ret.requires_grad, ret.grad, ret._ctx = lazydata, requires_grad, None, ctx
  return ret

from teenygrad import arguments, functions, mlops  # noqa: E402  (they need Function and Tensor)
from teenygrad.arguments import element as _checked, fits as _fits, together as _args  # noqa: E402
from teenygrad.composed import Composed, in_place, reflected  # noqa: E402
from teenygrad.interop import Interop, is_operand  # noqa: E402

class Tensor(Interop, Composed):
  """An n-dimensional array that may require a gradient.

  data: a number (shape ()), a list or tuple, nested or empty, None (shape (0,)), an ndarray, a NumPy scalar or another library's array (its dtype
  is kept, but a float64 scalar is a float; the values are copied), bytes (uint8) or a LazyBuffer. dtype: of the elements; numbers and lists have
  Tensor.default_type without it. requires_grad: True, False or None, which an optimiser turns to True. Raises RuntimeError for other data,
  ValueError for ragged lists and lists of Tensors, KeyError for arrays of a type without a dtype (complex, object), OverflowError for a number that
  dtype can't hold."""
  __slots__ = "lazydata", "requires_grad", "grad", "_ctx"
  training, no_grad, default_type, wino = False, False, dtypes.float32, 0
  _seed = int(time.time())  # of the random numbers; each call of rand moves it on

  class train:
    """Context manager: Tensor.training is val within, and what it was before afterwards."""
    def __init__(self, val: bool = True): self.val = val
    def __enter__(self): self.prev, Tensor.training = Tensor.training, self.val
    def __exit__(self, exc_type, exc_value, traceback): Tensor.training = self.prev

  def __init__(self, data: Any, device: Optional[str] = None, dtype: Optional[DType] = None, requires_grad: Optional[bool] = None):
    self.lazydata: LazyBuffer = arguments.buffer(data, device, dtype, requires_grad)
    if requires_grad and self.lazydata.dtype.priority < 9: raise RuntimeError(f"only floats can require gradients, not {self.lazydata.dtype}")
    self.requires_grad = requires_grad
    self.grad: Optional[Tensor] = None
    self._ctx: Any = None  # the Function that made it, if it has a graph

  def __hash__(self): return id(self)
  @property
  def device(self) -> str: "The device's name, which is CPU."; return Device.DEFAULT
  @property
  def shape(self) -> Tuple[int, ...]: "The sizes of the axes."; return self.lazydata.shape
  @property
  def dtype(self) -> DType: "The type of the elements."; return self.lazydata.dtype
  @property
  def ndim(self) -> int: "The number of axes."; return len(self.lazydata.shape)
  def numel(self) -> int: "The number of elements."; return prod(self.shape)
  def element_size(self) -> int: "The bytes of one element."; return self.dtype.itemsize
  def nbytes(self) -> int: "The bytes of all elements."; return self.numel() * self.element_size()
  def is_floating_point(self) -> bool: "Whether the dtype is half, float or double."; return dtypes.is_float(self.dtype)

  # *** values ***

  def numpy(self) -> np.ndarray:
    """The value as a new ndarray of that shape and dtype; float32 for bfloat16, which NumPy lacks."""
    return (self if self.dtype.np else self.detach().float()).lazydata.realized.toCPU()
  def item(self) -> Number:
    """The only element as a Python number, as do bool(), int() and float(). ValueError unless there is exactly one."""
    if self.numel() != 1: raise ValueError(f"a Tensor of shape {self.shape} is no single number: it has {self.numel()} elements")
    return self.numpy().item()
  def realize(self) -> Tensor: "Computes the value now; returns self."; _engine.realize([self.lazydata]); return self
  @staticmethod
  def corealize(tensors: Iterable[Tensor]) -> None:
    """Computes them together."""
    _engine.realize([t.lazydata for t in arguments.operands(tensors, "corealize")])
  def detach(self) -> Tensor: "The same value without a graph and with requires_grad False."; return _tensor(self.lazydata, False)
  def assign(self, x: Any) -> Tensor:
    """Takes over the value of x, a Tensor (with its dtype) or what the constructor takes; returns self. Other tensors and graphs already
    recorded keep the old value. AssertionError for another shape or if x requires a gradient, RuntimeError if self is the result of a graph."""
    if not isinstance(x, Tensor): x = Tensor(x, dtype=self.dtype)
    assert x.shape == self.shape, f"assign: the shapes {self.shape} and {x.shape} differ"
    assert not x.requires_grad, "assign: the value requires a gradient; detach() it"
    if getattr(self, "_ctx", None) is not None and not Tensor.no_grad:
      raise RuntimeError("assign to a result that backward still has to pass through; detach() it first")
    self.lazydata, self._ctx = x.lazydata, None
    return self
  def to(self, device: Optional[str]) -> Tensor:
    """self; for the name of another device a new Tensor, on CPU just the same, with its grad."""
    if device is None or device == self.device: return self
    ret = _tensor(self.lazydata)
    ret.grad = self.grad
    return ret
  def to_(self, device: Optional[str]) -> None:
    """Nothing to do: all tensors are on CPU."""
  def cpu(self) -> Tensor: "self."; return self
  def cast(self, dtype: DType) -> Tensor:
    """The values converted to dtype as NumPy's astype does; self if it has that dtype."""
    return self if self.dtype is dtype or self.dtype == dtype else mlops.Cast.apply(self, dtype=dtype)
  def bitcast(self, dtype: DType) -> Tensor:
    """The bytes read as dtype. AssertionError if the elements' sizes differ."""
    assert isinstance(dtype, DType) and self.dtype.itemsize == dtype.itemsize, f"bitcast from {self.dtype} to {dtype}: the sizes differ"
    return self if self.dtype == dtype else mlops.Cast.apply(self, dtype=dtype, bitcast=True)
  def float(self) -> Tensor: "cast(dtypes.float32)"; return self.cast(dtypes.float32)
  def half(self) -> Tensor: "cast(dtypes.float16)"; return self.cast(dtypes.float16)
  def contiguous(self) -> Tensor: "The same value in a new Tensor."; return mlops.Contiguous.apply(self)
  def contiguous_backward(self) -> Tensor: "The same value; its gradient is made contiguous."; return mlops.ContiguousBackward.apply(self)

  # *** gradients ***

  def deepwalk(self) -> List[Tensor]:
    """The tensors of the graph below that have a context, self included, parents before children. RuntimeError if backward has used up a part."""
    order: List[Tensor] = []
    seen, todo = set(), [(self, False)]
    while todo:
      t, expanded = todo.pop()
      if expanded: order.append(t)
      elif id(t) not in seen:
        seen.add(id(t))
        if not hasattr(t, "_ctx"): raise RuntimeError("backward has already run through this graph and freed it; compute the result again")
        if t._ctx is not None:
          todo.append((t, True))
          todo.extend((p, False) for p in reversed(t._ctx.parents) if p.requires_grad and id(p) not in seen)
    return order

  def backward(self) -> Tensor:
    """Adds the gradient of self, which has the shape (), to the grad of all tensors it was computed from that require one, and frees the graph.
    Returns self. AssertionError for another shape; RuntimeError if self requires no gradient or the graph has been used before."""
    assert self.shape == (), f"backward starts from a Tensor of shape (), not {self.shape}"
    if not self.requires_grad: raise RuntimeError("backward of a Tensor that requires no gradient: nothing it was computed from does")
    order, self.grad = self.deepwalk(), _tensor(self.lazydata.const(1), False)
    for t in reversed(order):
      grads = () if t.grad is None else t._ctx.backward(t.grad.lazydata)  # none reaches what only the condition of a where is made of
      for p, g in zip(t._ctx.parents, grads if isinstance(grads, tuple) else (grads,)):
        if g is None or not p.requires_grad: continue
        assert g.shape == p.shape, f"the gradient's shape {g.shape} is not the tensor's {p.shape} in {t._ctx}"
        if g.dtype is not p.dtype: g = g.cast(p.dtype)
        p.grad = _tensor(g if p.grad is None else p.grad.lazydata + g, False)
      del t._ctx
    return self

  # *** creation ***
  # The shape is ints, a tuple or a list; dtype and requires_grad are the constructor's, and device means nothing. ValueError for a negative size.

  @staticmethod
  def full(shape, fill_value: Number, device=None, dtype: Optional[DType] = None, requires_grad: Optional[bool] = None) -> Tensor:
    """A Tensor of that shape with all elements fill_value, in default_type without dtype. ValueError for a negative size."""
    dtype = dtype or Tensor.default_type
    return Tensor(LazyBuffer.loadop(LoadOps.CONST, _args(shape), dtype, "CPU", _checked(fill_value, dtype)), device, None, requires_grad)
  @staticmethod
  def zeros(*shape, **kwargs) -> Tensor:
    """full with 0; the shape as ints, a tuple or a list, as in all that follow."""
    return Tensor.full(_args(*shape), 0, **kwargs)
  @staticmethod
  def ones(*shape, **kwargs) -> Tensor: "full with 1."; return Tensor.full(_args(*shape), 1, **kwargs)
  @staticmethod
  def _loadop(op: LoadOps, shape: Tuple[int, ...], dtype: Optional[DType] = None, device=None, requires_grad=None, arg=None) -> Tensor:
    return Tensor(LazyBuffer.loadop(op, shape, dtype or Tensor.default_type, "CPU", arg), requires_grad=requires_grad)
  @staticmethod
  def empty(*shape, **kwargs) -> Tensor: "A Tensor with any values."; return Tensor._loadop(LoadOps.EMPTY, _args(*shape), **kwargs)
  def full_like(self, fill_value: Number, **kwargs) -> Tensor:
    """full with self's shape and dtype."""
    return Tensor.full(self.shape, fill_value, **{"dtype": self.dtype, **kwargs})
  def zeros_like(self, **kwargs) -> Tensor: "Zeros with self's shape and dtype."; return self.full_like(0, **kwargs)
  def ones_like(self, **kwargs) -> Tensor: "Ones with self's shape and dtype."; return self.full_like(1, **kwargs)
  @staticmethod
  def arange(start: Number, stop: Optional[Number] = None, step: Number = 1, dtype: Optional[DType] = None, requires_grad=None, device=None):
    """start, start + step, ... below stop (above it for a negative step), or 0, 1, ... below start alone; in default_type without dtype, computed
    exactly (float64 if one is no int). Empty if there are none. ZeroDivisionError for step 0, OverflowError for values that dtype can't hold."""
    if stop is None: start, stop = 0, start
    dtype, n = dtype or Tensor.default_type, arguments.steps(start, stop, step)
    if n: _checked(start, dtype), _checked(start + (n - 1) * step, dtype)
    if step == 1 and start == 0: return Tensor(LazyBuffer.arange(n, dtype), requires_grad=requires_grad)
    count = LazyBuffer.arange(n, dtypes.int64 if isinstance(start, int) and isinstance(step, int) else dtypes.float64)
    return Tensor((count * step + start).cast(dtype), requires_grad=requires_grad)
  @staticmethod
  def eye(dim: int, dtype: Optional[DType] = None, device=None, requires_grad=None) -> Tensor:
    """The identity matrix of dim rows, in default_type without dtype. ValueError for a negative dim."""
    i = Tensor.arange(dim := arguments.integer(dim, "the rows of an identity matrix", 0), dtype=dtypes.int32)
    return Tensor((i.reshape(dim, 1) == i).lazydata.cast(dtype or Tensor.default_type), requires_grad=requires_grad)

  # *** random numbers ***
  # The shape and the keywords as in creation. A result is a leaf. Its numbers depend neither on the threads nor on the instruction set.

  @staticmethod
  def manual_seed(seed: int = 0) -> None: "Starts the random numbers that belong to the seed."; Tensor._seed = arguments.integer(seed, "a seed")
  @staticmethod
  def rand(*shape, **kwargs) -> Tensor:
    """Uniform in [0, 1), float32 or float64 (TypeError otherwise). The numbers depend on the seed, on how many calls came before, and on their
    places in the Tensor only. From call to call the seed follows Knuth's generator MMIX, so that the streams of small seeds don't meet."""
    Tensor._seed = (int(Tensor._seed) * 6364136223846793005 + 1442695040888963407) % 2**63
    return Tensor._loadop(LoadOps.RAND, _args(*shape), arg=Tensor._seed, **kwargs)
  @staticmethod
  def _drawn_from(make, shape: tuple, dtype: Optional[DType] = None, device=None, requires_grad: Optional[bool] = None) -> Tensor:
    """make(uniforms), cast to dtype, as a new leaf; float64 uniforms for float64."""
    dtype = dtype or Tensor.default_type
    u = Tensor.rand(_args(*shape), dtype=dtypes.float64 if dtype == dtypes.float64 else dtypes.float32)
    return Tensor(make(u).cast(dtype).lazydata, requires_grad=requires_grad)
  @staticmethod
  def randn(*shape, **kwargs) -> Tensor:
    """Standard normal, by Box and Muller's formula, in float64: so the bits do not depend on the instruction set."""
    def normal(u): return (u[..., 0] * (2 * math.pi)).cos() * ((1 - u[..., 1]).log() * -2).sqrt()
    return Tensor._drawn_from(lambda u: normal(u.cast(dtypes.float64)), (*_args(*shape), 2), **kwargs)
  @staticmethod
  def randint(*shape, low: int = 0, high: int = 10, dtype: DType = dtypes.int32, **kwargs) -> Tensor:
    """Integers low, ..., high - 1, all equally likely. ValueError if there are none, OverflowError if dtype can't hold them."""
    low, high = arguments.integer(low, "low"), arguments.integer(high, "high")
    if _checked(low, dtype) > _checked(high - 1, dtype): raise ValueError(f"randint: nothing from {low} to below {high}")
    wide = dtypes.float64 if high - low > 2**16 else dtypes.float32
    return Tensor((Tensor.rand(*shape, dtype=wide) * (high - low)).cast(dtypes.int64).add(low).cast(dtype).lazydata, **kwargs)
  @staticmethod
  def normal(*shape, mean: Number = 0.0, std: Number = 1.0, requires_grad: Optional[bool] = None, **kwargs) -> Tensor:
    """Normal with that mean and standard deviation."""
    return Tensor((std * Tensor.randn(*shape, **kwargs) + mean).lazydata, requires_grad=requires_grad)
  @staticmethod
  def uniform(*shape, low: Number = 0.0, high: Number = 1.0, **kwargs) -> Tensor:
    """Uniform in [low, high)."""
    return Tensor._drawn_from(lambda u: (high - low) * u + low, shape, **kwargs)
  @staticmethod
  def scaled_uniform(*shape, **kwargs) -> Tensor:
    """Uniform in +-1 / sqrt(number of elements)."""
    return Tensor.uniform(*shape, low=-(bound := max(1, prod(_args(*shape))) ** -0.5), high=bound, **kwargs)
  @staticmethod
  def glorot_uniform(*shape, **kwargs) -> Tensor:
    """Uniform in +-sqrt(6 / (shape[0] + prod(shape[1:]))) (Glorot and Bengio, 2010)."""
    return Tensor.uniform(*shape, low=-(bound := (6 / max(1, sum(_args(*shape)[:1]) + prod(_args(*shape)[1:]))) ** 0.5), high=bound, **kwargs)
  @staticmethod
  def kaiming_uniform(*shape, a: Number = 0.01, **kwargs) -> Tensor:
    """Uniform with the standard deviation of kaiming_normal (He et al., 2015)."""
    return Tensor.uniform(*shape, low=-(bound := (6 / (1 + a * a) / max(1, prod(_args(*shape)[1:]))) ** 0.5), high=bound, **kwargs)
  @staticmethod
  def kaiming_normal(*shape, a: Number = 0.01, **kwargs) -> Tensor:
    """Normal with the standard deviation sqrt(2 / (1 + a^2) / prod(shape[1:]))."""
    return Tensor.normal(*shape, std=(2 / (1 + a * a) / max(1, prod(_args(*shape)[1:]))) ** 0.5, **kwargs)
  def multinomial(self, num_samples: int = 1, replacement: bool = False) -> Tensor:
    """Indices drawn by the weights self >= 0 of shape (n,) or (rows, n), with replacement: int32 (num,) or (rows, num). AssertionError for other
    shapes, for num_samples <= 0, and for more than one without replacement; ValueError for weights without a sum above 0."""
    assert 1 <= self.ndim <= 2 and arguments.integer(num_samples, "num_samples") > 0, \
      f"multinomial draws from 1 or 2 axes, not {self.shape}, and at least 1, not {num_samples}"
    assert replacement or num_samples == 1, "multinomial without replacement draws one sample only"
    upto = (self.reshape(1, -1) if self.ndim == 1 else self).detach()._wide().cumsum(1).unsqueeze(0)
    total = upto[..., -1:].cast(dtypes.float64)  # in which the product with a float32 is exact, hence less than the total
    if not (np.isfinite(sums := total.numpy()) & (0 < sums)).all() or self.min().item() < 0:
      raise ValueError(f"multinomial of {self.shape}: weights below 0, or a row without a finite sum above 0")
    drawn = Tensor.rand(num_samples, upto.shape[1], 1, dtype=dtypes.float32).cast(dtypes.float64) * total
    out = (upto <= drawn).sum(2).permute(1, 0).cast(dtypes.int32)
    return out.squeeze(0) if self.ndim == 1 else out

  # *** movement ***
  # Of every dtype. A result is a view of the operand, copied only where it has to be stored; the gradient moves back.

  def _axis(self, dim: int, extra: int = 0) -> int:
    """The axis dim (negative: from the end) of as many as self has and `extra` more. IndexError if there is none."""
    n, dim = self.ndim + extra, arguments.integer(dim, "an axis")
    low, high = (-n, n - 1) if n else (-1, 0)
    if not low <= dim <= high: raise IndexError(f"Dimension out of range (expected to be in range of [{low}, {high}], but got {dim})")
    return dim + n if dim < 0 else dim
  def _axes(self, axis: Union[None, int, Sequence[int]]) -> Tuple[int, ...]:
    """The axes: all for None. IndexError as _axis, ValueError for one that is given twice."""
    if axis is None: return tuple(range(self.ndim))
    axes = tuple(self._axis(a) for a in (axis if isinstance(axis, (tuple, list)) else (axis,)))
    if len(set(axes)) != len(axes): raise ValueError(f"the axes {axis} name one twice")
    return axes if self.ndim else ()
  def reshape(self, shape, *args) -> Tensor:
    """The elements in order in another shape, given as ints, a tuple or a list. One -1 is inferred, None keeps the size at its place. ValueError
    if the sizes differ."""
    if None in (shape := _args(shape, *args)): shape = tuple(self.shape[self._axis(i)] if s is None else s for i, s in enumerate(shape))
    return mlops.Reshape.apply(self, shape=shape)
  def expand(self, shape, *args) -> Tensor:
    """Axes of size 1 repeated to the shape (-1 keeps a size), which may have further axes in front. ValueError where it doesn't fit."""
    shape = _args(shape, *args)
    if (more := len(shape) - self.ndim) < 0: raise ValueError(f"{self.shape} can't be expanded to {shape}, which has fewer axes")
    return mlops.Expand.apply(self, shape=tuple(self.shape[i - more] if s == -1 and i >= more else s for i, s in enumerate(shape)))
  def permute(self, order, *args) -> Tensor:
    """The axes in another order. ValueError unless each stands in it once."""
    order = _args(order, *args)
    if len(axes := self._axes(order)) != self.ndim: raise ValueError(f"the order {order} doesn't name the {self.ndim} axes of {self.shape}")
    return mlops.Permute.apply(self, order=axes)
  def transpose(self, ax1: int = 1, ax2: int = 0) -> Tensor:
    """Two axes exchanged. IndexError for an axis out of range."""
    i, j = self._axis(ax1), self._axis(ax2)
    return mlops.Permute.apply(self, order=tuple({i: j, j: i}.get(k, k) for k in range(self.ndim)))
  @property
  def T(self) -> Tensor: "transpose(), of the first two axes."; return self.transpose()
  def flip(self, axis, *args) -> Tensor:
    """The elements backwards along the axes. IndexError for an axis out of range."""
    return mlops.Flip.apply(self, axis=self._axes(_args(axis, *args)))
  def shrink(self, arg) -> Tensor:
    """The elements from start to below stop of each axis, arg being (start, stop) or None (all) for each; self if that is all. ValueError unless
    0 <= start <= stop <= size."""
    if (pairs := arguments.pairs(arg, self.shape, self.shape)) == tuple((0, s) for s in self.shape): return self
    if not all(0 <= start <= stop <= s for (start, stop), s in zip(pairs, self.shape)): raise ValueError(f"can't shrink {self.shape} to {arg}")
    return mlops.Shrink.apply(self, arg=pairs)
  def pad(self, arg, value: Number = 0.0) -> Tensor:
    """(before, after) or None for each axis: so many elements of that value around; self if there are none. ValueError for negative ones."""
    if not any(map(any, pairs := arguments.pairs(arg, self.shape, (0,) * self.ndim))): return self
    out = mlops.Pad.apply(self, arg=pairs)
    return out if value == 0 else self.full_like(True, dtype=dtypes.bool).pad(pairs).where(out, value)
  def slice(self, arg, value: Number = 0) -> Tensor:
    """As shrink, and a start below 0 or a stop beyond the size pads with the value. ValueError for a stop before the start."""
    pairs = arguments.pairs(arg, self.shape, self.shape)
    if any(start > stop for start, stop in pairs): raise ValueError(f"the slice {arg} of {self.shape} ends before it starts")
    out = self.pad(tuple((max(0, -start), max(0, stop - s)) for s, (start, stop) in zip(self.shape, pairs)), value)
    return out.shrink(tuple((start + max(0, -start), stop + max(0, -start)) for start, stop in pairs))
  def pad2d(self, padding: Sequence[int], value: Number = 0) -> Tensor:
    """Pads in PyTorch's order: (left, right, top, bottom, ...), from the last axis inward. Negative numbers crop. ValueError if they crop more than
    there is, or for an odd number of them or more than two for each axis."""
    sides = arguments.sides(padding, self.shape)
    lead = self.ndim - len(sides)
    return self.slice((None,) * lead + tuple((-a, s + b) for (a, b), s in zip(sides, self.shape[lead:])), value)
  def squeeze(self, dim: Optional[int] = None) -> Tensor:
    """Without the axes of size 1, or without the axis dim if its size is 1. IndexError for a dim out of range."""
    if dim is None: return self.reshape(tuple(s for s in self.shape if s != 1))
    if not self.shape[(dim := self._axis(dim)):]: return self
    return self.reshape(self.shape[:dim] + self.shape[dim+1:]) if self.shape[dim] == 1 else self
  def unsqueeze(self, dim: int) -> Tensor:
    """With a further axis of size 1, which becomes axis dim. IndexError for a dim out of range."""
    dim = self._axis(dim, 1)
    return mlops.Reshape.apply(self, shape=self.shape[:dim] + (1,) + self.shape[dim:])
  def flatten(self, start_dim: int = 0) -> Tensor:
    """The axes from start_dim on as one."""
    start_dim = self._axis(start_dim)
    return self.reshape(self.shape[:start_dim] + (prod(self.shape[start_dim:]),))
  def cat(self, *args: Tensor, dim: int = 0) -> Tensor:
    """The tensors one after the other along dim. AssertionError for shapes that differ elsewhere, or for shape ()."""
    ts = arguments.operands((self, *args), "cat")
    self, dim = ts[0], ts[0]._axis(dim)
    assert self.ndim and all(t.ndim == self.ndim and all(a == b or i == dim for i, (a, b) in enumerate(zip(t.shape, self.shape))) for t in ts), \
      f"cat along axis {dim}: the shapes {', '.join(str(t.shape) for t in ts)} don't match"
    return mlops.Cat.apply(*ts, dim=dim)
  @staticmethod
  def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape as the slices of a new axis dim."""
    if not (ts := arguments.operands(tensors, "stack")): raise ValueError("stack of no tensors")
    return Tensor.cat(*[t.unsqueeze(dim) for t in ts], dim=ts[0]._axis(dim, 1))
  def repeat(self, repeats, *args) -> Tensor:
    """Each axis so many times; more numbers than axes add axes in front. ValueError for fewer or negative ones."""
    repeats = _args(repeats, *args)
    shape = (1,) * (len(repeats) - self.ndim) + self.shape
    if len(shape) != len(repeats) or any(r < 0 for r in repeats): raise ValueError(f"can't repeat {self.shape} by {repeats}")
    pairs = tuple(zip(repeats, shape))
    return self.reshape(sum(((1, s) for s in shape), ())).expand(sum(pairs, ())).reshape(tuple(r * s for r, s in pairs))
  def chunk(self, num: int, dim: int = 0) -> List[Tensor]:
    """At most num pieces along dim, of size ceil(size / num); the last may be smaller."""
    dim = self._axis(dim)
    size, step = self.shape[dim], max(1, -(-self.shape[dim] // arguments.integer(num, "the pieces of a chunk", 1)))
    return [self.shrink(tuple((i, min(i + step, size)) if j == dim else None for j in range(self.ndim))) for i in range(0, max(1, size), step)]

  # *** indexing ***

  @staticmethod
  def _positions(i) -> np.ndarray:
    """An index that is a Tensor, an array or a list as an array of int64 or bool. IndexError for one of another type or with fractions."""
    i = i.numpy() if isinstance(i, Tensor) else np.asarray(i)
    if i.dtype == bool and not i.ndim or i.size and i.dtype.kind not in "iub" and (i.dtype.kind != "f" or (i != np.trunc(i)).any()):
      raise IndexError(f"an index must be of integers, or a mask of one or more axes, not {i.dtype} {i}")
    return i if i.dtype == bool else i.astype(np.int64)
  def _index(self, key) -> Tuple[list, List[Tuple[int, np.ndarray]]]:
    """An index in two steps: the basic index of ints, slices (one for each axis that neither an int nor None takes) and None, and then arrays
    of integers for axes of its result; all ints >= 0. IndexError for what is out of range, too long or no index."""
    items: list = []
    for i in key if isinstance(key, tuple) else (key,):
      if isinstance(i, (Tensor, np.ndarray, list, tuple)):  # as (array, size of the axis it must have); a mask is one for each of its axes
        i = Tensor._positions(i)
        items += list(zip(i.nonzero(), i.shape)) if i.dtype == bool else [(i, None) if i.ndim else int(i)]
      elif i is None or i is Ellipsis or isinstance(i, slice): items.append(i)
      elif isinstance(i, (bool, np.bool_)) or not hasattr(i, "__index__"): raise IndexError(f"{i!r} of {type(i)} is no index")
      else: items.append(operator.index(i))  # NumPy's integers, too
    missing = self.ndim - sum(i is not None and i is not Ellipsis for i in items)
    if missing < 0 or items.count(Ellipsis) > 1: raise IndexError(f"too many indices or ellipses for a Tensor of shape {self.shape}")
    dots = items.index(Ellipsis) if Ellipsis in items else len(items)
    items[dots:dots + 1] = [slice(None)] * missing
    basic: list = []
    arrays: List[Tuple[int, np.ndarray]] = []
    sizes = iter(self.shape)
    for i in items:
      size = 0 if i is None else next(sizes)
      if isinstance(i, int):
        if not -size <= i < size: raise IndexError(f"index {i} is out of range for an axis of size {size} of {self.shape}")
        i %= size
      elif isinstance(i, tuple):
        if i[1] not in (None, size): raise IndexError(f"a mask's axis of size {i[1]} can't index one of size {size} of {self.shape}")
        if i[0].size and not -size <= i[0].min() <= i[0].max() < size:
          raise IndexError(f"indices from {i[0].min()} to {i[0].max()} are out of range for an axis of size {size} of {self.shape}")
        arrays.append((sum(not isinstance(b, int) for b in basic), i[0] % size))
        i = slice(None)
      basic.append(i)
    return basic, arrays

  def __getitem__(self, key) -> Tensor:
    """Indexing as PyTorch's, with ints, slices (of any step), None, ..., and Tensors, arrays or lists of integers or bools, whose values are computed
    at once (one integer without axes is an int). IndexError for what is out of range, ValueError for a slice of step 0."""
    basic, arrays = self._index(key)
    ranges: List[range] = []
    shape: List[int] = []
    for i in basic:
      if i is not None: ranges.append(range(self.shape[len(ranges)])[i if isinstance(i, slice) else slice(i, i + 1)])
      if not isinstance(i, int): shape.append(1 if i is None else len(ranges[-1]))
    out = mlops.Slice.apply(self, arg=tuple((min(r[0], r[-1]), max(r[0], r[-1]) + 1) if r else (0, 0) for r in ranges),
                            steps=tuple(r.step if len(r) > 1 else 1 for r in ranges), shape=tuple(shape))
    if not arrays: return out
    axes, flat = [a for a, _ in arrays], arrays[0][1]
    for a, i in arrays[1:]: flat = flat * out.shape[a] + i  # an index into the axes joined
    rows = mlops.Permute.apply(out, order=(*axes, *(a for a in range(out.ndim) if a not in axes)))
    sizes, tail = rows.shape[:len(axes)], rows.shape[len(axes):]
    idx = _tensor(LazyBuffer.fromCPU(flat.reshape(-1, 1)).expand((flat.size, prod(tail))), False)
    out = mlops.Gather.apply(rows.reshape(prod(sizes), prod(tail)), idx, axis=0).reshape((*flat.shape, *tail))
    if not (lead := axes[0] if axes[-1] - axes[0] == len(axes) - 1 else 0): return out
    return out.permute([*range(flat.ndim, flat.ndim + lead), *range(flat.ndim), *range(flat.ndim + lead, out.ndim)])

  def __setitem__(self, key, value) -> None:
    """Writes the value, broadcast, to the indexed elements. RuntimeError if a gradient would be lost; IndexError and ValueError as indexing."""
    if not Tensor.no_grad and (self.requires_grad or isinstance(value, Tensor) and value.requires_grad):
      raise RuntimeError("writing to elements would lose a gradient: use where, or detach()")
    basic, arrays = self._index(key)
    data = self.numpy()
    view = data[(*basic, Ellipsis)]
    places = tuple(dict(arrays).get(axis, slice(None)) for axis in range(view.ndim))
    if not isinstance(value, Tensor): value = Tensor(value, dtype=None if isinstance(value, (np.ndarray, bytes)) else self.dtype)
    view[places] = value.numpy()
    self.assign(Tensor(data, dtype=self.dtype))

  def gather(self, idx: Tensor, dim: int) -> Tensor:
    """out[i][j][k] = self[i][idx[i][j][k]][k] for dim 1, and so on: PyTorch's gather(dim, index). The shape is idx's, whose axes are no larger
    than self's (AssertionError). IndexError for an index that is not in 0 ... size-1."""
    dim, idx = self._axis(dim), arguments.operand(idx, "the index")
    assert idx.ndim == self.ndim and all(i <= s or a == dim for a, (i, s) in enumerate(zip(idx.shape, self.shape))), \
      f"gather: the index's shape {idx.shape} doesn't fit into {self.shape}"
    if (i := Tensor._positions(idx)).size and not 0 <= i.min() <= i.max() < self.shape[dim]:
      raise IndexError(f"gather: an index from {i.min()} to {i.max()} is out of range for axis {dim} of {self.shape}")
    return mlops.Gather.apply(self, idx.detach().cast(dtypes.int64), axis=dim)

  # *** reductions ***
  # Over one axis, several (a tuple or a list) or all (None), negative ones from the end; keepdim keeps them with size 1. IndexError for an axis
  # out of range, ValueError for one that is given twice.

  def _reduce(self, fxn: Type[Function], axis, keepdim: bool) -> Tensor:
    axes = self._axes(axis)
    out = fxn.apply(self, new_shape=tuple(1 if i in axes else s for i, s in enumerate(self.shape)))
    return out if arguments.kept(keepdim) or not axes else mlops.Reshape.apply(out, shape=tuple(s for i, s in enumerate(self.shape) if i not in axes))
  def _float(self) -> Tensor: "self, integers and bools as default_type."; return self if self.dtype.priority >= 9 else self.cast(Tensor.default_type)
  def _wide(self) -> Tensor: "For several steps: as _float, half as float32."; return x if (x := self._float()).dtype.priority > 9 else x.float()
  def _summable(self) -> Tensor: "self, bools and integers but uint64 as int64."; return self if self.dtype.priority >= 8 else self.cast(dtypes.int64)
  def _reversed(self) -> Tensor:
    """Values of the opposite order: its own inverse; -x, for integers -1 - x, as -x overflows."""
    if self.dtype.priority >= 9: return mlops.Neg.apply(self)
    if self.dtype == dtypes.bool: return self == False  # noqa: E712
    top = 2 ** (8 * self.dtype.itemsize) - 1 if dtypes.is_unsigned(self.dtype) else -1
    return _tensor(top - self.lazydata, False)

  def sum(self, axis=None, keepdim: bool = False) -> Tensor:
    """The sum over an axis, several, or all (None); 0 of none. Bools and integers are summed in int64 (uint64 in itself), halves in float32 and
    rounded once. IndexError for an axis out of range, as in all reductions."""
    return self._summable()._reduce(mlops.Sum, axis, keepdim)
  def max(self, axis=None, keepdim: bool = False) -> Tensor:
    """The maximum, NaN if there is one; -inf of none. Ties share the gradient."""
    if 0 in [self.shape[a] for a in self._axes(axis)]: return self._float().sum(axis, keepdim) - math.inf
    return self._reduce(mlops.Max, axis, keepdim)
  def min(self, axis=None, keepdim: bool = False) -> Tensor:
    """The minimum, NaN if there is one; +inf of none. Ties share the gradient."""
    return self._reversed().max(axis, keepdim)._reversed()
  def mean(self, axis=None, keepdim: bool = False) -> Tensor:
    """The mean; 0 of none. A float: integers give default_type."""
    total = (self._wide() if self.dtype.priority >= 9 else self if self.dtype.itemsize < 8 else self.cast(dtypes.float64)).sum(axis, keepdim)
    return (total._wide() / (prod(self.shape[a] for a in self._axes(axis)) or 1)).cast(self._float().dtype)
  def _centred(self, axis) -> Tensor:
    """self less its mean, and less what rounding left of that: 0 for equal elements."""
    x = self - self.mean(axis, True)
    return x - x.detach().mean(axis, True)
  def std(self, axis=None, keepdim: bool = False, correction: int = 1) -> Tensor:
    """sqrt(sum((self - mean)^2) / (N - correction)) over the N elements; NaN or inf where N <= correction. Without gradient at 0."""
    return ((v := self._wide().var(axis, keepdim, correction)) == 0).where(0, v).sqrt().cast(self._float().dtype)
  def _along(self, fxn: Type[Function], axis) -> Tensor:
    """fxn, computed along the axis in float32 or wider."""
    return (self._wide()._reduce(fxn, axis, True) if self.numel() else self._wide()).cast(self._float().dtype)
  def softmax(self, axis=-1) -> Tensor: "exp(self) / sum(exp(self)) along the axis (several, None: all)."; return self._along(mlops.Softmax, axis)
  def log_softmax(self, axis=-1) -> Tensor: "log(softmax(self)), computed without forming it."; return self._along(mlops.LogSoftmax, axis)
  def argmax(self, axis: Optional[int] = None, keepdim: bool = False) -> Tensor:
    """The index of the first maximum (or NaN) along the axis, int32; None: in the flattened tensor. ValueError for none."""
    arguments.kept(keepdim)
    if axis is None or not self.shape[(axis := self._axis(axis)):]: return self.flatten().argmax(0).reshape((1,) * self.ndim if keepdim else ())
    if not (n := self.shape[axis]): raise ValueError(f"argmax of no elements: axis {axis} of {self.shape}")
    x = self.detach()
    best = (x >= x.max(axis, True)).maximum(_tensor(mlops.known(x.lazydata), False)._reversed())
    rank = (n - Tensor.arange(n, dtype=dtypes.int32)).reshape((n,) + (1,) * (self.ndim - axis - 1))  # the first has the highest
    return n - best.where(rank, 0).max(axis, keepdim)
  def argmin(self, axis: Optional[int] = None, keepdim: bool = False) -> Tensor:
    """The index of the first minimum (or NaN), as argmax."""
    return self._reversed().argmax(axis, keepdim)
  def cumsum(self, axis: int = 0) -> Tensor:
    """The sums up to each element along the axis; in the dtype of sum."""
    axis = self._axis(axis)
    return mlops.Cumsum.apply(self._summable(), axis=axis) if self.ndim else self._summable().contiguous()
  def _tri(self, k: int, upper: bool) -> Tensor:
    """self where column - row >= k (upper) or <= k, else 0."""
    if self.ndim < 2: raise ValueError(f"a triangle of the shape {self.shape}: two axes are needed")
    rows, cols = (Tensor.arange(s, dtype=dtypes.int32) for s in self.shape[-2:])
    off, k = cols - rows.unsqueeze(1), arguments.integer(k, "a diagonal")
    return (off >= k if upper else off <= k).where(self, False)
  def triu(self, k: int = 0) -> Tensor: "The last two axes' upper triangle from diagonal k on; 0 elsewhere."; return self._tri(k, True)
  def tril(self, k: int = 0) -> Tensor: "The last two axes' lower triangle up to diagonal k; 0 elsewhere."; return self._tri(k, False)

  # *** products, convolution, pooling ***
  # In the larger dtype of the operands: integers wrap, sums of half are made in float32 and rounded once.

  def dot(self, w: Any) -> Tensor:
    """The matrix product as np.matmul, w a Tensor, array or list: (*, n, k) and (*, k, m) give (*, n, m), the axes in front being broadcast; one axis
    is a vector's. AssertionError for shape () and inner sizes that differ."""
    if not isinstance(w, Tensor): w = arguments.factor(self, w)
    assert (n := self.ndim) and (m := w.ndim) and self.shape[-1] == w.shape[-min(m, 2)], f"no matrix product of the shapes {self.shape} and {w.shape}"
    if n == 1: return self.unsqueeze(0).dot(w).squeeze(-1 if m == 1 else -2)
    if m == 1: return self.dot(w.unsqueeze(1)).squeeze(-1)
    return mlops.Dot.apply(self, w)
  def matmul(self, x: Any, reverse: bool = False) -> Tensor:
    """self @ x, or x @ self if reverse; as dot."""
    return arguments.factor(self, x).dot(self) if reverse else self.dot(x)
  def linear(self, weight: Tensor, bias: Optional[Tensor] = None) -> Tensor:
    """self (*, in) @ weight (in, out) + bias (out): (*, out). For a weight of one axis self * weight + bias."""
    x = self * weight if (weight := arguments.operand(weight, "the weight")).ndim == 1 else self.dot(weight)
    return x if bias is None else x + bias

  def _pool(self, k_: Tuple[int, ...], stride: Union[int, Tuple[int, ...]] = 1, dilation: Union[int, Tuple[int, ...]] = 1) -> Tensor:
    """Windows of size k_ over the last axes: (*lead, *out, *k_), out = (in - d(k-1) - 1) // stride + 1, or 0. AssertionError for other lengths."""
    stride, dilation = make_pair(stride, len(k_)), make_pair(dilation, len(k_))
    assert self.ndim >= len(k_) == len(stride) == len(dilation), f"windows {k_}, stride {stride} and dilation {dilation} over {self.shape}"
    return mlops.Window.apply(self, kernel=tuple(k_), stride=tuple(stride), dilation=tuple(dilation))
  def avg_pool2d(self, kernel_size=(2, 2), stride=None, dilation=1) -> Tensor:
    """The mean of each window over the last axes, as many as the kernel has (an int: two); stride None is the kernel. n elements become
    (n - dilation (kernel - 1) - 1) // stride + 1. AssertionError for more axes
    than there are and for lengths that differ, ValueError for numbers below 1 and windows larger than the input."""
    return self._pool(*(w := arguments.pool(self.shape, kernel_size, stride, dilation))).mean(tuple(range(-len(w[0]), 0)))
  def max_pool2d(self, kernel_size=(2, 2), stride=None, dilation=1) -> Tensor:
    """The maximum of each window, as avg_pool2d."""
    return self._pool(*(w := arguments.pool(self.shape, kernel_size, stride, dilation))).max(tuple(range(-len(w[0]), 0)))
  def conv2d(self, weight: Tensor, bias: Optional[Tensor] = None, groups=1, stride=1, dilation=1, padding=0) -> Tensor:
    """Convolution over one or more axes: self (N, groups cin, *in), weight (cout, cin, *K), bias (cout). padding: an int, a number for each axis,
    or two (pad2d's order); negative ones crop. AssertionError for channels, axes or numbers of them that don't fit, ValueError for cout not divisible
    by groups, for stride, dilation and groups below 1 and for a window larger than the input."""
    n = (weight := arguments.operand(weight, "the weight")).ndim - 2
    assert self.ndim == weight.ndim > 2 and self.shape[1] == arguments.integer(groups, "groups", 1) * weight.shape[1], \
      f"the input {self.shape} doesn't fit the weight {weight.shape} in {groups} groups: (N, groups cin, *in) and (cout, cin, *K) are needed"
    (N, _), (cout, cin), K = self.shape[:2], weight.shape[:2], weight.shape[2:]
    if cout % groups: raise ValueError(f"{cout} output channels in {groups} groups")
    stride, dilation = arguments.windows(K, stride, dilation, self.shape, weight.shape)
    padding = arguments.padding(padding, n, self.shape, weight.shape)
    x = self.pad2d(padding) if any(padding) else self
    x = x.reshape(N, groups, 1, cin, *x.shape[2:])._pool(K, stride, dilation)
    if 0 in (out := x.shape[4:4 + n]): raise ValueError(f"windows {K} with dilation {dilation} are larger than {self.shape} padded by {padding}")
    x = mlops.Permute.apply(x, order=(0, 1, 2, *range(4, 4 + n), 3, *range(4 + n, 4 + 2 * n)))
    w = weight.reshape(1, groups, cout // groups, *(1,) * n, cin, *K)
    return (x * w)._reduce(mlops.Sum, tuple(range(-n - 1, 0)), False).reshape(N, cout, *out)._add_channels(bias)
  def conv_transpose2d(self, weight: Tensor, bias: Optional[Tensor] = None, groups=1, stride=1, dilation=1, padding=0, output_padding=0) -> Tensor:
    """The gradient of a convolution by its input: self (N, groups cin, *in), weight (groups cin, cout/groups, *K), to the sizes (in-1) stride
    - 2 padding + dilation (K-1) + output_padding + 1. AssertionError and ValueError as conv2d, and for a size below 1."""
    (K, n), shapes = ((weight := arguments.operand(weight, "the weight")).shape[2:], weight.ndim - 2), (self.shape, weight.shape)
    assert self.ndim == weight.ndim > 2 and self.shape[1] == weight.shape[0] and self.shape[1] % arguments.integer(groups, "groups", 1) == 0, \
      f"the input {self.shape} doesn't fit the weight {weight.shape} in {groups} groups: (N, cin, *in) and (cin, cout / groups, *K) are needed"
    stride, dilation = arguments.windows(K, stride, dilation, *shapes)
    padding, output_padding = arguments.each(padding, n, "padding", None, *shapes), arguments.each(output_padding, n, "output_padding", 0, *shapes)
    x = self.reshape(self.shape[0], groups, self.shape[1] // groups, 1, *self.shape[2:], *(1,) * n)
    w = weight.reshape(1, groups, weight.shape[0] // groups, weight.shape[1], *(1,) * n, *K)
    size = tuple((i - 1) * s + d * (k - 1) + 1 for i, s, d, k in zip(self.shape[2:], stride, dilation, K))
    if min(sizes := [s - 2 * p + o for s, p, o in zip(size, padding, output_padding)]) < (1 if self.numel() else 0):
      raise ValueError(f"conv_transpose2d of {self.shape} with the weight {weight.shape}, padding {padding}: output sizes {sizes}")
    full = tuple(max(0, s) for s in size)  # that of an empty axis may be negative: less than it is in the end
    x = mlops.Overlap.apply((x * w)._reduce(mlops.Sum, 2, False), size=full, stride=stride, dilation=dilation)
    ends = [e for s, p, o in zip(size[::-1], padding[::-1], output_padding[::-1]) for e in (-p, o - p + min(0, s))]
    return x.reshape(self.shape[0], groups * weight.shape[1], *full).pad2d(ends)._add_channels(bias)
  def _add_channels(self, bias: Optional[Tensor]) -> Tensor:
    """Plus bias (C,) along axis 1. AssertionError for another length."""
    if bias is None: return self
    assert (bias := arguments.operand(bias, "the bias")).shape == (self.shape[1],), f"a bias of shape {bias.shape} for {self.shape[1]} channels"
    return self + bias.reshape(-1, *(1,) * (self.ndim - 2))

  # *** elementwise functions: floats of integers in default_type ***
  # The result has the shape of the operand. neg, relu, trunc, floor, ceil, abs, sign, square, clip, maximum and minimum keep integers what they are.

  def neg(self) -> Tensor: "-self; bools count as int32."; return mlops.Neg.apply(self if self.dtype != dtypes.bool else self.cast(dtypes.int32))
  def log(self) -> Tensor: "The natural logarithm: -inf at 0, NaN below."; return mlops.Log.apply(self._float())
  def log2(self) -> Tensor: "The logarithm to base 2."; return mlops.Log2.apply(self._float())
  def exp(self) -> Tensor: "e ** self."; return mlops.Exp.apply(self._float())
  def exp2(self) -> Tensor: "2 ** self."; return mlops.Exp2.apply(self._float())
  def relu(self) -> Tensor: "max(self, 0); the gradient at 0 is 0."; return mlops.Relu.apply(self)
  def sigmoid(self) -> Tensor: "1 / (1 + exp(-self))."; return mlops.Sigmoid.apply(self._wide()).cast(self._float().dtype)
  def sin(self) -> Tensor: "The sine."; return mlops.Sin.apply(self._float())
  def cos(self) -> Tensor: "The cosine."; return mlops.Cos.apply(self._float())
  def tan(self) -> Tensor: "sin / cos."; return self.sin() / self.cos()
  def sqrt(self) -> Tensor: "The square root, NaN below 0."; return mlops.Sqrt.apply(self._float())
  def rsqrt(self) -> Tensor: "1 / sqrt(self)."; return self.sqrt().reciprocal()
  def reciprocal(self) -> Tensor: "1 / self."; return 1.0 / self
  def square(self) -> Tensor: "self * self."; return self * self
  def trunc(self) -> Tensor:
    """Without the fraction; the gradient is 0, as those of floor, ceil and sign."""
    return mlops.Trunc.apply(self) if self.dtype.priority >= 9 else self.contiguous()
  def floor(self) -> Tensor: "The next integer below."; return (t := self.trunc()) - (self < t).cast(t.dtype)
  def ceil(self) -> Tensor: "The next integer above."; return ((t := self.trunc()) < self).where(t + 1, t)
  def abs(self) -> Tensor:
    """The absolute value; the gradient at 0 is 0."""
    return self.contiguous() if self.dtype == dtypes.bool or dtypes.is_unsigned(self.dtype) else mlops.Abs.apply(self)
  def sign(self) -> Tensor: "-1, 0 or 1; 0 for NaN."; return mlops.Sign.apply(self) if self.dtype != dtypes.bool else self.contiguous()
  def clip(self, min_: Optional[Number], max_: Optional[Number]) -> Tensor:
    """maximum(min_), then minimum(max_), None being no bound. A gradient of 1/2 on a bound."""
    x = self if min_ is None else self.maximum(min_)
    return x if max_ is None else x.minimum(max_)
  def maximum(self, x: Any) -> Tensor:
    """The larger of self and x, NaN from either side; equal ones share the gradient."""
    return mlops.Maximum.apply(*self._pair(x))
  def minimum(self, x: Any) -> Tensor:
    """The smaller, as maximum."""
    a, b = self._pair(x)
    if a.dtype != b.dtype: a, b = (t.cast(max(a.dtype, b.dtype)) for t in (a, b))
    return mlops.Maximum.apply(a._reversed(), b._reversed())._reversed()
  def relu6(self) -> Tensor: "min(relu(self), 6)."; return self.relu().minimum(6)
  def hardswish(self) -> Tensor: "self relu6(self + 3) / 6 (Howard et al., 2019)."; return self * (self + 3).relu6() * (1 / 6)
  def hardtanh(self, min_val: Number = -1, max_val: Number = 1) -> Tensor: "clip(min_val, max_val)."; return self.clip(min_val, max_val)
  def leakyrelu(self, neg_slope: Number = 0.01) -> Tensor: "self above 0, neg_slope self below."; return (self > 0).where(self, self * neg_slope)
  def elu(self, alpha: Number = 1.0) -> Tensor:
    """self above 0, alpha (exp(self) - 1) below (Clevert et al., 2016)."""
    return (self > 0).where(self, alpha * mlops.Expm1.apply((self > 0).where(0, self)._float()))
  def celu(self, alpha: Number = 1.0) -> Tensor:
    """self above 0, alpha (exp(self / alpha) - 1) below (Barron, 2017)."""
    return (self > 0).where(self, alpha * mlops.Expm1.apply((self > 0).where(0, self) / float(alpha)))
  def swish(self) -> Tensor: "self sigmoid(self) (Ramachandran et al., 2017)."; return ((x := self._wide()) * x.sigmoid()).cast(self._float().dtype)
  silu = swish
  def quick_gelu(self) -> Tensor: "self sigmoid(1.702 self)."; return self * (self * 1.702).sigmoid()
  def gelu(self) -> Tensor:
    """0.5 self (1 + tanh(u)) with u = sqrt(2/pi) (self + 0.044715 self^3) (Hendrycks and Gimpel, 2016), as self sigmoid(2 u)."""
    return functions.Gelu.apply(self._wide()).cast(self._float().dtype)
  def tanh(self) -> Tensor: "The hyperbolic tangent."; return mlops.Tanh.apply(self._float())
  def sinh(self) -> Tensor: "(exp(self) - exp(-self)) / 2."; return functions.Sinh.apply(self._wide()).cast(self._float().dtype)
  def cosh(self) -> Tensor: "(exp(self) + exp(-self)) / 2."; return functions.Cosh.apply(self._wide()).cast(self._float().dtype)
  def atanh(self) -> Tensor: "log((1 + self) / (1 - self)) / 2."; return (mlops.Log1p.apply(x := self._float()) - mlops.Log1p.apply(-x)) / 2.0
  def asinh(self) -> Tensor: "The inverse of sinh."; return mlops.Asinh.apply(self._wide()).cast(self._float().dtype)
  def acosh(self) -> Tensor:
    """The inverse of cosh for self >= 1, as 2 asinh(sqrt((self - 1) / 2)); NaN below."""
    return (((self._wide() - 1) / 2).sqrt().asinh() * 2).cast(self._float().dtype)
  def softplus(self, beta: Number = 1) -> Tensor:
    """log(1 + exp(beta self)) / beta."""
    return mlops.Softplus.apply(self._float(), beta=float(arguments.number(beta, "beta")))
  def mish(self) -> Tensor: "self tanh(softplus(self)) (Misra, 2019)."; return ((x := self._wide()) * x.softplus().tanh()).cast(self._float().dtype)
  def softsign(self) -> Tensor: "self / (1 + abs(self))."; return self / (1 + self.abs())
  def where(self, x: Any, y: Any) -> Tensor:
    """x where self is not zero, else y; Tensors or numbers, all broadcast. Numbers have the other's dtype, or two of them self's (default_type
    if it is bool); one that the dtype can't hold widens it as in arithmetic."""
    self = arguments.operand(self, "the condition")
    if not isinstance(x, Tensor) and not isinstance(y, Tensor): _, y = (self if self.dtype != dtypes.bool else self._float())._beside(y)
    if not isinstance(x, Tensor): y, x = y._beside(x)
    if not isinstance(y, Tensor): x, y = x._beside(y)
    return mlops.Where.apply(self, x, y)

  # *** arithmetic and comparison ***
  # The other operand is a Tensor, a number, a list or an array. Shapes broadcast: axes are aligned at the last one, those of size 1 repeat.

  def _beside(self, x: Any, exact: bool = False) -> Tuple[Tensor, Tensor]:
    """self and x, a number, list or array, as Tensors that can be operands. A number takes self's dtype, but int32 beside bool, and a float makes
    an integer default_type (float64 if exact). Arrays keep theirs. TypeError for None, RuntimeError as the constructor for what is no data,
    OverflowError for a number that the dtype can't hold."""
    if isinstance(x, (np.generic, np.ndarray)) and not x.ndim: x = x.item()
    if isinstance(x, (int, float)):
      if (dtype := self.lazydata.dtype).priority < 9:
        if isinstance(x, float): dtype = dtypes.float64 if exact else Tensor.default_type
        elif dtype == dtypes.bool and not isinstance(x, bool): dtype = dtypes.int32
        elif exact and not _fits(x, dtype): return _tensor(self.lazydata.const(x < 0), False), _tensor(self.lazydata.const(x > 0), False)
        else: x = _checked(x, dtype)
      a = self.cast(dtype)
      return a, _tensor(a.lazydata.const(x), False)
    if x is None: raise TypeError("None is no operand of a Tensor")
    if isinstance(x, (list, tuple)) and (self.dtype.priority >= 9 or np.array(x).dtype.kind in "iu" and self.dtype != dtypes.bool):
      return self, Tensor(x, dtype=self.dtype, requires_grad=False)
    return self, Tensor(x, requires_grad=False)
  def _pair(self, x: Any, reverse: bool = False, exact: bool = False) -> Tuple[Tensor, Tensor]:
    """self and x as operands, x first if reverse."""
    a, b = (self, x) if isinstance(x, Tensor) else self._beside(x, exact)
    return (b, a) if reverse else (a, b)
  def _counted(self, x: Any, reverse: bool) -> Tuple[Tensor, Tensor]:
    """As _pair; two bools count as int32."""
    a, b = self._pair(x, reverse)
    return (a.cast(dtypes.int32), b) if a.lazydata.dtype is dtypes.bool is b.lazydata.dtype else (a, b)

  def add(self, x: Any, reverse: bool = False) -> Tensor:
    """self + x. The shapes broadcast (ValueError), the larger dtype is the result's; two bools count as int32."""
    return mlops.Add.apply(*self._counted(x, reverse))
  def sub(self, x: Any, reverse: bool = False) -> Tensor:
    """self - x, or x - self if reverse; as add."""
    return mlops.Sub.apply(*self._counted(x, reverse))
  def mul(self, x: Any, reverse: bool = False) -> Tensor:
    """self * x; as add, but two bools give bool."""
    return mlops.Mul.apply(*self._pair(x, reverse))
  def div(self, x: Any, reverse: bool = False) -> Tensor:
    """self / x, or x / self if reverse; as add. Integers give default_type, but those by a Python int are divided toward zero and stay integers
    (ZeroDivisionError for 0)."""
    a, b = self._pair(x, reverse)
    if a.dtype.priority < 9 and b.dtype.priority < 9:
      if isinstance(x, int) and not reverse and self.dtype != dtypes.bool:
        if not x: raise ZeroDivisionError(f"a Tensor of {self.dtype} divided by 0")
      else: a, b = a._float(), b._float()
    return mlops.Div.apply(a, b)
  def pow(self, x: Any, reverse: bool = False) -> Tensor:
    """self ** x, or x ** self if reverse: NaN for a negative base and a fractional exponent. Integers stay integers for a Python int x >= 0
    (ValueError below), else they give default_type."""
    if isinstance(x, np.generic): x = x.item()
    if not isinstance(x, (int, float)):
      a, b = self._pair(x, reverse)
      dtype = max(a.dtype, b.dtype) if max(a.dtype, b.dtype).priority >= 9 else Tensor.default_type
      return mlops.Pow.apply(a.cast(dtype), b.cast(dtype))
    if reverse and x > 0 and x != 1 and math.isfinite(x): return (self._float() * math.log2(x)).exp2()
    if x < 0 and isinstance(x, int) and not reverse and self.dtype.priority < 9: raise ValueError(f"{self.dtype} ** {x} is no integer: cast first")
    base = self._float() if isinstance(x, float) or reverse else self
    if reverse or not -1024 <= x <= 1024 or x != int(x) and abs(x) != 0.5: return mlops.Pow.apply(*base._float()._pair(float(x), reverse))
    if x < 0: return base.reciprocal().pow(-x)
    if x == 0: return mlops.Zero.apply(base) + 1
    if x == 1: return base.contiguous()
    if x == 0.5: return base.sqrt()
    root = base.pow(x // 2)
    return root * root * base if x % 2 else root * root

  def _update(self, x: Tensor) -> Tensor:
    """self with the value x for an in-place operator: a new Tensor if x has a graph. RuntimeError if self is a leaf of it, TypeError if an integer
    self would have to become a float."""
    if x.requires_grad and not Tensor.no_grad:
      if self.requires_grad and self._ctx is None: raise RuntimeError("a leaf that requires a gradient is changed in place: use Tensor.no_grad")
      return x
    if self.dtype.priority < 9 <= x.dtype.priority: raise TypeError(f"a result of {x.dtype} can't be kept in {self.dtype}")
    return self.assign(x.detach().cast(self.dtype))

  __neg__, __abs__, __add__, __sub__, __mul__, __truediv__, __pow__, __matmul__ = neg, abs, add, sub, mul, div, pow, matmul
  __radd__, __rsub__, __rmul__, __rtruediv__, __rpow__, __rmatmul__ = map(reflected, (add, sub, mul, div, pow, matmul))
  __iadd__, __isub__, __imul__, __itruediv__, __ipow__, __imatmul__ = map(in_place, (add, sub, mul, div, pow, matmul))

  def _compare(self, fxn, x: Any, reverse: bool = False) -> Tensor:
    """A bool Tensor without gradient."""
    a, b = self._pair(x, reverse, True)
    return _tensor(fxn(a.lazydata, b.lazydata), False)
  def __lt__(self, x): return self._compare(mlops.less, x)
  def __gt__(self, x): return self._compare(mlops.less, x, True)
  def __le__(self, x): return self._compare(mlops.less_equal, x)
  def __ge__(self, x): return self._compare(mlops.less_equal, x, True)
  def __eq__(self, x): return self._compare(mlops.equal, x) if is_operand(x) else NotImplemented
  def __ne__(self, x): return self._compare(mlops.equal, x)._reversed() if is_operand(x) else NotImplemented

  # *** networks and losses ***

  def sequential(self, ll: Iterable) -> Tensor:
    """What the last of the callables gives, each being called with the result of the one before, the first with self."""
    for f in ll: self = f(self)
    return self
  def layernorm(self, axis=-1, eps: Number = 1e-5) -> Tensor:
    """(self - mean) / sqrt(variance + eps) over the axes (Ba et al., 2016), without weights."""
    x = self._wide()._centred(axis)
    return (x * (x.square().mean(axis, True) + eps).rsqrt()).cast(self._float().dtype)
  def batchnorm(self, weight: Optional[Tensor], bias: Optional[Tensor], mean: Tensor, invstd: Tensor) -> Tensor:
    """(self - mean) weight invstd + bias, each of shape (C,) along axis 1 (or a shape that broadcasts); invstd is 1 / sqrt(variance + eps)."""
    def channels(x: Any) -> Tensor:
      return t.reshape(1, -1, *(1,) * (self.ndim - 2)) if (t := arguments.operand(x, "each of weight, bias, mean, invstd")).ndim == 1 else t
    x = self - channels(mean)
    if weight is not None: x = x * channels(weight)
    x = x * channels(invstd)
    return x if bias is None else x + channels(bias)
  def dropout(self, p: Number = 0.5) -> Tensor:
    """While Tensor.training: zero with probability p, else divided by 1 - p (Srivastava et al., 2014); otherwise self. ValueError for another p."""
    if not 0 <= (p := arguments.number(p, "a probability")) <= 1: raise ValueError(f"dropout with probability {p}")
    if not Tensor.training or p == 0: return self
    return (Tensor.rand(*self.shape, dtype=dtypes.float32) >= p).where(self * (1 / (1.0 - p)), 0.0)
  def scaled_dot_product_attention(self, key: Tensor, value: Tensor, attn_mask: Optional[Tensor] = None, dropout_p: Number = 0.0,
                                   is_causal: bool = False) -> Tensor:
    """softmax(self key^T / sqrt(d) + mask) value over the last axis (Vaswani et al., 2017). A bool mask keeps what is True, and a row that keeps
    nothing gives 0; another mask is added, and a row of -inf gives NaN. is_causal is the mask of a lower triangle. AssertionError for shapes that
    don't fit, ValueError for a mask and is_causal."""
    key, value = arguments.operand(key, "the key"), arguments.operand(value, "the value")
    assert min(self.ndim, key.ndim, value.ndim) > 1 and self.shape[-1] == key.shape[-1] and key.shape[-2] == value.shape[-2], \
      f"attention of queries {self.shape}, keys {key.shape} and values {value.shape}"
    if is_causal and attn_mask is not None: raise ValueError("attention with a mask and is_causal: multiply the mask by a lower triangle instead")
    scores = self.dot(key.transpose(-1, -2)) / math.sqrt(max(1, self.shape[-1]))
    mask: Any = None if attn_mask is None else arguments.operand(attn_mask, "the mask")
    if is_causal: mask = Tensor.ones(self.shape[-2], key.shape[-2], dtype=dtypes.bool).tril()
    if mask is not None: scores = mask.where(scores, -math.inf) if mask.dtype == dtypes.bool else scores + mask
    weights = scores.softmax(-1)
    if attn_mask is not None and mask.dtype == dtypes.bool: weights = mask.where(weights, 0)
    return weights.dropout(dropout_p).dot(value)
  def binary_crossentropy(self, y: Tensor) -> Tensor:
    """The mean of -y log(self) - (1 - y) log(1 - self) for probabilities self and y of shapes that broadcast."""
    y = arguments.operand(y, "the labels")
    return (-y * self.log() - (1 - y) * (1 - self).log()).mean()
  def binary_crossentropy_logits(self, y: Tensor) -> Tensor:
    """binary_crossentropy of sigmoid(self), without forming it."""
    return (self.softplus() - arguments.operand(y, "the labels") * self).mean()
  def sparse_categorical_crossentropy(self, Y: Tensor, ignore_index: int = -1) -> Tensor:
    """The mean of -log_softmax(self)[..., Y] over the class numbers Y != ignore_index, NaN if there is none. self: (..., C), Y: (...) of any dtype.
    The labels are computed at once. ValueError for another shape, IndexError for a class that is not in 0 ... C-1."""
    Y = arguments.operand(Y, "the labels")
    if Y.shape != self.shape[:-1] or not self.shape: raise ValueError(f"labels of shape {Y.shape} for logits of shape {self.shape}")
    labels = Tensor._positions(Y).astype(np.int64, copy=False)
    counted = labels != arguments.integer(ignore_index, "ignore_index")
    if (((labels < 0) | (labels >= (C := self.shape[-1]))) & counted).any():
      raise IndexError(f"labels from {labels.min()} to {labels.max()} for {C} classes")
    rows = mlops.CrossEntropy.apply(self._wide(), Tensor(np.where(counted, labels, -1).astype(np.int32).reshape(*Y.shape, 1)))
    return Tensor(counted.reshape(*Y.shape, 1)).where(rows, 0).sum().cast(self._float().dtype) / float(np.count_nonzero(counted))
