"""For tests that switch the engine: the instruction sets that this machine has, and a fixture that puts everything back."""
import warnings

import numpy as np
import pytest

from teenygrad import _engine

def all_isas():
  before, found = _engine.info()["isa"], []
  for isa in ("base", "avx2", "avx512"):
    try: _engine.set_isa(isa)
    except ValueError: continue
    found.append(isa)
  _engine.set_isa(before)
  return found
ISAS = all_isas()

@pytest.fixture(autouse=True)
def switches():
  before = _engine.info()
  with warnings.catch_warnings(), np.errstate(all="ignore"):
    warnings.simplefilter("ignore", RuntimeWarning)
    yield
  _engine.set_isa(before["isa"])
  _engine.set_threads(before["threads"])
