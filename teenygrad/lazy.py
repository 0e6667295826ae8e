"""The lazy buffer, implemented in C, and the holder of its computed value."""
import copyreg
import numpy as np
from teenygrad import _engine
from teenygrad._engine import LazyBuffer
from teenygrad.helpers import DType, dtypes

class RawCPUBuffer:
  """A computed value: `x` is an ndarray that belongs to the caller alone."""
  def __init__(self, x: np.ndarray): self.x = x
  def toCPU(self) -> np.ndarray: "The array itself."; return self.x

_engine.set_raw_buffer(RawCPUBuffer)

def _load(x: np.ndarray, dtype: DType) -> LazyBuffer: return LazyBuffer.fromCPU(x).cast(dtype)
def _save(lb: LazyBuffer): return _load, ((lb if lb.dtype.np else lb.cast(dtypes.float32)).realized.toCPU(), lb.dtype)
copyreg.pickle(LazyBuffer, _save)  # for pickle and copy
