"""Methods of a Tensor beyond the original's, made of those in tensor.py or of functions of their own."""
from __future__ import annotations
import math
from typing import Any, List, Optional, Sequence, Tuple, Union
import numpy as np
from teenygrad import arguments, contraction, functions, mlops, tensor
from teenygrad.helpers import dtypes, prod
from teenygrad.ops import MathOps

def reflected(fxn): return lambda self, x: fxn(self, x, True)
def in_place(fxn): return lambda self, x: self._update(fxn(self, x))

def _op(self: Any, op: MathOps, x: Any, reverse: bool, counted: bool) -> Any:
  """An operation that has no gradient; with counted, two bools count as int32."""
  a, b = self._counted(x, reverse) if counted else self._pair(x, reverse)
  return tensor._tensor(a.lazydata.e(op, b.lazydata), False)

def _divisor(self: Any, x: Any, reverse: bool) -> None:
  if isinstance(x, int) and not x and not reverse and self.dtype.priority < 9: raise ZeroDivisionError(f"a Tensor of {self.dtype} divided by 0")

def _reduced(x: Any, reduction: str, count: Any = None) -> Any:
  """The values of a loss, their sum, or the sum divided by count (by default their number)."""
  if reduction not in ("none", "sum", "mean"): raise ValueError(f"reduction is \"none\", \"sum\" or \"mean\", not {reduction!r}")
  if reduction == "none": return x
  return x.sum() if reduction == "sum" else x.mean() if count is None else x.sum() / count

class Composed:
  """The base of Tensor with the methods that others, too, have come to expect of a tensor."""
  __slots__ = ()

  # *** integers and bits ***

  def floor_divide(self: Any, x: Any, reverse: bool = False) -> Any:
    """self / x rounded down, in the dtype of add (bools count as int32), without gradient. Integers by a Tensor of 0: 0; by the number 0:
    ZeroDivisionError."""
    _divisor(self, x, reverse)
    return _op(self, MathOps.FLOORDIV, x, reverse, True)
  def mod(self: Any, x: Any, reverse: bool = False) -> Any:
    """self - x floor(self / x), which has x's sign; dtypes and zeros as floor_divide. NaN for a float by 0 and for infinite self."""
    _divisor(self, x, reverse)
    return functions.Mod.apply(*self._counted(x, reverse))
  def bitwise_and(self: Any, x: Any, reverse: bool = False) -> Any:
    """self & x, of integers or bools; TypeError for floats."""
    return _op(self, MathOps.AND, x, reverse, False)
  def bitwise_or(self: Any, x: Any, reverse: bool = False) -> Any: "As bitwise_and."; return _op(self, MathOps.OR, x, reverse, False)
  def bitwise_xor(self: Any, x: Any, reverse: bool = False) -> Any: "As bitwise_and."; return _op(self, MathOps.XOR, x, reverse, False)
  def bitwise_not(self: Any) -> Any:
    """Every bit inverted: -1 - self, not for bools; TypeError for floats."""
    if self.dtype.priority >= 9: raise TypeError(f"~ is not defined for {self.dtype}")
    return self._reversed()
  def lshift(self: Any, x: Any, reverse: bool = False) -> Any:
    """self 2^x for integers (bools count as int32), wrapping; 0 for x below 0 or not below the number of bits. TypeError for floats."""
    return _op(self, MathOps.SHL, x, reverse, True)
  def rshift(self: Any, x: Any, reverse: bool = False) -> Any:
    """self / 2^x rounded down, as lshift; 0 or -1 by x below 0 or not below the number of bits."""
    return _op(self, MathOps.SHR, x, reverse, True)

  __floordiv__, __mod__, __and__, __or__, __xor__, __lshift__, __rshift__ = floor_divide, mod, bitwise_and, bitwise_or, bitwise_xor, lshift, rshift
  __invert__ = bitwise_not
  __rfloordiv__, __rmod__, __rand__, __ror__, __rxor__, __rlshift__, __rrshift__ = map(
    reflected, (floor_divide, mod, bitwise_and, bitwise_or, bitwise_xor, lshift, rshift))
  __ifloordiv__, __imod__, __iand__, __ior__, __ixor__, __ilshift__, __irshift__ = map(
    in_place, (floor_divide, mod, bitwise_and, bitwise_or, bitwise_xor, lshift, rshift))

  # *** elementwise ***

  def isnan(self: Any) -> Any: "Where self is NaN, as bool."; return self != self
  def isfinite(self: Any) -> Any: "Where self is neither infinite nor NaN, as bool."; return self.detach()._float().abs() < math.inf
  def isinf(self: Any) -> Any: "Where self is infinite, as bool."; return self.detach()._float().abs() == math.inf
  def masked_fill(self: Any, mask: Any, value: Any) -> Any:
    """value where mask is not zero, else self; a number has self's dtype, if that can hold it."""
    return mask.where(value, self)
  def lerp(self: Any, end: Any, weight: Any) -> Any: "self + (end - self) weight, a Tensor or a number."; return self + (end - self) * weight
  def one_hot(self: Any, num_classes: int = -1) -> Any:
    """int64 of shape (*, num_classes): 1 at the class number that self holds, else 0; all 0 for what is no class. num_classes -1: the largest + 1,
    which is computed at once. TypeError unless self is of integers."""
    if not dtypes.is_int(self.dtype): raise TypeError(f"class numbers are integers, not {self.dtype}")
    if num_classes == -1: num_classes = int(self.max().item()) + 1 if self.numel() else 0
    return (self.unsqueeze(-1) == tensor.Tensor.arange(num_classes, dtype=self.dtype)).cast(dtypes.int64)

  # *** reductions ***

  def prod(self: Any, axis=None, keepdim: bool = False) -> Any:
    """The product over an axis, several, or all (None); 1 of none. Bools and integers in int64 (uint64 in itself)."""
    return self._summable()._reduce(functions.Prod, axis, keepdim)
  def any(self: Any, axis=None, keepdim: bool = False) -> Any:
    """Whether an element is not 0, as bool; False of none."""
    x = self.detach() != 0
    return x.max(axis, keepdim) if self.numel() else x.sum(axis, keepdim) > 0
  def all(self: Any, axis=None, keepdim: bool = False) -> Any:
    """Whether no element is 0, as bool; True of none."""
    return ~(self.detach() == 0).any(axis, keepdim)
  def var(self: Any, axis=None, keepdim: bool = False, correction: float = 1) -> Any:
    """sum((self - mean)^2) / (N - correction) over the N elements; NaN or inf where N <= correction. A float: integers give default_type."""
    x, n = self._wide(), max(0.0, prod(self.shape[a] for a in self._axes(axis)) - arguments.number(correction, "correction"))
    return (x._centred(axis).square().sum(axis, keepdim) / n).cast(self._float().dtype)
  def var_mean(self: Any, axis=None, keepdim: bool = False, correction: float = 1) -> Tuple[Any, Any]:
    """var and mean."""
    return self.var(axis, keepdim, correction), self.mean(axis, keepdim)
  def logsumexp(self: Any, axis=None, keepdim: bool = False) -> Any:
    """log(sum(exp(self))), computed from the differences to the maximum; -inf of none. The gradient is the softmax."""
    x = self._wide()
    top = x.detach().max(axis, True)
    top = top.isfinite().where(top, 0.0)
    out = (x - top).exp().sum(axis, True).log() + top
    return (out if keepdim else out.reshape(x.sum(axis).shape)).cast(self._float().dtype)
  def norm(self: Any, p: float = 2.0, axis=None, keepdim: bool = False) -> Any:
    """sum(abs(self)^p)^(1/p): the number of elements that are not 0 for p = 0, the maximum or minimum of abs(self) for p = inf or -inf. The gradient
    is 0 where the norm is, and for p = 0 there is none."""
    x = self._wide()
    if p == 0: return (x != 0).sum(axis, keepdim).cast(self._float().dtype)
    a = x.abs()
    if p == 2: total = x.square().sum(axis, keepdim)
    elif math.isinf(p): return (a.max if p > 0 else a.min)(axis, keepdim).cast(self._float().dtype)
    elif p >= 1: total = (a if p == 1 else a ** p).sum(axis, keepdim)
    else: total = (none := a == 0).where(0.0 if p > 0 else math.inf, none.where(1.0, a) ** p).sum(axis, keepdim)  # without a slope at 0
    if p != 1: total = (flat := total == 0).where(0.0, flat.where(1.0, total).sqrt() if p == 2 else flat.where(1.0, total) ** (1 / p))
    return total.cast(self._float().dtype)

  # *** order ***

  def _sorted(self: Any, k: Optional[int], dim: int, descending: bool) -> Tuple[Any, Any]:
    """The first k (None: all) elements along dim in order, and their indices."""
    dim = self._axis(dim)
    if not self.ndim: return self.contiguous(), self.zeros_like(dtype=dtypes.int64)
    index = tensor._tensor(self.lazydata.argsort(dim, descending, self.shape[dim] if k is None else k), False)
    return mlops.Gather.apply(self, index, axis=dim), index
  def sort(self: Any, dim: int = -1, descending: bool = False) -> Tuple[Any, Any]:
    """The elements along dim in order, and where they were, int64. Equal ones keep their order; NaN counts as the largest."""
    return self._sorted(None, dim, descending)
  def argsort(self: Any, dim: int = -1, descending: bool = False) -> Any: "The indices of sort."; return self._sorted(None, dim, descending)[1]
  def topk(self: Any, k: int, dim: int = -1, largest: bool = True, sorted_: bool = True) -> Tuple[Any, Any]:
    """The k largest (or smallest) elements along dim, and where they were, int64: the first k of sort, always in order. ValueError unless there are
    k."""
    if not 0 <= k <= (self.shape[self._axis(dim)] if self.ndim else 1): raise ValueError(f"the first {k} along axis {dim} of {self.shape}")
    return self._sorted(k, dim, largest) if self.ndim else self._sorted(None, dim, largest)

  # *** movement ***

  def split(self: Any, sizes: Union[int, Sequence[int]], dim: int = 0) -> List[Any]:
    """Pieces along dim of these sizes, or of one size (the last may be smaller). ValueError unless they add up."""
    dim, size = self._axis(dim), self.shape[self._axis(dim)] if self.ndim else 0
    if isinstance(sizes, int):
      if sizes < 1 and (size or sizes < 0): raise ValueError(f"split into pieces of {sizes}")
      sizes = [min(sizes, size - i) for i in range(0, size, sizes)] if size else [0]
    if not self.ndim or sum(sizes) != size or min(sizes, default=0) < 0: raise ValueError(f"pieces of {sizes} of axis {dim} of {self.shape}")
    ends = [sum(sizes[:i]) for i in range(len(sizes) + 1)]
    return [self.shrink(tuple(pair if i == dim else None for i in range(self.ndim))) for pair in zip(ends, ends[1:])]
  def roll(self: Any, shifts: Union[int, Sequence[int]], dims: Union[None, int, Sequence[int]] = None) -> Any:
    """The elements moved on by so many places along each of dims, from the end to the front; None: of the flattened Tensor."""
    if dims is None: return self.flatten().roll(shifts, 0).reshape(self.shape) if self.ndim else self
    shifts, axes = (shifts,) if isinstance(shifts, int) else shifts, (dims,) if isinstance(dims, int) else dims
    if len(shifts) != len(axes): raise ValueError(f"{len(shifts)} shifts along {len(axes)} axes")
    out = self
    for shift, axis in zip(shifts, map(self._axis, axes)):
      if (size := self.shape[axis]) and (at := -shift % size):
        end, start = out.split([at, size - at], axis)
        out = start.cat(end, dim=axis)
    return out
  def diagonal(self: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """The elements whose index along dim2 is that along dim1 + offset, as the last axis. ValueError if both are the same."""
    a, b = self._axis(dim1), self._axis(dim2)
    if a == b or self.ndim < 2: raise ValueError(f"a diagonal between axes {dim1} and {dim2} of {self.shape}")
    x = self.permute(*(i for i in range(self.ndim) if i not in (a, b)), a, b)
    lead, (rows, cols) = x.shape[:-2], x.shape[-2:]
    top, left = max(0, -offset), max(0, offset)
    n = max(0, min(rows - top, cols - left))
    if not n: return x.reshape(*lead, rows * cols).shrink((*((0, s) for s in lead), (0, 0)))
    x = x.shrink((*(None for _ in lead), (top, top + n), (left, left + n))).reshape(*lead, n * n)
    return x.pad((*(None for _ in lead), (0, n))).reshape(*lead, n, n + 1).shrink((*(None for _ in lead), None, (0, 1))).reshape(*lead, n)
  def trace(self: Any) -> Any: "The sum of the diagonal of a matrix."; return self.diagonal().sum()

  # *** products ***

  def outer(self: Any, x: Any) -> Any:
    """self[i] x[j] at (i, j). ValueError unless both have one axis."""
    if self.ndim != 1 or x.ndim != 1: raise ValueError(f"an outer product of the shapes {self.shape} and {x.shape}")
    return self.unsqueeze(1) * x
  @staticmethod
  def einsum(subscripts: str, *operands: Any) -> Any:
    """The sum of products that the subscripts describe, as np.einsum: "ij,jk->ik"; a letter that stands twice in a term is a diagonal, ... are the
    axes without a letter, and without -> the letters that stand once come out in order. Operands are contracted two by two, the smallest results
    first; broadcast products are not stored. The dtype is the operands' common one. ValueError for subscripts that don't fit."""
    return contraction.einsum(subscripts, *operands)

  # *** losses ***

  def mse_loss(self: Any, y: Any, reduction: str = "mean") -> Any:
    """(self - y)^2, by the reduction "mean", "sum" or "none"."""
    return _reduced((self - y).square(), reduction)
  def l1_loss(self: Any, y: Any, reduction: str = "mean") -> Any: "abs(self - y), as mse_loss."; return _reduced((self - y).abs(), reduction)

  def _picked(self: Any, Y: Any, weight: Optional[Any], ignore_index: int) -> Tuple[Any, Any, Any, Any]:
    """Of self (N, C, *) or (C,) and class numbers Y (N, *) or (): self with the classes last, where it has Y's class, where Y counts, and the weight
    of each Y (0 where it does not count). The class numbers are computed at once."""
    axis = min(1, self.ndim - 1)
    if not self.ndim or Y.shape != self.shape[:axis] + self.shape[axis + 1:]:
      raise ValueError(f"labels of shape {Y.shape} for classes of shape {self.shape}")
    labels, C = self._positions(Y).astype(np.int64, copy=False), self.shape[axis]
    if weight is not None and weight.shape != (C,): raise ValueError(f"weights of shape {weight.shape} for {C} classes")
    counted = np.asarray(labels != ignore_index)
    if (((labels < 0) | (labels >= C)) & counted).any(): raise IndexError(f"labels from {labels.min()} to {labels.max()} for {C} classes")
    rows = self._wide().permute(*(i for i in range(self.ndim) if i != axis), axis)
    hot = tensor.Tensor(np.where(counted, labels, -1)).unsqueeze(-1) == tensor.Tensor.arange(C, dtype=dtypes.int64)
    return rows, hot, tensor.Tensor(counted), hot.cast(rows.dtype).sum(-1) if weight is None else hot.where(weight.cast(rows.dtype), 0.0).sum(-1)
  def nll_loss(self: Any, Y: Any, weight: Optional[Any] = None, ignore_index: int = -100, reduction: str = "mean") -> Any:
    """-self at the class numbers Y, times the weight (C,) of the class: self (N, C, *) or (C,) of log-probabilities, Y (N, *) or () of integers.
    "mean" divides by the sum of the weights. Y == ignore_index does not count. ValueError for shapes that don't fit, IndexError for what is
    no class."""
    rows, hot, _, each = self._picked(Y, weight, ignore_index)
    return _reduced(hot.where(-rows, 0.0).sum(-1) * each, reduction, each.sum()).cast(self._float().dtype)
  def cross_entropy(self: Any, Y: Any, weight: Optional[Any] = None, ignore_index: int = -100, reduction: str = "mean",
                    label_smoothing: float = 0.0) -> Any:
    """nll_loss of log_softmax(self) along the classes, axis 1 of (N, C, *). With label_smoothing s a label is 1 - s at its class and s / C at all of
    them (Szegedy et al., 2016). Y may be the classes' probabilities instead, floats of self's shape; "mean" divides by their number then."""
    if not 0 <= label_smoothing <= 1: raise ValueError(f"label_smoothing {label_smoothing} is not within 0 and 1")
    axis, s = min(1, self.ndim - 1), label_smoothing
    if Y.shape == self.shape and Y.dtype.priority >= 9:
      target = Y * (1 - s) + s / self.shape[axis]
      if weight is not None: target = target * weight.reshape(-1, *(1,) * (self.ndim - axis - 1))
      return _reduced(-(self._wide().log_softmax(axis) * target).sum(axis), reduction).cast(self._float().dtype)
    logits, hot, counted, each = self._picked(Y, weight, ignore_index)
    log = logits.log_softmax(-1)
    loss = hot.where(-log, 0.0).sum(-1) * each
    if s:
      smooth = -(log if weight is None else log * weight).sum(-1) / self.shape[axis]
      loss = loss * (1 - s) + counted.where(smooth, 0.0) * s
    return _reduced(loss, reduction, each.sum()).cast(self._float().dtype)
