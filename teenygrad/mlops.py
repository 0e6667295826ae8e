"""The differentiable functions: `forward` on LazyBuffers, and `backward` from the gradient of the result to those of the
operands, one for each (None: no gradient). A gradient comes in and may go out in another dtype: `Tensor.backward` casts."""
import functools, math, operator
from itertools import accumulate
from typing import Any, Optional, Tuple
from teenygrad.helpers import DType, argsort, dtypes
from teenygrad.lazy import LazyBuffer
from teenygrad.ops import UnaryOps, MathOps, BinaryOps, ReduceOps, TernaryOps
from teenygrad.tensor import Function

# *** what the functions are made of ***

def folded(g: LazyBuffer, shape: Tuple[int, ...]) -> LazyBuffer:
  """The gradient of what was broadcast from that shape: g, summed over the axes along which it was repeated."""
  if g.shape == shape: return g
  added = len(g.shape) - len(shape)
  out = g.r(ReduceOps.SUM, (1,) * added + shape)
  return out.reshape(shape) if added else out
def select(cond: LazyBuffer, x: LazyBuffer, y: LazyBuffer) -> LazyBuffer: "x where cond, else y."; return cond.e(TernaryOps.WHERE, x, y)
def less(x: LazyBuffer, y: LazyBuffer) -> LazyBuffer: "x < y as bool."; return x.e(BinaryOps.CMPLT, y).cast(dtypes.bool)
def known(x: LazyBuffer) -> LazyBuffer:
  """Where x is no NaN: those above -inf and those below inf make up all numbers."""
  if x.dtype.priority < 9: return x.cast(dtypes.bool).const(1)
  return less(x.const(-math.inf), x).e(BinaryOps.MAX, less(x, x.const(math.inf)))
def less_equal(x: LazyBuffer, y: LazyBuffer) -> LazyBuffer:
  """x <= y as bool: not y < x, unless one is NaN (MAX hands it on)."""
  return less(y, x).e(BinaryOps.CMPLT, known(x.e(BinaryOps.MAX, y)))
def equal(x: LazyBuffer, y: LazyBuffer) -> LazyBuffer:
  """x == y as bool."""
  if x.dtype is y.dtype and 0 < x.dtype.priority < 9: return (differ := (x - y).cast(dtypes.bool)).e(BinaryOps.CMPLT, differ.const(1))
  return less(x, y).e(BinaryOps.MAX, less(y, x)).e(BinaryOps.CMPLT, known(x.e(BinaryOps.MAX, y)))
def absolute(x: LazyBuffer) -> LazyBuffer: "The absolute value of a float or a signed integer; not -0."; return (0 - x).e(BinaryOps.MAX, x)
def share(x: LazyBuffer, y: LazyBuffer, g: LazyBuffer) -> LazyBuffer:
  """x's part of g, the gradient of max(x, y): nothing, all, or half of it for a tie."""
  return select(less(x, y), g.const(0), select(less(y, x), g, g * 0.5))
def trunc(x: LazyBuffer) -> LazyBuffer:
  """Floats without their fraction: through integers where they have one (but -0 as x * 0), as they are where they can't, nor inf and NaN."""
  dtype, limit = (dtypes.int64, 2.0**53) if x.dtype is dtypes.float64 else (dtypes.int32, 2.0**24)
  return select(less(absolute(x), x.const(limit)), select(whole := x.cast(dtype), whole.cast(x.dtype), x * 0), x)

# *** copies and casts ***

class Contiguous(Function):
  """x itself."""
  def forward(self, x: LazyBuffer) -> LazyBuffer: return x.contiguous()
  def backward(self, g: LazyBuffer) -> LazyBuffer: return g

class ContiguousBackward(Contiguous):
  """The same: the engine decides what is contiguous."""

class Cast(Function):
  """x in another dtype: its value, or its bytes with bitcast."""
  def forward(self, x: LazyBuffer, dtype: DType, bitcast: bool = False) -> LazyBuffer:
    self.dtype, self.bitcast = x.dtype, bitcast
    return x.cast(dtype, bitcast)
  def backward(self, g: LazyBuffer) -> LazyBuffer: return g.cast(self.dtype, self.bitcast)

# *** one operand ***

class Zero(Function):
  """Zeros of x's shape; the base of all functions that are flat and have a gradient of 0."""
  def forward(self, x: LazyBuffer) -> LazyBuffer: return x.const(0)
  def backward(self, g: LazyBuffer) -> LazyBuffer: return g.const(0)

class Trunc(Zero):
  """x without its fraction."""
  def forward(self, x: LazyBuffer) -> LazyBuffer: return trunc(x)

class Sign(Zero):
  """-1, 0 or 1, and 0 for NaN."""
  def forward(self, x: LazyBuffer) -> LazyBuffer: return x.const(0).e(BinaryOps.CMPLT, x) - x.e(BinaryOps.CMPLT, x.const(0))

class Neg(Function):
  """-x."""
  def forward(self, x: LazyBuffer) -> LazyBuffer: return -x
  def backward(self, g: LazyBuffer) -> LazyBuffer: return -g

class Abs(Function):
  """The absolute value, 0.0 of -0.0; the gradient is 0 at 0."""
  def forward(self, x: LazyBuffer) -> LazyBuffer: self.x = x; return absolute(x)
  def backward(self, g: LazyBuffer) -> LazyBuffer: return select(less(self.x, zero := self.x.const(0)), -g, select(less(zero, self.x), g, g.const(0)))

class Relu(Function):
  """max(x, 0); the gradient is 0 at 0 and for NaN."""
  def forward(self, x: LazyBuffer) -> LazyBuffer: self.out = x.e(BinaryOps.MAX, x.const(0)); return self.out
  def backward(self, g: LazyBuffer) -> LazyBuffer: return select(less(self.out.const(0), self.out), g, g.const(0))

class Unary(Function):
  """A function that is an operation `op` of the engine."""
  op: Any; backward: Any
  def forward(self, x: LazyBuffer) -> LazyBuffer: self.x, self.out = x, x.e(self.op); return self.out

class Sqrt(Unary): "The square root."; op, backward = UnaryOps.SQRT, lambda self, g: g / (self.out * 2)
class Sin(Unary): "The sine."; op, backward = UnaryOps.SIN, lambda self, g: self.x.e(MathOps.COS) * g
class Cos(Unary): "The cosine."; op, backward = MathOps.COS, lambda self, g: -self.x.e(UnaryOps.SIN) * g
class Exp(Unary): "e ** x."; op, backward = MathOps.EXP, lambda self, g: self.out * g
class Exp2(Unary): "2 ** x."; op, backward = UnaryOps.EXP2, lambda self, g: self.out * g * math.log(2)
class Expm1(Unary): "e ** x - 1, exact near 0."; op, backward = MathOps.EXPM1, lambda self, g: self.x.e(MathOps.EXP) * g
class Log(Unary): "The natural logarithm."; op, backward = MathOps.LOG, lambda self, g: g / self.x
class Log2(Unary): "The logarithm to base 2."; op, backward = UnaryOps.LOG2, lambda self, g: g * (1 / math.log(2)) / self.x
class Log1p(Unary): "log(1 + x), exact near 0."; op, backward = MathOps.LOG1P, lambda self, g: g / (self.x + 1)
class Tanh(Unary):
  """The hyperbolic tangent."""
  op, backward = MathOps.TANH, lambda self, g: (1 - self.out * self.out) * g

class Sigmoid(Unary): "1 / (1 + exp(-x))."; op, backward = MathOps.SIGMOID, lambda self, g: self.out * (1 - self.out) * g

class Asinh(Function):
  """The inverse of sinh: with a = abs(x) and c = 1/a + sqrt(1 + 1/a^2) it is log1p(a + a / c), or log(a) + log1p(1/a + 1/c) for a > 1, in which
  nothing overflows; and it is odd. The derivative is 1 / sqrt(x^2 + 1)."""
  def forward(self, x: LazyBuffer) -> LazyBuffer:
    self.x, a, one = x, absolute(x), x.const(1)
    c = (b := 1 / a) + (b * b + 1).e(UnaryOps.SQRT)
    near, far = a + a / c, b + 1 / c
    out = a.e(BinaryOps.MAX, one).e(MathOps.LOG) + select(less(one, a), far, near).e(MathOps.LOG1P)
    return select(less(x, x.const(0)), -out, select(less(x.const(0), x), out, x))
  def backward(self, g: LazyBuffer) -> LazyBuffer:
    a, one = absolute(self.x), self.x.const(1)
    low = select(less(one, a), 1 / a, a)  # with the larger of 1 and a, sqrt(a^2 + 1) is larger * sqrt(low^2 + 1)
    return g / a.e(BinaryOps.MAX, one) / (low * low + 1).e(UnaryOps.SQRT)

class Softplus(Function):
  """log(1 + exp(beta x)) / beta, as max(x, 0) + log1p(exp(-abs(beta x))) / beta, which can't overflow. The derivative is 1 - exp(-beta out)."""
  def forward(self, x: LazyBuffer, beta: float) -> LazyBuffer:
    self.beta, rest = beta, (absolute(x) * -beta).e(MathOps.EXP).e(MathOps.LOG1P)
    self.out = x.e(BinaryOps.MAX, x.const(0)) + rest * (1 / beta); return self.out
  def backward(self, g: LazyBuffer) -> LazyBuffer: return -(self.out * -self.beta).e(MathOps.EXPM1) * g

# *** two and three operands ***

class Less(Function):
  """x < y in the operands' dtype; without a gradient."""
  def forward(self, x: LazyBuffer, y: LazyBuffer) -> LazyBuffer: return x.e(BinaryOps.CMPLT, y)

class Binary(Function):
  """What the functions of two operands share: they broadcast, and a gradient is computed only for the operand that needs it."""
  def backward(self, g: LazyBuffer) -> Tuple[Optional[LazyBuffer], Optional[LazyBuffer]]:
    x, y = self.parents
    return folded(self.left(g), x.shape) if x.requires_grad else None, folded(self.right(g), y.shape) if y.requires_grad else None
  def left(self, g: LazyBuffer) -> LazyBuffer: return g
  def right(self, g: LazyBuffer) -> LazyBuffer: return g

class Add(Binary):
  """x + y."""
  def forward(self, x: LazyBuffer, y: LazyBuffer) -> LazyBuffer: return x + y

class Sub(Binary):
  """x - y."""
  def forward(self, x: LazyBuffer, y: LazyBuffer) -> LazyBuffer: return x - y
  def right(self, g: LazyBuffer) -> LazyBuffer: return -g

class Mul(Binary):
  """x y."""
  def forward(self, x: LazyBuffer, y: LazyBuffer) -> LazyBuffer: self.x, self.y = x, y; return x * y
  def left(self, g: LazyBuffer) -> LazyBuffer: return self.y * g
  def right(self, g: LazyBuffer) -> LazyBuffer: return self.x * g

class Dot(Binary):
  """The matrix product."""
  def forward(self, x: LazyBuffer, y: LazyBuffer) -> LazyBuffer: self.x, self.y = x, y; return x.dot(y)
  def left(self, g: LazyBuffer) -> LazyBuffer: return g.dot(self.y, False, True)
  def right(self, g: LazyBuffer) -> LazyBuffer: return self.x.dot(g, True)

class Div(Binary):
  """x / y; integers toward zero."""
  def forward(self, x: LazyBuffer, y: LazyBuffer) -> LazyBuffer: self.x, self.y = x, y; return x / y
  def left(self, g: LazyBuffer) -> LazyBuffer: return g / self.y
  def right(self, g: LazyBuffer) -> LazyBuffer: return -g * self.x / (self.y * self.y)

class Pow(Binary):
  """x ** y; gradients as PyTorch's: 0 for x where y = 0, 0 for y where x = 0 <= y."""
  def forward(self, x: LazyBuffer, y: LazyBuffer) -> LazyBuffer: self.x, self.y, self.out = x, y, x.e(MathOps.POW, y); return self.out
  def left(self, g: LazyBuffer) -> LazyBuffer:
    return select(equal(self.y, self.y.const(0)), g.const(0), self.y * self.x.e(MathOps.POW, self.y - 1) * g)
  def right(self, g: LazyBuffer) -> LazyBuffer:
    flat = equal(self.x, self.x.const(0)) * less_equal(self.y.const(0), self.y)
    return select(flat, g.const(0), self.x.e(MathOps.LOG) * self.out * g)

class Maximum(Binary):
  """The larger of x and y, NaN from either side; equal operands share the gradient."""
  def forward(self, x: LazyBuffer, y: LazyBuffer) -> LazyBuffer: self.x, self.y = x, y; return x.e(BinaryOps.MAX, y)
  def left(self, g: LazyBuffer) -> LazyBuffer: return share(self.x, self.y, g)
  def right(self, g: LazyBuffer) -> LazyBuffer: return share(self.y, self.x, g)

class Where(Function):
  """y where x is not zero, else z; all broadcast; without a gradient for x."""
  def forward(self, x: LazyBuffer, y: LazyBuffer, z: LazyBuffer) -> LazyBuffer: self.x = x; return select(x, y, z)
  def backward(self, g: LazyBuffer) -> Tuple[None, Optional[LazyBuffer], Optional[LazyBuffer]]:
    _, y, z = self.parents
    return (None, folded(select(self.x, g, g.const(0)), y.shape) if y.requires_grad else None,
            folded(select(self.x, g.const(0), g), z.shape) if z.requires_grad else None)

# *** reductions ***

class Sum(Function):
  """The sum over the axes where new_shape is 1."""
  def forward(self, x: LazyBuffer, new_shape: Tuple[int, ...]) -> LazyBuffer: self.shape = x.shape; return x.r(ReduceOps.SUM, new_shape)
  def backward(self, g: LazyBuffer) -> LazyBuffer: return g.expand(self.shape)

class Max(Function):
  """The maximum over the axes where new_shape is 1; ties share the gradient, and beside a NaN all tie."""
  def forward(self, x: LazyBuffer, new_shape: Tuple[int, ...]) -> LazyBuffer: self.x, self.out = x, x.r(ReduceOps.MAX, new_shape); return self.out
  def backward(self, g: LazyBuffer) -> LazyBuffer:
    below = self.x.e(BinaryOps.CMPLT, self.out.expand(self.x.shape))
    return select(below, below.const(0), (g / (1 - below).r(ReduceOps.SUM, g.shape)).expand(self.x.shape))  # divided by the number of ties

class Softmax(Function):
  """exp(x) / sum(exp(x)), the sum over the axes where new_shape is 1; x less its maximum, so that nothing overflows."""
  def forward(self, x: LazyBuffer, new_shape: Tuple[int, ...]) -> LazyBuffer:
    e = (x - x.r(ReduceOps.MAX, new_shape)).e(MathOps.EXP)
    self.sizes, self.out = new_shape, e / e.r(ReduceOps.SUM, new_shape); return self.out
  def backward(self, g: LazyBuffer) -> LazyBuffer: return self.out * (g - (g * self.out).r(ReduceOps.SUM, self.sizes))

class LogSoftmax(Function):
  """The logarithm of Softmax, computed without it: x - log(sum(exp(x))), again with x less its maximum."""
  def forward(self, x: LazyBuffer, new_shape: Tuple[int, ...]) -> LazyBuffer:
    m = x - x.r(ReduceOps.MAX, new_shape)
    self.sizes, self.out = new_shape, m - m.e(MathOps.EXP).r(ReduceOps.SUM, new_shape).e(MathOps.LOG); return self.out
  def backward(self, g: LazyBuffer) -> LazyBuffer: return g - self.out.e(MathOps.EXP) * g.r(ReduceOps.SUM, self.sizes)

class CrossEntropy(Function):
  """-LogSoftmax(x) along the last axis at the class numbers `label`: x of shape (*rows, classes), label and the result (*rows, 1). The gradient is
  Softmax(x), less 1 at the label."""
  def forward(self, x: LazyBuffer, label: LazyBuffer) -> LazyBuffer:
    m, self.other = x - x.r(ReduceOps.MAX, label.shape), LazyBuffer.arange(x.shape[-1], dtypes.int32) - label  # 0 at the label
    total = (exp := m.e(MathOps.EXP)).r(ReduceOps.SUM, label.shape)
    self.out = exp / total
    return total.e(MathOps.LOG) - select(self.other, m.const(0), m).r(ReduceOps.SUM, label.shape)
  def backward(self, g: LazyBuffer) -> Tuple[LazyBuffer, None]: return (self.out - select(self.other, g.const(0), g.const(1))) * g, None

# *** movement ***

class Expand(Function):
  """Axes of size 1 repeated; further axes may be added in front."""
  def forward(self, x: LazyBuffer, shape: Tuple[int, ...]) -> LazyBuffer: self.shape = x.shape; return x.expand(shape)
  def backward(self, g: LazyBuffer) -> LazyBuffer: return folded(g, self.shape)

class Reshape(Function):
  """The same elements in order, in another shape."""
  def forward(self, x: LazyBuffer, shape: Tuple[int, ...]) -> LazyBuffer: self.shape = x.shape; return x.reshape(shape)
  def backward(self, g: LazyBuffer) -> LazyBuffer: return g.reshape(self.shape)

class Permute(Function):
  """The axes in another order."""
  def forward(self, x: LazyBuffer, order: Tuple[int, ...]) -> LazyBuffer: self.order = order; return x.permute(order)
  def backward(self, g: LazyBuffer) -> LazyBuffer: return g.permute(argsort(self.order))

class Pad(Function):
  """Zeros (before, after) for each axis."""
  def forward(self, x: LazyBuffer, arg: Tuple[Tuple[int, int], ...]) -> LazyBuffer:
    self.arg = tuple((before, before + s) for s, (before, _) in zip(x.shape, arg))
    return x.pad(arg)
  def backward(self, g: LazyBuffer) -> LazyBuffer: return g.shrink(self.arg)

class Shrink(Function):
  """The range (start, stop) of each axis."""
  def forward(self, x: LazyBuffer, arg: Tuple[Tuple[int, int], ...]) -> LazyBuffer:
    self.arg = tuple((start, s - stop) for s, (start, stop) in zip(x.shape, arg))
    return x.shrink(arg)
  def backward(self, g: LazyBuffer) -> LazyBuffer: return g.pad(self.arg)

class Flip(Function):
  """The axes in `axis` backwards."""
  def forward(self, x: LazyBuffer, axis: Tuple[int, ...]) -> LazyBuffer:
    self.steps = tuple(-1 if i in axis else 1 for i in range(len(x.shape)))
    return x.stride(self.steps)
  def backward(self, g: LazyBuffer) -> LazyBuffer: return g.stride(self.steps)

class Slice(Function):
  """Basic indexing: the range `arg` of each axis in steps (negative: from its end), in a shape with more or fewer axes of size 1.
  A range ends with the last element that is taken."""
  def forward(self, x: LazyBuffer, arg: Tuple[Tuple[int, int], ...], steps: Tuple[int, ...], shape: Tuple[int, ...]) -> LazyBuffer:
    self.arg, self.steps, self.shape = arg, steps, x.shape
    x = x.shrink(arg)
    if any(s != 1 for s in steps): x = x.stride(steps)
    self.inner = x.shape
    return x if x.shape == shape else x.reshape(shape)
  def backward(self, g: LazyBuffer) -> LazyBuffer:
    g = g if g.shape == self.inner else g.reshape(self.inner)
    if any(s < 0 for s in self.steps): g = g.stride(tuple(-1 if s < 0 else 1 for s in self.steps))
    for i, (step, (start, stop)) in enumerate(zip(self.steps, self.arg)):
      if abs(step) > 1:  # zeros after each element but the last
        lead, n, tail = g.shape[:i], g.shape[i], g.shape[i+1:]
        g = g.reshape((*lead, n, 1, *tail)).pad(((0, 0),) * (i + 1) + ((0, abs(step) - 1),) + ((0, 0),) * len(tail))
        g = g.reshape((*lead, n * abs(step), *tail)).shrink(tuple((0, s) for s in (*lead, stop - start, *tail)))
    return g.pad(tuple((start, s - stop) for s, (start, stop) in zip(self.shape, self.arg)))

class Cat(Function):
  """The operands one after the other along axis dim: a sum of operands padded with zeros to their places; of many, 16 at a time, and then those."""
  def forward(self, *xs: LazyBuffer, dim: int) -> LazyBuffer:
    dtype = max(x.dtype for x in xs)  # of all: two integer types may not have each other's numbers
    xs = tuple(x.cast(dtype) for x in xs)
    ends = list(accumulate(x.shape[dim] for x in xs))
    self.args = [tuple((end - x.shape[dim], end) if i == dim else (0, s) for i, s in enumerate(x.shape)) for x, end in zip(xs, ends)]
    if len(xs) > 16: return Cat("CPU").forward(*[Cat("CPU").forward(*xs[i:i+16], dim=dim) for i in range(0, len(xs), 16)], dim=dim)
    padded = [x.pad(tuple((a, ends[-1] - b) if i == dim else (0, 0) for i, (a, b) in enumerate(arg))) for x, arg in zip(xs, self.args)]
    return functools.reduce(operator.add, padded)
  def backward(self, g: LazyBuffer) -> Tuple[Optional[LazyBuffer], ...]:
    return tuple(g.shrink(arg) if need else None for arg, need in zip(self.args, self.needs_input_grad))

class Window(Function):
  """Sliding windows over the last axes: (*lead, *in) to (*lead, *out, *kernel)."""
  def forward(self, x: LazyBuffer, kernel: Tuple[int, ...], stride: Tuple[int, ...], dilation: Tuple[int, ...]) -> LazyBuffer:
    self.size, self.stride, self.dilation = x.shape[len(x.shape) - len(kernel):], stride, dilation
    return x.window(kernel, stride, dilation)
  def backward(self, g: LazyBuffer) -> LazyBuffer: return g.window_adjoint(self.size, self.stride, self.dilation)

class Overlap(Function):
  """The adjoint of Window: (*lead, *out, *kernel) to (*lead, *in), the sum of all windows in their places."""
  def forward(self, x: LazyBuffer, size: Tuple[int, ...], stride: Tuple[int, ...], dilation: Tuple[int, ...]) -> LazyBuffer:
    self.kernel, self.stride, self.dilation = x.shape[len(x.shape) - len(size):], stride, dilation
    return x.window_adjoint(size, stride, dilation)
  def backward(self, g: LazyBuffer) -> LazyBuffer: return g.window(self.kernel, self.stride, self.dilation)

class Gather(Function):
  """x at integer indices along an axis, as LazyBuffer.gather: negative ones count from the end; without a gradient for idx."""
  def forward(self, x: LazyBuffer, idx: LazyBuffer, axis: int) -> LazyBuffer:
    self.idx, self.axis, self.shape = idx, axis, x.shape
    return x.gather(idx, axis)
  def backward(self, g: LazyBuffer) -> Tuple[LazyBuffer, None]: return g.scatter_add(self.idx, self.axis, self.shape), None

class Cumsum(Function):
  """Running sums along an axis; the gradient runs backwards."""
  def forward(self, x: LazyBuffer, axis: int) -> LazyBuffer:
    self.axis, self.back = axis, tuple(-1 if i == axis else 1 for i in range(len(x.shape)))
    return x.cumsum(axis)
  def backward(self, g: LazyBuffer) -> LazyBuffer: return g.stride(self.back).cumsum(self.axis).stride(self.back)
