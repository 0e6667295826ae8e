"""The fuzzer of graphs, tests/stress/graphs.py: some graphs of every kind, and that it would find what is wrong."""
import collections, os, re, subprocess, sys

import numpy as np
import pytest
import torch
from switches import ISAS, switches
from teenygrad import Tensor, _engine

STRESS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "stress")
sys.path.insert(0, STRESS)
import graphs, program  # noqa: E402  (they are in that folder)

__all__ = ["switches"]

@pytest.fixture(autouse=True)
def prepared():
  dtype, threads, pending, errors = torch.get_default_dtype(), torch.get_num_threads(), _engine.set_pending(0, 0), np.geterr()
  program.prepare()
  yield
  torch.set_default_dtype(dtype)
  torch.set_num_threads(threads)
  np.seterr(**errors)
  _engine.set_pending(*pending)
  _engine.set_fusion(True)

@pytest.mark.parametrize("first", range(0, 400, 50))
def test_graphs_compute_what_pytorch_does(first):
  figures = collections.Counter()
  for seed in range(first, first + 50):
    text = graphs.run(seed, ISAS, figures=figures)
    assert text is None, text
  assert figures["sums", True] > 0 and figures["others", True] > 20 and figures["others", False] == 0

def test_a_graph_depends_on_its_seed():
  one, same, other = graphs.Generator(5), graphs.Generator(5), graphs.Generator(6)
  assert one.steps == same.steps != other.steps

def test_every_method_is_in_some_graph():
  """Each that computes something: a new one is to be added to the tables."""
  left_out = set("""deepwalk dropout element_size empty from_dlpack glorot_uniform is_floating_point item kaiming_normal kaiming_uniform manual_seed
    multinomial nbytes normal numel rand randint randn realize scaled_uniform to_ tolist train uniform why""".split())
  text = open(os.path.join(STRESS, "graphs.py")).read() + open(os.path.join(STRESS, "program.py")).read()
  named = set(re.findall(r"[\w)]\.(\w+)", text)) | set(re.findall(r'"(\w+)"', text))
  public = {name for name in dir(Tensor) if name[0] != "_" and callable(getattr(Tensor, name))}
  assert public - left_out - named == set()

def wrong(fxn, off):
  """The function with results off by that much, relatively."""
  def f(self, *args, **kw):
    out = fxn(self, *args, **kw)
    return out * (1 + off) if out.is_floating_point() else out
  return f

@pytest.mark.parametrize("name, seed", [("exp", 2000121), ("softmax", 2000140), ("max_pool2d", 2000008), ("cumsum", 2000075)])
def test_results_that_are_a_little_wrong_are_found_and_the_graph_made_small(name, seed, monkeypatch):
  assert graphs.run(seed, ISAS[:1]) is None
  monkeypatch.setattr(Tensor, name, wrong(getattr(Tensor, name), 2e-5))
  lines = graphs.run(seed, ISAS[:1]).splitlines()
  assert lines[0].startswith(f"# seed {seed}, {ISAS[0]}, fused") and any(f".{name}(" in line for line in lines), lines
  assert len(lines) - 5 <= 6, lines

def test_a_program_that_is_printed_runs():
  g = graphs.Generator(3)
  setting = program.Setting(ISAS[-1], False)
  text = program.printed(g.steps, setting)
  out = subprocess.run([sys.executable, "-c", text], cwd=STRESS, capture_output=True, text=True,
                       env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
  assert not out.returncode, out.stderr
  assert out.stdout.count("\n") > 1
