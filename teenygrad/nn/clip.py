"""Gradients kept in bounds, between backward() and an optimiser's step()."""
from __future__ import annotations
import math
from typing import Iterable, List, Union
from teenygrad.tensor import Tensor

def _with_grad(parameters: Union[Tensor, Iterable[Tensor]]) -> List[Tensor]:
  return [p for p in ([parameters] if isinstance(parameters, Tensor) else parameters) if p.grad is not None]

def clip_grad_norm_(parameters: Union[Tensor, Iterable[Tensor]], max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False) -> Tensor:
  """Multiplies all gradients by min(1, max_norm / (norm + 1e-6)), the norm being that of all their elements as one vector (Pascanu et al., 2013).
  Returns the norm, shape (). RuntimeError if it is no finite number and error_if_nonfinite, which computes it at once."""
  ps = _with_grad(parameters)
  if not ps: return Tensor(0.0)
  sizes = Tensor.stack([p.grad.detach()._wide().norm(norm_type) for p in ps])  # type: ignore[union-attr]
  norm = sizes.norm(norm_type)
  if error_if_nonfinite and not math.isfinite(norm.item()): raise RuntimeError(f"the gradients' norm is {norm.item()}: they can't be clipped")
  scale = (max_norm / (norm + 1e-6)).minimum(1.0)
  for p in ps: p.grad = (p.grad * scale).cast(p.grad.dtype).detach()  # type: ignore[union-attr]
  return norm

def clip_grad_value_(parameters: Union[Tensor, Iterable[Tensor]], clip_value: float) -> None:
  """Bounds each element of the gradients by +-clip_value."""
  for p in _with_grad(parameters): p.grad = p.grad.clip(-clip_value, clip_value).detach()  # type: ignore[union-attr]
