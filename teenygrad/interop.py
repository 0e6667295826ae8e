"""How a Tensor behaves as a Python and a NumPy object: its text, its conversions, its copies, and memory shared with other libraries
(docs/neighbours.md). What it computes is in tensor.py."""
from __future__ import annotations
from typing import Any, Optional
import numpy as np
from teenygrad import arguments, tensor
from teenygrad._engine import Exporter, LazyBuffer
from teenygrad.helpers import dtypes

CPU = 1  # DLPack's number

def of_array(a: np.ndarray) -> LazyBuffer:
  """A copy of the elements, of NumPy's types or of ml_dtypes' bfloat16. KeyError for what has no dtype."""
  if a.dtype.kind == "V" and a.dtype.name == "bfloat16": return LazyBuffer.fromCPU(a.view(np.uint16)).cast(dtypes.bfloat16, True)
  dtypes.from_np(a.dtype)
  return LazyBuffer.fromCPU(a)

def of_dlpack(x: Any, share: bool = False) -> LazyBuffer:
  """What x, with __dlpack__, or a capsule of DLPack holds: a copy, or that memory itself. BufferError if it is not on the CPU, or can't be shared."""
  if not hasattr(x, "__dlpack__"): return LazyBuffer.from_dlpack(x, share)
  if (device := x.__dlpack_device__())[0] != CPU: raise BufferError(f"memory on device {tuple(device)}: move it to the CPU first")
  try: capsule = x.__dlpack__(max_version=(1, 0), **{"copy": False} if share else {})
  except TypeError: capsule = x.__dlpack__()  # from before version 1
  return LazyBuffer.from_dlpack(capsule, share)

def of_other(x: Any) -> LazyBuffer:
  """A copy of an array of another library, which speaks DLPack, the buffer protocol or NumPy's __array__. RuntimeError for what is no array."""
  if not isinstance(x, (tensor.Tensor, np.generic, bytearray, type)):
    if hasattr(x, "__dlpack__"): return of_dlpack(x)
    try: return of_array(np.asarray(memoryview(x)))
    except TypeError: pass
    if hasattr(x, "__array__") or hasattr(x, "__array_interface__"): return of_array(np.asarray(x))
  raise RuntimeError(f"can't create a Tensor from {arguments.shown(x)}: it is made from a number, a list of numbers, an array, bytes or None")

def is_operand(x: Any) -> bool:
  """Whether a Tensor can be compared with x: all else is simply not equal to it."""
  return isinstance(x, (tensor.Tensor, int, float, list, tuple, np.ndarray, np.generic)) or hasattr(x, "__dlpack__")

def _arrays(x: Any) -> Any:
  """x with arrays in the place of Tensors, in lists, tuples and dicts, too."""
  if isinstance(x, (list, tuple)): return (list if isinstance(x, list) else tuple)(map(_arrays, x))
  return {k: _arrays(v) for k, v in x.items()} if isinstance(x, dict) else np.asarray(x) if isinstance(x, tensor.Tensor) else x

class Interop(Exporter):
  """The base of Tensor that other libraries and the language itself talk to."""
  __slots__ = ()
  __array_priority__, __array_ufunc__ = 1000, None  # an ndarray on the left leaves the operator to the Tensor

  # *** text ***

  def _notes(self: Any) -> list:
    return [f"grad_fn=<{type(self._ctx).__name__}>"] if getattr(self, "_ctx", None) else ["requires_grad=True"] if self.requires_grad else []
  def __repr__(self: Any) -> str:
    """The values as PyTorch shows them, the middle of long ones left out; nothing is computed for it."""
    notes = self._notes()
    if not self.lazydata.computed: return f"<Tensor {', '.join([f'{self.shape} {self.dtype}', 'not computed yet', *notes])}>"
    if self.dtype != tensor.Tensor.default_type: notes = [f"dtype={self.dtype}", *notes]
    if not self.numel() and self.ndim > 1: notes = [f"shape={self.shape}", *notes]
    values = np.array2string(np.asarray(self), precision=4, separator=", ", prefix="Tensor(", threshold=1000, edgeitems=3)
    return f"Tensor({', '.join([values, *notes])})"
  def _repr_html_(self: Any) -> str:
    """For notebooks: what the Tensor is, and a table of the corners of its first matrix; nothing is computed for it."""
    computed = self.lazydata.computed
    notes = [f"shape {self.shape}", str(self.dtype), self.device, *self._notes(), *([] if computed else ["not computed yet"])]
    head = f"<div><b>Tensor</b> {', '.join(notes).replace('<', '&lt;').replace('>', '&gt;')}</div>"
    if not computed or not self.numel(): return head
    rows = np.asarray(self)[(0,) * max(0, self.ndim - 2)]
    rows = rows.reshape(1, -1) if rows.ndim < 2 else rows
    def corner(n: int) -> list: return [*range(n)] if n <= 6 else [0, 1, 2, None, n - 3, n - 2, n - 1]
    def text(i, j) -> str: return "…" if i is None or j is None else f"{rows[i, j]:.4g}" if rows.dtype.kind == "f" else str(rows[i, j])
    lines = ("".join(f"<td>{text(i, j)}</td>" for j in corner(rows.shape[1])) for i in corner(rows.shape[0]))
    return f"{head}<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"
  def why(self: Any, loss: Any = None, values: bool = False) -> str:
    """A text: whether self is computed or what would compute it, where the first NaN or infinity among its values comes from, and why its grad is
    None; with a loss, whether and how far backward gets from it to self. values: looks for NaN also in what is still to be computed, computing it.
    The program's lines are known of what is made within viz.record() or with GRAPH; viz.record(keep=True) keeps all that a value is made from."""
    from teenygrad import viz
    return viz.why(self, loss, values)
  def __format__(self: Any, spec: str) -> str:
    """str() without a format; with one, that of the only element."""
    return format(self.item(), spec) if spec else str(self)

  # *** Python ***

  def __reduce__(self: Any) -> tuple:
    """Copies and pickles have the value, not the graph."""
    return tensor._tensor, (self.lazydata, self.requires_grad), (None, {"grad": self.grad})
  def tolist(self: Any) -> Any: "The value as nested lists of Python's numbers, or as a number for shape ()."; return np.asarray(self).tolist()
  def __bool__(self: Any) -> bool: return bool(self.item())
  def __float__(self: Any) -> float: return float(self.item())
  def __int__(self: Any) -> int: return int(self.item())
  def __complex__(self: Any) -> complex: return complex(self.item())
  def __round__(self: Any, ndigits: Optional[int] = None): return round(self.item(), ndigits)
  def __index__(self: Any) -> int:
    if self.numel() != 1 or not dtypes.is_int(self.dtype):
      raise TypeError(f"only a Tensor of one integer is an index, not one of shape {self.shape} and {self.dtype}")
    return self.item()
  def __bytes__(self: Any) -> bytes: return memoryview(self).tobytes()  # of a number, too, which bytes() takes for a size
  def __len__(self: Any) -> int:
    if not self.shape: raise TypeError("a 0-d Tensor has no len() and no iterator")
    return self.shape[0]
  def __iter__(self: Any): return (self[i] for i in range(len(self)))
  def __contains__(self: Any, x) -> bool:
    found = self == x
    return isinstance(found, tensor.Tensor) and bool(found.numpy().any())

  # *** other libraries ***

  def __array__(self: Any, dtype=None, copy: Optional[bool] = None) -> np.ndarray:
    """For NumPy: an array that can't be written to and shares the memory, unless dtype or copy ask for another one; float32 for bfloat16."""
    if self.dtype.np: return np.array(memoryview(self), dtype=dtype, copy=copy)
    if copy is False: raise ValueError("NumPy has no bfloat16: it becomes float32 by a copy only")
    return self.numpy() if dtype is None else self.numpy().astype(dtype, copy=False)
  def __array_function__(self: Any, func, types, args, kwargs):
    """Functions of NumPy take a Tensor for an array, and give what they give for arrays."""
    return func(*_arrays(args), **_arrays(kwargs))
  def __dlpack__(self: Any, **kwargs) -> Any:
    """A capsule for from_dlpack of another library (stream, max_version, dl_device, copy as DLPack has them): the consumer's own copy; with
    copy=False the memory itself, which can only be had read-only. BufferError where that can't be."""
    return self.lazydata.__dlpack__(**kwargs)
  def __dlpack_device__(self: Any) -> tuple: "(1, 0): the CPU."; return self.lazydata.__dlpack_device__()
  @staticmethod
  def from_dlpack(x: Any, *, device: Optional[str] = None, copy: Optional[bool] = None) -> Any:
    """A Tensor of an array of another library that has __dlpack__, or of a capsule. The values are copied; with copy=False the Tensor uses
    x's own memory, which must then not be written to for as long as anything computed from the Tensor may read it. BufferError for what is not
    on the CPU, has no dtype here or can't be shared."""
    return tensor._tensor(x.lazydata if isinstance(x, tensor.Tensor) else of_dlpack(x, copy is False))
