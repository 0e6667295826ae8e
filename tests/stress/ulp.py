"""How close is each function to the exact one? Goes through every float32, float16 and bfloat16 there is; prints a row of docs/accuracy.md's table.

python tests/stress/ulp.py [--isa avx2] [--dtype float32] [--blocks 512] [NAME ...]   minutes a function; the exit status is 1 beyond a limit.

The error is that of the result against the exact value, in units of the last place (ULP) that the exact value has in the result's dtype, subnormal
ones included; a result of inf counts as 2^128. The reference is NumPy's float64. Where the result is the reference rounded, the error is at most 0.5;
elsewhere it is computed, and of each block's worst input once more with mpmath to 160 bits: that is printed, and how far the reference was off at most.
Where the exact value is NaN so must be the result, and it must have its sign, of zeros as well."""
# ruff: noqa: E501  (tables)
import argparse, sys, time

import mpmath
import numpy as np
from teenygrad import Tensor, _engine
from teenygrad.helpers import dtypes
from teenygrad.ops import MathOps, UnaryOps

BLOCK = 1 << 16
FORMATS = {"float32": (23, -126, 127), "float16": (10, -14, 15), "bfloat16": (7, -126, 127)}  # bits after the point, least and largest exponent

def op(member): return lambda x: Tensor(x._float().lazydata.e(member))
def method(name): return lambda x: getattr(x, name)()
def sigmoid(x): return 1 / (1 + np.exp(-x))
def softplus(x): return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
def gelu(x):
  return x / (1 + np.exp(-np.sqrt(8 / np.pi) * (x + 0.044715 * x**3)))
def gelu_mp(x): return x * mp_sigmoid(mpmath.sqrt(8 / mpmath.pi) * (x + mpmath.mpf("0.044715") * x**3))
def mp_sigmoid(x): return 1 / (1 + mpmath.exp(-x)) if x > -1e4 else mpmath.mpf(0)
def mp_softplus(x): return mpmath.log1p(mpmath.exp(x)) if x < 1e4 else x
def mp_exp(f): return lambda x: f(x) if abs(x) < 1e4 else f(mpmath.mpf(10000 if x > 0 else -10000))
def mp_expm1(x): return mpmath.expm1(x) if abs(x) < 1e4 else mp_exp(mpmath.expm1)(x)

# name: ours, NumPy's in float64, mpmath's, the limits of docs/accuracy.md in ULP: of float32, and of both 16-bit floats
FUNCTIONS = {
  "exp2": (op(UnaryOps.EXP2), np.exp2, mp_exp(lambda x: mpmath.power(2, x)), (0.91, 0.51)),
  "log2": (op(UnaryOps.LOG2), np.log2, lambda x: mpmath.log(x) / mpmath.log(2), (1, 0.5)),
  "sin": (op(UnaryOps.SIN), np.sin, mpmath.sin, (0.51, 0.51)),
  "sqrt": (op(UnaryOps.SQRT), np.sqrt, mpmath.sqrt, (0.5, 0.5)),
  "reciprocal": (method("reciprocal"), np.reciprocal, lambda x: 1 / x, (0.5, 0.5)),
  "exp": (op(MathOps.EXP), np.exp, mp_exp(mpmath.exp), (0.87, 0.51)),
  "log": (op(MathOps.LOG), np.log, mpmath.log, (0.95, 0.51)),
  "tanh": (op(MathOps.TANH), np.tanh, mpmath.tanh, (1.1, 0.5)),
  "sigmoid": (method("sigmoid"), sigmoid, mp_sigmoid, (1.15, 0.51)),
  "cos": (op(MathOps.COS), np.cos, mpmath.cos, (0.51, 0.51)),
  "expm1": (op(MathOps.EXPM1), np.expm1, mp_expm1, (1.06, 0.51)),
  "log1p": (op(MathOps.LOG1P), np.log1p, mpmath.log1p, (0.99, 0.51)),
  "tan": (method("tan"), np.tan, mpmath.tan, (1.97, 1.7)),
  "sinh": (method("sinh"), np.sinh, mp_exp(mpmath.sinh), (1.73, 0.5)),
  "cosh": (method("cosh"), np.cosh, mp_exp(mpmath.cosh), (1.95, 0.51)),
  "asinh": (method("asinh"), np.arcsinh, mpmath.asinh, (1.95, 0.51)),
  "acosh": (method("acosh"), np.arccosh, mpmath.acosh, (2.52, 0.51)),
  "atanh": (method("atanh"), np.arctanh, mpmath.atanh, (1.42, 1.3)),
  "rsqrt": (method("rsqrt"), lambda x: 1 / np.sqrt(x), lambda x: 1 / mpmath.sqrt(x), (1.5, 1.35)),
  "softplus": (method("softplus"), softplus, mp_softplus, (1.76, 1.3)),
  "silu": (method("silu"), lambda x: x * sigmoid(x), lambda x: x * mp_sigmoid(x), (53, 0.51)),
  "gelu": (method("gelu"), gelu, gelu_mp, (228, 0.51)),
  "elu": (method("elu"), lambda x: np.where(x > 0, x, np.expm1(np.where(x > 0, 0, x))), lambda x: x if x > 0 else mp_expm1(x), (0.83, 0.5)),
  "mish": (method("mish"), lambda x: x * np.tanh(softplus(x)), lambda x: x * mpmath.tanh(mp_softplus(x)), (53, 0.51)),
  "softsign": (method("softsign"), lambda x: x / (1 + np.abs(x)), lambda x: x / (1 + abs(x)), (1.5, 1.45)),
  "neg": (op(UnaryOps.NEG), np.negative, lambda x: -x, (0.5, 0.5)),
  "abs": (method("abs"), np.abs, abs, (0.5, 0.5)),
  "trunc": (method("trunc"), np.trunc, None, (0.5, 0.5)),
  "floor": (method("floor"), np.floor, None, (0.5, 0.5)),
  "ceil": (method("ceil"), np.ceil, None, (0.5, 0.5)),
}

# Not monotonous among the numbers of one sign, as all others are: where those are rounded to one value at both ends of a block, they are within.
WAVES = {"sin", "cos", "tan", "silu", "gelu", "mish"}

def inputs(dtype, block, scattered=False):
  """As float32, which holds all of float16 and bfloat16; a block of neighbours, or of numbers from everywhere."""
  bits = np.arange(block * BLOCK, (block + 1) * BLOCK, dtype=np.uint32)
  if scattered: bits *= np.uint32(2654435761)  # odd: the blocks together are still all numbers
  if dtype == "float16": return bits.astype(np.uint16).view(np.float16).astype(np.float32)
  return (bits << 16 if dtype == "bfloat16" else bits).view(np.float32)

def computed(ours, x, dtype):
  t = Tensor(x)
  return (ours(t) if dtype == "float32" else ours(t.cast(getattr(dtypes, dtype))).float()).numpy()

def rounded(want, dtype):
  """To the dtype, in float32. bfloat16 by hand, from float64: to nearest, ties to even."""
  if dtype == "float32": return want.astype(np.float32)
  if dtype == "float16": return want.astype(np.float16).astype(np.float32)
  unit = units(want, dtype) * 2.0**-FORMATS[dtype][0]
  return (np.rint(want / unit) * unit).astype(np.float32)

def units(want, dtype):
  """2^(exponent of want), within what the dtype has."""
  _, low, high = FORMATS[dtype]
  return np.clip((want.view(np.uint64) & np.uint64(0x7ff0000000000000)).view(np.float64), 2.0**low, 2.0**high)

def errors(got, want, dtype):
  """In ULP."""
  bits, _, high = FORMATS[dtype]
  limit = 2.0**(high + 1)
  want = np.clip(want, -limit, limit)
  return np.abs(np.clip(got.astype(np.float64), -limit, limit) - want) / units(want, dtype) * 2.0**bits

def exact_error(x, got, exact, dtype):
  """In ULP, by mpmath."""
  bits, low, high = FORMATS[dtype]
  want, limit = exact(mpmath.mpf(float(x))), mpmath.mpf(2)**(high + 1)
  exponent = mpmath.frexp(want)[1] - 1 if want else low
  got, want = (max(-limit, min(limit, v)) for v in (mpmath.mpf(float(got)), want))
  return float(abs(got - want) / mpmath.mpf(2)**(min(max(exponent, low), high) - bits))

class Found:
  """What is known of a function, dtype and instruction set: the worst inputs of the blocks, how many NaNs and signs are wrong."""
  def __init__(self): self.nans = self.signs = 0; self.worst = []
  def add(self, x, got, want, dtype):
    """Results that are not the reference rounded."""
    self.nans += int((np.isnan(got) != (nan := np.isnan(want))).sum())
    self.signs += int(((np.signbit(got) != np.signbit(want)) & ~nan).sum())
    error = errors(got, want, dtype)
    if (high := np.fmax.reduce(error)) >= 0: self.worst.append((float(high), x[i := int(np.nanargmax(error))], got[i]))
  def largest(self, exact, dtype):
    """The largest error (0.5 if that is all that is known), its input, how far the reference was off."""
    best, at, off = 0.5, None, 0.0
    for error, x, got in sorted(self.worst, key=lambda w: -w[0])[:4096]:
      true = exact_error(x, got, exact, dtype) if exact and np.isfinite(x) else error
      off = max(off, abs(true - error))
      if true > best: best, at = true, x
    return best, at, off

def run(name, dtype, isas, blocks=1 << 16):
  """What is found in so many blocks for each instruction set: the largest error, its input, how far the reference was off, NaNs, signs."""
  scattered = dtype == "float32" and blocks < 1 << 16
  ours, reference, exact, _ = FUNCTIONS[name]
  found = {isa: Found() for isa in isas}
  for block in range(blocks if dtype == "float32" else 1):
    x = inputs(dtype, block, scattered)
    near = rounded(reference(x[[0, -1]].astype(np.float64)), dtype)
    flat = name not in WAVES and dtype == "float32" and not scattered and np.array_equal(near[:1], near[1:], equal_nan=True)
    near = near[0] if flat else rounded(want := reference(x.astype(np.float64)), dtype)
    for isa in isas:
      _engine.set_isa(isa)
      got = computed(ours, x, dtype)
      differ = got.view(np.uint32) != near.view(np.uint32)
      if differ.any():
        i = np.flatnonzero(differ)
        i = i[~(np.isnan(got[i]) & np.isnan(near if flat else near[i]))]
        if i.size: found[isa].add(x[i], got[i], reference(x[i].astype(np.float64)) if flat else want[i], dtype)
  return {isa: (*f.largest(exact, dtype), f.nans, f.signs) for isa, f in found.items()}

def main():
  p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  p.add_argument("names", nargs="*", default=list(FUNCTIONS), metavar="NAME")
  p.add_argument("--isa", action="append", help="base, avx2 or avx512; several share the reference; the best without it")
  p.add_argument("--dtype", action="append", choices=list(FORMATS))
  p.add_argument("--blocks", type=int, default=1 << 16, help="of the 65,536 blocks of float32, so many: then of numbers from everywhere")
  args = p.parse_args()
  _engine.set_threads(1)
  np.seterr(all="ignore")
  mpmath.mp.prec = 160
  failed = False
  for name in args.names:
    for dtype in args.dtype or FORMATS:
      start = time.monotonic()
      for isa, (best, at, off, nans, signs) in run(name, dtype, args.isa or [_engine.info()["isa"]], args.blocks).items():
        beyond = best > FUNCTIONS[name][3][dtype != "float32"]
        failed |= beyond or nans > 0 or signs > 0
        place = "nearest everywhere" if at is None else f"{best:.4f} at {float(at).hex()} ({at:.9g})"
        print(f"| {name} | {dtype} | {isa} | {place} | reference within {off:.1e} | {nans} wrong NaN, {signs} wrong signs | "
              f"{time.monotonic() - start:.0f} s{' BEYOND ITS LIMIT' if beyond else ''}", flush=True)
  return failed

if __name__ == "__main__": sys.exit(main())
