"""Differentiable functions of the methods in composed.py, as those in mlops.py: `forward` on LazyBuffers, and `backward`."""
from __future__ import annotations
from typing import Tuple
from teenygrad.lazy import LazyBuffer
from teenygrad.mlops import Binary, equal, select
from teenygrad.ops import BinaryOps, MathOps, ReduceOps
from teenygrad.tensor import Function

class Mod(Binary):
  """x - y floor(x / y): the remainder with y's sign. The gradient of y is -floor(x / y)."""
  def forward(self, x: LazyBuffer, y: LazyBuffer) -> LazyBuffer: self.x, self.y = x, y; return x.e(BinaryOps.MOD, y)
  def right(self, g: LazyBuffer) -> LazyBuffer: return -g * self.x.e(MathOps.FLOORDIV, self.y)

class Prod(Function):
  """The product over the axes where new_shape is 1. The gradient of an element is the product of the others: out / x where nothing is 0; that of all
  but the zero, for the only one; else 0."""
  def forward(self, x: LazyBuffer, new_shape: Tuple[int, ...]) -> LazyBuffer:
    self.x, self.out = x, x.r(MathOps.PROD, new_shape)
    return self.out
  def backward(self, g: LazyBuffer) -> LazyBuffer:
    x, shape = self.x, self.out.shape
    zero = equal(x, x.const(0))
    count = zero.cast(x.dtype).r(ReduceOps.SUM, shape)
    rest = select(zero, x.const(1), x).r(MathOps.PROD, shape)
    only = select(equal(count, count.const(1)), g * rest, g.const(0)).expand(x.shape)
    return select(zero, only, (g * self.out).expand(x.shape) / x)
