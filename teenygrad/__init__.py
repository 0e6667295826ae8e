"""teenygrad: a small tensor library with automatic differentiation; what lies below mlops.py is a C engine."""
try: from teenygrad import _engine  # noqa: F401
except ImportError as e:
  raise ImportError("teenygrad's C extension is missing or does not load; build it in the project's folder with: pip install -e .") from e
from teenygrad.helpers import dtypes  # noqa: F401
from teenygrad.tensor import Tensor
from teenygrad import realize, shape  # noqa: F401
from teenygrad import viz  # noqa: F401

__version__ = "0.1.0"  # pyproject.toml takes it from here
from_dlpack = Tensor.from_dlpack
