"""Optimisers. A step only describes the new values, as LazyBuffers; all of them are computed together at its end."""
from typing import List, Optional
import numpy as np
from teenygrad.arguments import finite, number, operands
from teenygrad.helpers import dedup, dtypes
from teenygrad.lazy import LazyBuffer
from teenygrad.ops import UnaryOps
from teenygrad.tensor import Tensor

class Optimizer:
  """params: those whose requires_grad is True, which None becomes, without repeats. buffers: the others. lr: a Tensor of shape (1,), which may be
  replaced by a number. AssertionError without params, TypeError for integers and for what is no Tensor, ValueError for NaN and infinities."""
  def __init__(self, params: List[Tensor], lr: float):
    for p in (params := operands(params, "the parameters")):
      if p.requires_grad is None: p.requires_grad = True
      if p.requires_grad and p.dtype.priority < 9: raise TypeError(f"a parameter must be of floats, not {p.dtype}")
    self.params: List[Tensor] = dedup(p for p in params if p.requires_grad)
    assert self.params, "an optimiser needs a parameter that requires a gradient"
    self.buffers: List[Tensor] = dedup(p for p in params if not p.requires_grad)
    self.device, self.lr = self.params[0].device, Tensor([number(lr, "lr")], requires_grad=False)

  def zero_grad(self) -> None:
    """Forgets the parameters' gradients."""
    for p in self.params: p.grad = None
  def realize(self, extra: Optional[List[Tensor]] = None) -> None:
    """Computes extra, the parameters and the buffers."""
    Tensor.corealize((extra or []) + self.params + self.buffers)
  def _grads(self) -> List[Tensor]:
    """The parameters' gradients. AssertionError if one has none."""
    grads = [p.grad for p in self.params if p.grad is not None]
    assert len(grads) == len(self.params), "a parameter has no gradient: call backward() before step()"
    return grads
  def _state(self) -> List[Tensor]:
    """Zeros of each parameter's shape, float32 or wider."""
    return [Tensor.zeros(*p.shape, dtype=max(p.dtype, dtypes.float32), requires_grad=False) for p in self.params]
  def _rate(self) -> LazyBuffer:
    """The learning rate, of shape (). It enters as data, so that another value makes no other graph."""
    return self.lr.lazydata.reshape(()) if isinstance(self.lr, Tensor) else _data(self.lr)
  def _descend(self, p: Tensor, x: LazyBuffer) -> None:
    """p -= x, in p's dtype."""
    p.assign(Tensor((p.lazydata - x).cast(p.dtype)))

def _data(x: float) -> LazyBuffer: "A number as data of shape ()."; return LazyBuffer.fromCPU(np.array(x, dtype=np.float32))

class SGD(Optimizer):
  """Gradient descent with momentum, Nesterov's if nesterov, and weight decay added to the gradient."""
  def __init__(self, params: List[Tensor], lr=0.001, momentum=0.0, weight_decay=0.0, nesterov=False):
    super().__init__(params, lr)
    finite(lr=lr, momentum=momentum, weight_decay=weight_decay)
    self.momentum, self.wd, self.nesterov = momentum, weight_decay, nesterov
    self.b = self._state() if momentum else []

  def step(self) -> None:
    """Updates the parameters. AssertionError if one has no gradient."""
    grads, lr = self._grads(), self._rate()
    for i, (p, g) in enumerate(zip(self.params, (g.lazydata for g in grads))):
      if self.wd: g = g + self.wd * p.lazydata
      if self.momentum:
        self.b[i].lazydata = b = self.momentum * self.b[i].lazydata + g
        g = g + self.momentum * b if self.nesterov else b
      self._descend(p, lr * g)
    self.realize(self.b + grads)

class LAMB(Optimizer):
  """Adam's step scaled by norm(p) / norm(step) for each parameter (You et al., 2020); with adam=True not scaled: Adam (Kingma and Ba, 2015) or,
  with weight decay wd, AdamW (Loshchilov and Hutter, 2019)."""
  def __init__(self, params: List[Tensor], lr=0.001, b1=0.9, b2=0.999, eps=1e-6, wd=0.0, adam=False):
    super().__init__(params, lr)
    finite(lr=lr, b1=b1, b2=b2, eps=eps, wd=wd)
    if not (0 <= b1 < 1 and 0 <= b2 < 1): raise ValueError(f"b1 = {b1} and b2 = {b2} must be at least 0 and below 1")
    self.b1, self.b2, self.eps, self.wd, self.adam = b1, b2, eps, wd, adam
    self.t, self.m, self.v = Tensor([0], requires_grad=False), self._state(), self._state()

  def step(self) -> None:
    """Updates the parameters. AssertionError if one has no gradient."""
    grads, lr = self._grads(), self._rate()
    self.t.assign([t := self.t.item() + 1])
    scale1, scale2 = (_data(1 / (1 - b ** t)) for b in (self.b1, self.b2))
    for p, m, v, g in zip(self.params, self.m, self.v, (g.lazydata for g in grads)):
      m.lazydata = self.b1 * m.lazydata + (1 - self.b1) * g
      v.lazydata = self.b2 * v.lazydata + (1 - self.b2) * g * g
      step = m.lazydata * scale1 / ((v.lazydata * scale2).e(UnaryOps.SQRT) + self.eps)
      if self.wd: step = step + self.wd * p.lazydata
      if not self.adam:
        norm, size = (Tensor(x).square().sum().sqrt() for x in (p.lazydata, step))
        step = step * ((norm > 0) * (size > 0)).where(norm / size, 1.0).lazydata
      self._descend(p, lr * step)
    self.realize([self.t] + self.m + self.v + grads)

def Adam(params: List[Tensor], lr=0.001, b1=0.9, b2=0.999, eps=1e-8) -> LAMB:
  """LAMB without the scaling and without weight decay."""
  return LAMB(params, lr, b1, b2, eps, 0.0, adam=True)
def AdamW(params: List[Tensor], lr=0.001, b1=0.9, b2=0.999, eps=1e-8, wd=0.01) -> LAMB:
  """LAMB without the scaling, with decoupled weight decay."""
  return LAMB(params, lr, b1, b2, eps, wd, adam=True)
