"""What holds for every test: the same random numbers in each run, and no state of the Tensor class left behind."""
import importlib.util, pathlib, re, sys

import hypothesis
import numpy as np
import pytest

# The same examples in each run, and no limit of time: the machine may be busy.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.load_profile("repeatable")

# PyTorch is not to be had everywhere: what compares with it is left out there, and the first lines of the output say so.
NEED_TORCH = [path.name for path in sorted(pathlib.Path(__file__).parent.glob("test_*.py"))
              if re.search("^(import torch|from ops_table import)", path.read_text(encoding="utf-8"), re.M)]
collect_ignore = [] if importlib.util.find_spec("torch") else NEED_TORCH

def pytest_report_header():
  return [f"without PyTorch, hence without {', '.join(collect_ignore)}"] if collect_ignore else []

@pytest.fixture(autouse=True)
def fresh_state():
  np.random.seed(1337)
  if "torch" in sys.modules: sys.modules["torch"].manual_seed(1337)
  # The tests of the sources need no extension: they must run before it is built.
  Tensor = sys.modules["teenygrad"].Tensor if "teenygrad" in sys.modules else None
  if Tensor is None:
    yield
    return
  Tensor.manual_seed(1337)
  before = Tensor.training, Tensor.no_grad, Tensor.default_type
  yield
  Tensor.training, Tensor.no_grad, Tensor.default_type = before
