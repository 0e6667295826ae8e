"""The programs of examples/ and the plot of mnist.py: they run, learn, and write what they promise."""
import importlib, os, pathlib, subprocess, sys

import numpy as np
import pytest

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).resolve().parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]), "CI": "1"}

@pytest.fixture
def example(monkeypatch):
  monkeypatch.syspath_prepend(str(ROOT / "examples"))
  monkeypatch.syspath_prepend(str(ROOT))
  return importlib.import_module

def test_regression(example, tmp_path):
  net, x, y, losses = example("regression").fit(200)
  assert x.shape == y.shape == (256, 1) and len(losses) == 200
  assert losses[0] > 0.3 and np.mean(losses[-20:]) < 0.02  # the noise's variance is 0.01

def test_regression_plot(example, tmp_path):
  pytest.importorskip("matplotlib")
  regression = example("regression")
  regression.plot(tmp_path / "fit.png", *regression.fit(3))
  assert (tmp_path / "fit.png").read_bytes().startswith(b"\x89PNG")

def test_mnist_plot(example, tmp_path):
  pytest.importorskip("matplotlib")
  images, labels = np.zeros((30, 784), np.uint8), np.arange(30) % 10
  for wrong in (0, 3, 30):  # none, some, more than there is room for
    predicted = np.where(np.arange(30) < wrong, (labels + 1) % 10, labels)
    example("mnist").plot(tmp_path / "mnist.svg", [2.0, 1.0], images, labels, predicted)
    text = (tmp_path / "mnist.svg").read_text()
    assert text.count("<image") == min(wrong, 24)

def test_gpt(example):
  """It learns a text that repeats, and writes it: attention has to look back, as each letter has two followers."""
  gpt = example("gpt")
  text, characters = np.array([0, 1, 0, 2] * 200, np.int32), "abc"
  model = gpt.GPT(len(characters), context=16, layers=1, heads=2, width=32)
  losses = gpt.train(model, text, steps=120, batch=16, lr=1e-2, report=lambda line: None)
  assert 0.9 < losses[0] < 1.4  # log 3 = 1.10
  assert losses[-1] < 0.15
  assert model.generate([0, 1, 0], 9, np.random.default_rng(0))[3:] == [2, 0, 1, 0, 2, 0, 1, 0, 2]

def test_gpt_reads_no_further(example):
  """The logits of a place don't hang on what comes after it."""
  gpt, rng = example("gpt"), np.random.default_rng(0)
  model, tokens = gpt.GPT(7, 8, 2, 2, 16), rng.integers(0, 7, (2, 8)).astype(np.int32)
  other = tokens.copy()
  other[:, 5:] = (other[:, 5:] + 1) % 7
  first, second = (model(gpt.Tensor(t)).numpy() for t in (tokens, other))
  np.testing.assert_array_equal(first[:, :5], second[:, :5])
  assert (first[:, 5:] != second[:, 5:]).all()

def test_resnet(example):
  """A few hundred images: the loss falls, and the accuracy in evaluation, by running statistics, is well above chance."""
  resnet, data = example("resnet"), example("mnist").fetch_mnist()
  model, losses = resnet.ResNet(8), []
  resnet.train(model, data[0][:1024], data[1][:1024], epochs=3, batch=32, report=lambda line: losses.append(float(line.split()[4].rstrip(","))))
  assert len(losses) == 3 and losses[-1] < 0.5 * losses[0]
  assert resnet.accuracy(model, data[2][:500], data[3][:500]) > 0.7

def test_data_parallel(tmp_path):
  """Two processes come to the losses and parameters of one."""
  pytest.importorskip("mpi4py")
  mpiexec = pathlib.Path(sys.executable).parent / "mpiexec"
  if not mpiexec.exists(): pytest.skip("no mpiexec beside this Python: pip install mpich")
  results = []
  for n in (1, 2):
    file = tmp_path / f"{n}.npz"
    subprocess.run([mpiexec, "-n", str(n), sys.executable, ROOT / "examples" / "data_parallel.py", "--steps", "20", "--save", file],
                   env={**ENVIRONMENT, "TEENYGRAD_THREADS": "1"}, check=True, timeout=300)
    with np.load(file) as f: results.append(dict(f))
  one, two = results
  assert one.keys() == two.keys() and len(one) == 5
  assert one["losses"][-1] < 0.7 * one["losses"][0]
  for name in one: np.testing.assert_allclose(two[name], one[name], rtol=1e-3, atol=1e-4, err_msg=name)
