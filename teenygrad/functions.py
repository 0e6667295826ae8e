"""Differentiable functions beyond the original's, as those in mlops.py: `forward` on LazyBuffers, and `backward`."""
from __future__ import annotations
import math
from typing import Tuple
from teenygrad.lazy import LazyBuffer
from teenygrad.mlops import Binary, equal, less, select
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

def half(op: MathOps, x: LazyBuffer) -> LazyBuffer:
  """op(x) / 2 for EXP or EXPM1; above 88, where op(x) may overflow before its half does, as op(x - 1) e / 2."""
  return (x - (large := less(x.const(88), x))).e(op) * select(large, x.const(math.e / 2), x.const(0.5))

class Sinh(Function):
  """(exp(x) - exp(-x)) / 2."""
  def forward(self, x: LazyBuffer) -> LazyBuffer: self.x = x; return half(MathOps.EXPM1, x) - half(MathOps.EXPM1, -x)
  def backward(self, g: LazyBuffer) -> LazyBuffer: return Cosh.forward(self, self.x) * g  # type: ignore

class Cosh(Function):
  """(exp(x) + exp(-x)) / 2."""
  def forward(self, x: LazyBuffer) -> LazyBuffer: self.x = x; return half(MathOps.EXP, x) + half(MathOps.EXP, -x)
  def backward(self, g: LazyBuffer) -> LazyBuffer: return Sinh.forward(self, self.x) * g  # type: ignore

class Gelu(Function):
  """x sigmoid(u), u = sqrt(8/pi) x (1 + 0.044715 x^2) of x within +-24, beyond which the sigmoid is 0 or 1 and u may overflow."""
  def forward(self, x: LazyBuffer) -> LazyBuffer:
    low, near = x.const(-24), x
    for _ in range(2): near = -near.e(BinaryOps.MAX, low)
    self.u, self.bend = near * math.sqrt(8 / math.pi), near * near * 0.044715
    self.sigmoid = (self.u * (1 + self.bend)).e(MathOps.SIGMOID)
    return x * self.sigmoid
  def backward(self, g: LazyBuffer) -> LazyBuffer:
    return (1 + (1 - self.sigmoid) * self.u * (1 + self.bend * 3)) * self.sigmoid * g
