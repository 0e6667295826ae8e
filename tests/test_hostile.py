"""Whatever is passed to whatever is public: a result or an exception that says what is wrong, and every tensor keeps its value."""
# ruff: noqa: B023, E501  (tables)
import math, subprocess, sys, warnings
from pathlib import Path

import numpy as np
import pytest

import hostile
from teenygrad import Tensor, _engine
from teenygrad.helpers import dtypes
from teenygrad.nn import optim
from teenygrad.ops import MathOps

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
  """Each argument in turn is each of the hostile values, the tensor of a method another one each time (stress/calls.py takes all)."""
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

T, t, v, W = Tensor, Tensor.ones(2, 3), Tensor([1., 2., 3.]), Tensor.ones(3, requires_grad=True)
INT32 = dtypes.int32

@pytest.mark.parametrize("bad, error, words", [
  # the constructor and creation
  (lambda: T({1, 2}), RuntimeError, "{1, 2}.*set.*a number, a list"), (lambda: T(t), RuntimeError, r"Tensor of shape \(2, 3\) and dtypes.float"),
  (lambda: T(np.ones((2, 3), complex)), KeyError, r"complex128.*float32.*\(2, 3\)"), (lambda: T(np.longdouble(1)), KeyError, r"float128|longdouble"),
  (lambda: T([1, None]), ValueError, "list.*dtypes.float.*None"), (lambda: T([1, [2]]), ValueError, "list.*dtypes.float.*inhomogeneous"),
  (lambda: T([1, 2], INT32), TypeError, "device.*dtypes.int"), (lambda: T.full((2,), 1, INT32), TypeError, "device.*dtypes.int"),
  (lambda: T([1], dtype="float32"), AssertionError, "DType.*'float32'"), (lambda: T([1], requires_grad=5), TypeError, "requires_grad.*5"),
  (lambda: T(float("inf"), dtype=INT32), OverflowError, "inf .*dtypes.int"), (lambda: T.full((2,), "a"), TypeError, "number, not 'a'"),
  (lambda: T.zeros(2, dtype="a"), TypeError, "dtype.*'a'"), (lambda: T.zeros(1.5), TypeError, "integers, not 1.5 of float"),
  (lambda: T.arange(0, 5, 0), ZeroDivisionError, "arange from 0 to 5 in steps of 0"), (lambda: T.arange(math.inf), OverflowError, "arange .* inf"),
  (lambda: T.arange("a"), TypeError, "arange .*'a'"), (lambda: T.arange(10**30), ValueError, "arange.*elements"),
  (lambda: T.randint(3, high=10.5), TypeError, "high .*10.5"), (lambda: T.manual_seed("a"), TypeError, "seed .*'a'"),
  (lambda: T([1., math.inf]).multinomial(), ValueError, r"\(2,\).*finite"), (lambda: T([1., -1., 3.]).multinomial(), ValueError, "below 0"),
  # axes and shapes
  (lambda: t.sum(1.5), TypeError, "axis .*not 1.5"), (lambda: t.sum("a"), TypeError, "axis .*'a'"), (lambda: t.sum(True), TypeError, "axis .*True"),
  (lambda: t.sum(0, 1), TypeError, "keepdim .*1.*tuple"), (lambda: t.argmax(0, 1), TypeError, "keepdim"), (lambda: t.max(t), TypeError, r"axis .*\(2, 3\)"),
  (lambda: t.argmax((0, 1)), TypeError, r"axis .*\(0, 1\)"), (lambda: t.transpose(None), TypeError, "axis .*None"),
  (lambda: t.reshape(2.0, 3), TypeError, "integers, not 2.0"), (lambda: t.reshape(None, None, None), IndexError, "got 2"),
  (lambda: t.chunk(1.5), TypeError, "pieces .*1.5"), (lambda: v.tril(), ValueError, r"\(3,\).*two axes"), (lambda: t.tril(0.5), TypeError, "diagonal .*0.5"),
  (lambda: T.stack([1, 2]), TypeError, "stack.*Tensor, not 1"), (lambda: T.stack(t), TypeError, r"list of Tensors, not Tensor of shape \(2, 3\)"),
  (lambda: T.cat([t, t]), TypeError, "cat.*list"), (lambda: t.cat(5), TypeError, "cat.*Tensor, not 5"),
  (lambda: T.corealize(t), TypeError, "list of Tensors"), (lambda: T.corealize([t, 5]), TypeError, "Tensor, not 5"),
  # operands
  (lambda: t @ 3, AssertionError, r"\(2, 3\) and \(\): 3"), (lambda: 3 @ t, AssertionError, r"\(2, 3\) and \(\)"), (lambda: v.dot(3), AssertionError, r"\(3,\)"),
  (lambda: T.ones(2, 3, 4) @ T.ones(3, 4, 5), ValueError, r"\(2, 3, 4\) and \(3, 4, 5\)"), (lambda: t.linear(3), TypeError, "weight .*3"),
  (lambda: t.where("a", "b"), RuntimeError, "'b' of <class 'str'>"), (lambda: t.gather("a", 0), TypeError, "index .*'a'"),
  (lambda: t.batchnorm(5, 5, 5, 5), TypeError, "mean.*5"), (lambda: t.dropout("a"), TypeError, "probability .*'a'"),
  (lambda: t.std(correction="a"), TypeError, "correction .*'a'"), (lambda: t.softplus(None), TypeError, "beta .*None"),
  (lambda: t.binary_crossentropy("a"), TypeError, "labels .*'a'"), (lambda: t.sparse_categorical_crossentropy(5), TypeError, "labels .*5"),
  (lambda: T(1.).sparse_categorical_crossentropy(T(0)), ValueError, r"\(\)"), (lambda: t.__setitem__(0, None), ValueError, r"\(0,\) into shape \(3,\)"),
  (lambda: t.__setitem__(0, np.array([1j, 2, 3])), KeyError, "complex128"), (lambda: t.bitcast("a"), AssertionError, "dtypes.float to a"),
  # optimisers
  (lambda: optim.SGD(W), TypeError, r"list of Tensors, not Tensor of shape \(3,\)"), (lambda: optim.SGD([5]), TypeError, "parameters.*5"),
  (lambda: optim.SGD([W], lr="a"), TypeError, "lr .*'a'"), (lambda: optim.SGD([W], lr=None), TypeError, "lr .*None"),
  (lambda: optim.SGD([W], lr=math.nan), ValueError, "lr .*nan"), (lambda: optim.SGD([W], momentum="a"), TypeError, "momentum .*'a'"),
  (lambda: optim.Adam([W], b1=1.), ValueError, "b1 = 1.0"), (lambda: optim.AdamW([W], wd="a"), TypeError, "wd .*'a'"),
])
def test_messages(bad, error, words):
  """What was given and what is expected; and no tensor has changed."""
  with pytest.raises(error, match=words) as e: bad()
  assert type(e.value) is error
  assert (t.numpy() == 1).all() and v.numpy().tolist() == [1, 2, 3] and W.requires_grad and W.grad is None

def test_what_is_taken():
  """A tuple is a list, a NumPy scalar an array without axes, an array in place of a Tensor its data; sizes may stand in an array."""
  for got, wanted in ((T((1, 2)), T([1, 2])), (T(((1, 2), [3, 4])), T([[1, 2], [3, 4]])), (T([np.float32(1), np.int64(2)]), T([1, 2])),
                      (T([np.ones(2), (1, 1)]), T.ones(2, 2)), (v + (1, 2, 3), v + [1, 2, 3]), (v.assign(v) == (1, 2, 4), v == T([1., 2., 4.])),
                      (v[(0, 2),], v[[0, 2]]), (v.dot(np.ones(3, np.float32)), v.sum()), (v.dot([1, 2, 3]), v.square().sum()),
                      (T.where(np.array([True, False, True]), v, 0), T([1., 0, 3])), (t.gather([[0, 1, 1]], 0), T.ones(1, 3)),
                      (t.reshape(np.array([3, 2])), T.ones(3, 2)), (T.kaiming_normal(3, 0), T.zeros(3, 0)), (v[T(np.array([True, False, True]))], T([1., 3.]))):
    assert got.dtype == wanted.dtype and got.shape == wanted.shape
    np.testing.assert_array_equal(got.numpy(), wanted.numpy())
  for x in (np.float16(1.5), np.float32(1.5), np.int8(3), np.uint64(2**64 - 1), np.bool_(True)):
    assert T(x).shape == () and T(x).dtype == dtypes.from_np(x.dtype) and T(x).item() == x
  assert T(np.float64(1.5)).dtype == T.default_type and T(np.int64(3), dtype=dtypes.half).dtype == dtypes.half

def test_arguments_that_compute_what_they_are_for():
  """Realizing a part of a value puts a new node in its place, and lets go of the one that was there."""
  a, b = np.arange(64, dtype=np.float32).reshape(8, 8), np.ones((8, 3), np.float32)
  part, other, made = (Tensor(a) + 1).lazydata.shrink(((0, 4), (0, 8))), Tensor(b).lazydata, []
  class Computing:
    def __bool__(self):
      _engine.realize([part])
      made.extend(Tensor.ones(1).lazydata.expand((5,)).e(MathOps.EXP) for _ in range(100))  # in the memory of what was let go of
      return False
  np.testing.assert_array_equal(part.dot(other, Computing()).realized.toCPU(), (a[:4] + 1) @ b)

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
