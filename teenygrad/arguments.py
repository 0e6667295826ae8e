"""What the methods of a Tensor are given, checked: it comes back in one form, or an exception says what was given and what is expected. TypeError is
for what is of the wrong kind, ValueError for a wrong value, AssertionError for a wrong number of things."""
from __future__ import annotations
import math, operator
from typing import Any, List, Optional, Sequence, Tuple, Union
import numpy as np
from teenygrad import interop, tensor
from teenygrad.helpers import DType, dtypes, make_pair
from teenygrad.lazy import LazyBuffer
from teenygrad.ops import LoadOps

Number = Union[int, float]

def shown(x: Any) -> str:
  """x as messages show it: a Tensor or an array by its shape and dtype, all else by a short text and its type."""
  if isinstance(x, (tensor.Tensor, np.ndarray)): return f"{type(x).__name__} of shape {x.shape} and {x.dtype}"
  text = " ".join(repr(x).split())
  return f"{text if len(text) <= 100 else text[:100] + '...'} of {type(x)}"

# *** numbers ***

def integer(x: Any, what: str, least: Optional[int] = None) -> int:
  """x as an int; a bool is none. ValueError below the least."""
  try: i = None if isinstance(x, bool) else operator.index(x)
  except TypeError: i = None
  if i is None: raise TypeError(f"{what} must be an int, not {shown(x)}")
  if least is not None and i < least: raise ValueError(f"{what} must be at least {least}, not {i}")
  return i
def number(x: Any, what: str) -> Number:
  """x as an int or a float: one of Python or NumPy, or the only element of a Tensor or an array."""
  if isinstance(x, (int, float)): return x
  value = x.item() if isinstance(x, (tensor.Tensor, np.ndarray, np.generic)) and math.prod(x.shape) == 1 else None
  if not isinstance(value, (int, float)): raise TypeError(f"{what} must be a number, not {shown(x)}")
  return value
def fits(value: Number, dtype: DType) -> bool:
  """Whether dtype is no integer type or one whose range holds the value."""
  if not dtypes.is_int(dtype): return True
  bits = 8 * dtype.itemsize - (not dtypes.is_unsigned(dtype))
  return (0 if dtypes.is_unsigned(dtype) else -1 << bits) <= value < 1 << bits
def element(value: Any, dtype: DType) -> Number:
  """A number as an element of dtype. OverflowError for one that an integer type can't hold (ValueError for NaN)."""
  if not isinstance(dtype, DType): raise TypeError(f"a dtype of teenygrad is expected, not {shown(dtype)}")
  value = number(value, "an element")
  if not dtypes.is_int(dtype): return value
  if value != value: raise ValueError(f"{value} is no element of {dtype}")
  if not math.isfinite(value) or not fits(value := int(value), dtype): raise OverflowError(f"{value} is out of range for {dtype}")
  return value
def kept(keepdim: Any) -> bool:
  """keepdim, a bool: another number is most likely a second axis."""
  if not isinstance(keepdim, (bool, np.bool_)): raise TypeError(f"keepdim must be a bool, not {shown(keepdim)}: several axes are given as a tuple")
  return bool(keepdim)
def finite(**numbers: Any) -> None:
  """Refuses what is no number or is NaN or infinite, each by its name."""
  for name, x in numbers.items():
    if not math.isfinite(number(x, name)): raise ValueError(f"{name} must be finite, not {x}")
def steps(start: Any, stop: Any, step: Any) -> int:
  """How many of start, start + step, ... are below stop (above it for a negative step)."""
  try: n = max(0, math.ceil((stop - start) / step))
  except (ZeroDivisionError, OverflowError, TypeError, ValueError) as e:
    raise type(e)(f"arange from {start!r} to {stop!r} in steps of {step!r}: {e}") from None
  if n >= 2**63: raise ValueError(f"arange from {start} to {stop} in steps of {step}: more elements than can be counted")
  return n

# *** sequences of numbers ***

def together(*x) -> tuple:
  """The arguments f(1, 2), f((1, 2)), f([1, 2]) or f(np.array([1, 2])) as one tuple. ValueError for a sequence and more."""
  if not x or not isinstance(x[0], (tuple, list, np.ndarray)): return x
  if len(x) > 1: raise ValueError(f"{x[0]} and further arguments {x[1:]}: give one or the other")
  return tuple(x[0].ravel().tolist() if isinstance(x[0], np.ndarray) else x[0])
def each(x: Any, n: int, what: str, least: Optional[int], *shapes: Tuple[int, ...]) -> Tuple[int, ...]:
  """A number for each of n axes: so many, or one int for all. `shapes` are those of the operands, for the message."""
  where = f"for the shapes {' and '.join(map(str, shapes))}"
  if not isinstance(x, (tuple, list)): return (integer(x, f"{what} {where}", least),) * n
  assert len(x) == n, f"{what} {x} {where}: {n} numbers are needed, one for each axis, not {len(x)}"
  return tuple(integer(i, f"each number of {what} {x} {where}", least) for i in x)
def padding(x: Any, n: int, *shapes: Tuple[int, ...]) -> Tuple[int, ...]:
  """The padding of n axes in pad2d's order, from an int, a number for each axis, or two (in that order already)."""
  count = len(x) if isinstance(x, (tuple, list)) else n
  assert count in (n, 2 * n), f"{x} is no padding of {n} axes for the shapes {' and '.join(map(str, shapes))}: give 1, {n} or {2 * n} numbers"
  numbers = each(x, count, "padding", None, *shapes)
  return tuple(p for p in reversed(numbers) for _ in range(2)) if count == n else numbers
def sides(x: Any, shape: Tuple[int, ...]) -> List[Tuple[int, int]]:
  """The padding of pad2d as a pair for each of the last axes, in their order."""
  if not isinstance(x, (tuple, list)): raise TypeError(f"two numbers for each axis from the last one inward are expected, not {shown(x)}")
  if len(x) % 2 or len(x) > 2 * len(shape): raise ValueError(f"{len(x)} numbers {x} can't pad {shape}: two for each axis, from the last one inward")
  numbers = [integer(i, f"a number of the padding {x}") for i in x]
  found = list(zip(numbers[::2], numbers[1::2]))[::-1]
  if any(before + s + after < 0 for (before, after), s in zip(found, shape[len(shape) - len(found):])):
    raise ValueError(f"the padding {x} crops more of {shape} than there is")
  return found
def pairs(x: Any, shape: Tuple[int, ...], absent: Sequence[int]) -> Tuple[Tuple[int, int], ...]:
  """A pair of ints for each axis of the shape; (0, absent) stands for None."""
  if not isinstance(x, (tuple, list)): raise TypeError(f"a pair for each axis of {shape} is expected, not {shown(x)}")
  if len(x) != len(shape): raise ValueError(f"{len(x)} pairs for the {len(shape)} axes of {shape}")
  for p in x:
    if p is not None and not (isinstance(p, (tuple, list)) and len(p) == 2):
      raise TypeError(f"a pair of ints or None for each axis of {shape} is expected, not {shown(p)} in {x}")
  return tuple((0, s) if p is None else (integer(p[0], f"a number of {x}"), integer(p[1], f"a number of {x}")) for p, s in zip(x, absent))

# *** windows ***

def windows(kernel: Tuple[int, ...], stride: Any, dilation: Any, *shapes: Tuple[int, ...]) -> Tuple[Tuple[int, ...], Tuple[int, ...]]:
  """Stride and dilation of a kernel, a number for each of its axes. ValueError for a kernel without elements."""
  if any(k < 1 for k in kernel): raise ValueError(f"windows {kernel} of size 0 or less for the shapes {' and '.join(map(str, shapes))}")
  return each(stride, len(kernel), "stride", 1, *shapes), each(dilation, len(kernel), "dilation", 1, *shapes)
def pool(shape: Tuple[int, ...], kernel: Any, stride: Any, dilation: Any) -> Tuple[Tuple[int, ...], Tuple[int, ...], Tuple[int, ...]]:
  """Kernel, stride (None: the kernel) and dilation of a pool over the last axes of the shape, as many as the kernel has (an int: two)."""
  n = len(kernel) if isinstance(kernel, (tuple, list)) else 2
  assert 0 < n <= len(shape), f"windows {make_pair(kernel)} over {shape}, which has {len(shape)} axes"
  k = each(kernel, n, "a window", None, shape)
  stride, dilation = windows(k, k if stride is None else stride, dilation, shape)
  if any(d * (i - 1) >= s for d, i, s in zip(dilation, k, shape[-n:])):
    raise ValueError(f"windows {k} with dilation {dilation} are larger than {shape}")
  return k, stride, dilation

# *** data ***

def operand(x: Any, what: str) -> tensor.Tensor:
  """x as a Tensor: itself, or an array or a list as data."""
  if isinstance(x, tensor.Tensor): return x
  if not isinstance(x, (np.ndarray, list, tuple)): raise TypeError(f"{what} must be a Tensor, not {shown(x)}")
  return tensor.Tensor(x, requires_grad=False)
def operands(xs: Any, what: str) -> List[tensor.Tensor]:
  """A list or other iterable of Tensors as a list; a Tensor is none."""
  if isinstance(xs, (tensor.Tensor, np.ndarray)) or not hasattr(xs, "__iter__"): raise TypeError(f"{what} must be a list of Tensors, not {shown(xs)}")
  found = list(xs)
  for x in found:
    if not isinstance(x, tensor.Tensor): raise TypeError(f"{what}: each must be a Tensor, not {shown(x)}")
  return found
def factor(t: tensor.Tensor, x: Any) -> tensor.Tensor:
  """x as the other factor of a matrix product with t: a list in t's dtype. AssertionError for a number."""
  assert not isinstance(x, (int, float, np.number, np.bool_)), f"no matrix product of the shapes {t.shape} and (): {x!r} is a number"
  return t._pair(x)[1]

def buffer(data: Any, device: Optional[str], dtype: Optional[DType], requires_grad: Optional[bool]) -> LazyBuffer:
  """The data that the constructor of a Tensor gets, in that dtype; in its own or default_type without one."""
  if not (device is None or isinstance(device, str)): raise TypeError(f"a device is the name of one, not {shown(device)}")
  if not (requires_grad is None or isinstance(requires_grad, bool)): raise TypeError(f"requires_grad is a bool or None, not {shown(requires_grad)}")
  assert dtype is None or isinstance(dtype, DType), f"dtype must be a DType, such as dtypes.float32, not {shown(dtype)}"
  if isinstance(data, LazyBuffer):
    assert dtype is None or dtype == data.dtype, f"dtype {dtype} for a LazyBuffer of {data.dtype}"
    return data
  if isinstance(data, bytes): return LazyBuffer.fromCPU(np.frombuffer(data, np.uint8))
  if isinstance(data, (int, float)):
    dtype = dtype or tensor.Tensor.default_type
    return LazyBuffer.loadop(LoadOps.CONST, (), dtype, "CPU", element(data, dtype))
  if data is None or isinstance(data, (list, tuple)): data = _array([] if data is None else data, dtype := dtype or tensor.Tensor.default_type)
  try: made = interop.of_array(np.asarray(data)) if isinstance(data, (np.ndarray, np.generic)) else interop.of_other(data)
  except KeyError as e: raise KeyError(f"{e.args[0]}; the data has the shape {np.shape(data)}") from None
  return made if dtype is None else made.cast(dtype)

def _array(data: Union[list, tuple], dtype: DType) -> np.ndarray:
  """A list, nested or not, as an array of dtype (float32 for what NumPy lacks)."""
  first: Any = data
  depth = 0
  while isinstance(first, (list, tuple)) and first and depth < 64: first, depth = first[0], depth + 1  # a list may hold itself
  if isinstance(first, tensor.Tensor): raise ValueError("a list of Tensors is no data; use Tensor.stack")
  with np.errstate(over="ignore"):
    try: array: np.ndarray = np.array(data, dtype=dtype.np or np.float32)
    except (ValueError, OverflowError) as e:
      kind = OverflowError if isinstance(e, OverflowError) else ValueError
      raise kind(f"a {type(data).__name__} that is no data of {dtype}: {e}") from None
  if array.dtype.kind == "f" and np.isnan(array).any() and any(x is None for x in np.array(data, dtype=object).ravel()):
    raise ValueError(f"a {type(data).__name__} that is no data of {dtype}: None is no number")  # NumPy takes it for NaN
  return array
