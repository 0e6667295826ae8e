"""How a Tensor behaves as a Python and a NumPy object: its text, its conversions, its copies. What it computes is in tensor.py."""
from __future__ import annotations
from typing import Any
import numpy as np
from teenygrad import tensor

class Interop:
  """The base of Tensor that other libraries and the language itself talk to."""
  __slots__ = ()
  __array_priority__, __array_ufunc__ = 1000, None  # an ndarray on the left leaves the operator to the Tensor

  def __repr__(self: Any) -> str:
    """The values as PyTorch shows them, the middle of long ones left out; nothing is computed for it."""
    notes = [f"grad_fn=<{type(self._ctx).__name__}>"] if getattr(self, "_ctx", None) else ["requires_grad=True"] if self.requires_grad else []
    if not self.lazydata.computed: return f"<Tensor {', '.join([f'{self.shape} {self.dtype}', 'not computed yet', *notes])}>"
    if self.dtype != tensor.Tensor.default_type: notes = [f"dtype={self.dtype}", *notes]
    if not self.numel() and self.ndim > 1: notes = [f"shape={self.shape}", *notes]
    values = np.array2string(self.numpy(), precision=4, separator=", ", prefix="Tensor(", threshold=1000, edgeitems=3)
    return f"Tensor({', '.join([values, *notes])})"
  def __reduce__(self: Any) -> tuple:
    """Copies and pickles have the value, not the graph."""
    return tensor._tensor, (self.lazydata, self.requires_grad), (None, {"grad": self.grad})

  def __array__(self: Any, dtype=None, copy=None) -> np.ndarray:
    if copy is False: raise ValueError("a Tensor becomes an array by a copy only")
    return self.numpy() if dtype is None else self.numpy().astype(dtype, copy=False)
  def __bool__(self: Any) -> bool: return bool(self.item())
  def __float__(self: Any) -> float: return float(self.item())
  def __int__(self: Any) -> int: return int(self.item())
  def __len__(self: Any) -> int:
    if not self.shape: raise TypeError("a 0-d Tensor has no len() and no iterator")
    return self.shape[0]
  def __iter__(self: Any): return (self[i] for i in range(len(self)))
  def __contains__(self: Any, x) -> bool:
    found = self == x
    return isinstance(found, tensor.Tensor) and bool(found.numpy().any())
