"""Small tools and the dtypes."""
from __future__ import annotations
import functools, math, os, sys
from dataclasses import dataclass
from typing import Any, Iterable, Optional, Tuple, Union
import numpy as np
from teenygrad import _engine

OSX, CI = sys.platform == "darwin", bool(os.getenv("CI"))

def prod(x: Iterable) -> Any: "The product of the elements, 1 for none."; return math.prod(x)
def dedup(x: Iterable) -> list: "The elements without repeats (by hash and ==), the first occurrence kept."; return list(dict.fromkeys(x))
def argfix(*x) -> tuple:
  """The first argument as a tuple if it is a tuple or a list, else all arguments."""
  return tuple(x[0]) if x and x[0].__class__ in (tuple, list) else x
def make_pair(x: Union[int, Tuple[int, ...]], cnt: int = 2) -> Tuple[int, ...]:
  """An int repeated `cnt` times, anything else as it is."""
  return (x,) * cnt if isinstance(x, int) else x
def flatten(x: Iterable) -> list: "The elements of the elements."; return [z for y in x for z in y]
def argsort(x): "The indices that sort x (stable), in x's own type."; return type(x)(sorted(range(len(x)), key=x.__getitem__))
def all_int(t: Iterable) -> bool: "Whether every element is an int."; return all(isinstance(s, int) for s in t)
def round_up(num: int, amt: int) -> int: "The next multiple of amt from num upwards."; return -(-num // amt) * amt
@functools.lru_cache(maxsize=None, typed=True)
def getenv(key: str, default: Any = 0) -> Any:
  """The environment's `key` in the type of the default (bool: whether it is not empty), read once. ValueError if it is no such value."""
  return type(default)(os.getenv(key, default))

DEBUG, IMAGE, ImageDType, PtrDType = _engine.DEBUG, 0, None, None

@dataclass(frozen=True, order=True)
class DType:
  """A type of element. The larger of two, by the fields in this order, is the type of a result."""
  priority: int
  itemsize: int
  name: str
  np: Optional[type]
  sz: int = 1
  def __repr__(self): return f"dtypes.{self.name}"

class dtypes:
  """The dtypes by name, from the engine's table."""
  bool, int8, uint8, int16, uint16, int32, uint32, int64, uint64, float16, bfloat16, float32, float64 = (
    DType(priority, itemsize, name, getattr(np, "bool_" if attr == "bool" else attr, None)) for attr, priority, itemsize, name in _engine.DTYPE_TABLE)
  half, float, double = float16, float32, float64

  @staticmethod
  def is_int(x: Optional[DType]): "True for the eight integer types (bool is none)."; return x is not None and 0 < x.priority < 9
  @staticmethod
  def is_float(x: Optional[DType]):
    """True for half, float and double (not for bfloat16, which NumPy lacks)."""
    return x is not None and x.priority >= 9 and x.np is not None
  @staticmethod
  def is_unsigned(x: Optional[DType]): "True for uint8 to uint64."; return x is not None and x.name.startswith("unsigned")
  @staticmethod
  def from_np(x) -> DType:
    """The dtype of what np.dtype(x) understands, in any byte order. KeyError where there is none, such as for complex."""
    if (name := np.dtype(x).str[1:]) not in NUMPY_DICT:
      raise KeyError(f"NumPy's {np.dtype(x)} has no dtype here: bools, integers of 8 to 64 bits, float16, float32 and float64 have")
    return NUMPY_DICT[name]

DTYPES_DICT = {k: getattr(dtypes, k) for k in ("bool float16 half float32 float float64 double int8 int16 int32 int64 "
                                               "uint8 uint16 uint32 uint64 bfloat16").split()}
NUMPY_DICT = {np.dtype(x.np).str[1:]: x for x in DTYPES_DICT.values() if x.np}  # by kind and size
_engine.set_dtypes({attr: getattr(dtypes, attr) for attr, *_ in _engine.DTYPE_TABLE})
