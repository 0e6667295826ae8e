"""python -m teenygrad: what is installed, and what this machine can do with it."""
import platform
import numpy as np
import teenygrad
from teenygrad import _engine

def main() -> None:
  """Prints versions, the instruction set and number of threads in use, and the speeds that DEBUG=2 measures kernels by."""
  info, limits = _engine.info(), _engine.limits()
  rows = [("teenygrad", teenygrad.__version__), ("compiled by", info["compiler"]), ("Python", platform.python_version()), ("NumPy", np.__version__),
          ("platform", f"{platform.system()} {platform.machine()}"), ("instruction set", info["isa"]), ("threads", info["threads"]),
          ("memory", f"{limits['bytes'] / 1e9:.1f} GB/s"), ("float32", f"{limits['flops_f32'] / 1e9:.0f} GFLOP/s"),
          ("float64", f"{limits['flops_f64'] / 1e9:.0f} GFLOP/s")]
  for name, value in rows: print(f"{name:16}{value}")

if __name__ == "__main__": main()
