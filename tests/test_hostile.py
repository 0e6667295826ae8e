"""Whatever is passed to whatever is public: a result or an exception that says what is wrong, and every tensor keeps its value."""
# ruff: noqa: B023, E501  (tables)
import subprocess, sys, warnings
from pathlib import Path

import numpy as np
import pytest

import hostile
from teenygrad import Tensor

WRITERS = {"assign", "_update", "__setitem__", *(f"__i{op}__" for op in ("add", "sub", "mul", "truediv", "pow", "matmul", "floordiv", "mod", "and", "or", "xor",
                                                                           "lshift", "rshift"))}

def attack(f, args, kwargs):
  """Whether the call succeeded; its result is computed."""
  try: hostile.look(f(*args, **kwargs))
  except Exception as e:
    wrong = hostile.verdict(e)
    assert not wrong, (wrong, args, kwargs)
    return False
  return True

@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name, get", hostile.entries(), ids=[name for name, _ in hostile.entries()])
def test_every_entry(name, get):
  """Each argument in turn is each of the hostile values, the tensor of a method another one each time (stress/fuzz.py takes all)."""
  writes, subjects = name.rpartition(".")[2] in WRITERS, hostile.subjects()
  wanted = [t.detach().numpy() for t in subjects]
  for n, value in enumerate(hostile.values()):
    index = n % len(subjects)
    for args, kwargs in hostile.calls(get(subjects[index]), value):
      succeeded = attack(get(subjects[index]), args, kwargs)
      if writes and succeeded: subjects[index] = hostile.subjects()[index]
    np.testing.assert_array_equal(subjects[index].detach().numpy(), wanted[index])

def test_every_pair_of_arguments_of_indexing_and_arithmetic():
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    for value in hostile.values():
      for t in hostile.subjects():
        for f in (lambda: t[value], lambda: t[value, value], lambda: t[:, value], lambda: t[..., value], lambda: t + value, lambda: value + t, lambda: t @ value, lambda: value ** t,
                  lambda: t == value, lambda: value < t, lambda: t.where(value, value), lambda: value in t, lambda: Tensor([value]), lambda: Tensor([[1], value]), lambda: np.add(t, value)):
          attack(f, (), {})

def test_what_an_array_may_hold():
  """Structured, object, text and time arrays have no dtype here; what has one is copied, however it lies in memory."""
  for a in hostile.arrays():
    try: t = Tensor(a)
    except (KeyError, TypeError): continue
    np.testing.assert_array_equal(t.numpy(), np.asarray(a))

def test_an_array_that_shrinks_while_it_is_read():
  class Shrinking(np.ndarray): pass
  a = np.ones(64).view(Shrinking)
  assert Tensor(a).numpy().sum() == 64

def test_mnist_files(tmp_path):
  """Whatever the files hold: the loader ends with a message."""
  code = ("import sys, random, gzip, os; sys.path.insert(0, sys.argv[1]); import mnist\n"
          "folder, rng = sys.argv[2], random.Random(1)\n"
          "names = [f'{s}-{k}-idx{n}-ubyte.gz' for s in ('train', 't10k') for k, n in (('images', 3), ('labels', 1))]\n"
          "def good(n): return bytes((0, 0, 8, n)) + b''.join(x.to_bytes(4, 'big') for x in ((5, 28, 28) if n == 3 else (5,))) + bytes(5 * (784 if n == 3 else 1))\n"
          "def write(name, data): open(os.path.join(folder, name), 'wb').write(data)\n"
          "for round in range(300):\n"
          "  for name in names: write(name, gzip.compress(good(3 if 'images' in name else 1), 1))\n"
          "  if round == 0: assert mnist.fetch_mnist(folder)[0].shape == (5, 784); continue\n"
          "  name = rng.choice(names); data = bytearray(good(3 if 'images' in name else 1))\n"
          "  kind = round % 5\n"
          "  if kind == 0: data[rng.randrange(12)] ^= 1 << rng.randrange(8)\n"
          "  if kind == 1: data = data[:rng.randrange(len(data))]\n"
          "  if kind == 2: data += b'x' * rng.randrange(1, 9)\n"
          "  packed = bytearray(gzip.compress(bytes(data), 1))\n"
          "  if kind == 3: packed = packed[:rng.randrange(len(packed))]\n"
          "  if kind == 4: packed[rng.randrange(10, len(packed))] ^= 255\n"
          "  write(name, packed)\n"
          "  try: mnist.fetch_mnist(folder)\n"
          "  except SystemExit as e: assert folder in str(e)\n"
          "  else: assert kind == 0 and 'labels' in name or kind == 4, (round, name)\n")
  done = subprocess.run([sys.executable, "-c", code, str(Path(__file__).parent.parent), str(tmp_path)], capture_output=True, text=True, timeout=120)
  assert done.returncode == 0, done.stderr
