"""The MNIST files are the right ones, and mnist.py's loader says which file is wrong."""
import gzip, hashlib, importlib.util, os, pathlib, shutil, struct, subprocess, sys
import numpy as np
import pytest
import teenygrad

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = ROOT / "extra" / "datasets" / "mnist"
# sha256 of the uncompressed files. Three are those published; train-images differs from them as its README says.
SHA256 = {
  "train-images-idx3-ubyte.gz": "8ffc0c8f14dc9cdaa9c881701526392fdd71aeed017f14eac242d61cdce17a34",
  "train-labels-idx1-ubyte.gz": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
  "t10k-images-idx3-ubyte.gz": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
  "t10k-labels-idx1-ubyte.gz": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"}

@pytest.fixture(scope="module")
def mnist():
  pytest.importorskip("tqdm")
  spec = importlib.util.spec_from_file_location("mnist", ROOT / "mnist.py")
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module

def idx(array):
  return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}i", *array.shape) + array.astype(np.uint8).tobytes()

@pytest.fixture
def folder(tmp_path):
  """A small data set: three images for training, two for testing."""
  for name, n in (("train", 3), ("t10k", 2)):
    (tmp_path / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(np.arange(n * 784).reshape(n, 28, 28))))
    (tmp_path / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.arange(n))))
  return tmp_path

@pytest.mark.parametrize("name", SHA256)
def test_checksum(name):
  assert hashlib.sha256(gzip.decompress((DATA / name).read_bytes())).hexdigest() == SHA256[name]

def test_arrays(mnist):
  assert mnist.X_train.shape == (60000, 784) and mnist.Y_train.shape == (60000,)
  assert mnist.X_test.shape == (10000, 784) and mnist.Y_test.shape == (10000,)
  assert mnist.X_train.dtype == mnist.X_test.dtype == mnist.Y_train.dtype == mnist.Y_test.dtype == np.uint8
  assert mnist.X_train.min() == 0 and mnist.X_train.max() == 255 and set(mnist.Y_test) == set(range(10))

def test_small_folder(mnist, folder):
  X_train, Y_train, X_test, Y_test = mnist.fetch_mnist(folder)
  np.testing.assert_array_equal(X_train, np.arange(3 * 784).reshape(3, 784) % 256)
  assert X_test.shape == (2, 784) and Y_train.tolist() == [0, 1, 2] and Y_test.tolist() == [0, 1]

def refused(mnist, folder, name):
  with pytest.raises(SystemExit) as error: mnist.fetch_mnist(folder)
  message = str(error.value)
  assert name in message and "\n" not in message
  return message

@pytest.mark.parametrize("name", SHA256)
def test_missing(mnist, folder, name):
  (folder / name).unlink()
  assert "No such file" in refused(mnist, folder, name)

@pytest.mark.parametrize("keep", [0, 5, 20, -9, -1])
def test_truncated(mnist, folder, keep):
  path = folder / "train-images-idx3-ubyte.gz"
  path.write_bytes(path.read_bytes()[:keep])
  assert "truncated" in refused(mnist, folder, path.name)

def test_corrupt(mnist, folder):
  path = folder / "t10k-labels-idx1-ubyte.gz"
  data = bytearray(path.read_bytes())
  data[-6] ^= 1  # in the checksum
  path.write_bytes(data)
  assert "corrupt" in refused(mnist, folder, path.name)

@pytest.mark.parametrize("content", [b"", b"\0\0\x08", b"<html>", idx(np.zeros((3, 28, 28)))[:-1], idx(np.zeros((3, 28, 28))) + b"\0",
                                     idx(np.zeros(3)), b"\0\0\x09\3" + idx(np.zeros((3, 28, 28)))[4:],
                                     bytes((0, 0, 8, 3)) + struct.pack(">3i", -1, 28, 28),
                                     bytes((0, 0, 8, 3)) + struct.pack(">3i", 2**30, 2**30, 16)])  # 2^64 elements
def test_not_idx(mnist, folder, content):
  path = folder / "train-images-idx3-ubyte.gz"
  path.write_bytes(gzip.compress(content))
  assert "not an IDX file" in refused(mnist, folder, path.name)

def test_a_folder_in_place_of_a_file(mnist, folder):
  path = folder / "train-images-idx3-ubyte.gz"
  path.unlink()
  path.mkdir()
  assert "directory" in refused(mnist, folder, path.name)

def test_images_of_another_size(mnist, folder):
  (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(np.zeros((3, 28, 56)))))
  assert "(3, 28, 56)" in refused(mnist, folder, "train")

def test_counts_differ(mnist, folder):
  shutil.copy(folder / "t10k-labels-idx1-ubyte.gz", folder / "train-labels-idx1-ubyte.gz")
  refused(mnist, folder, "train")

def test_script_prints_one_line(tmp_path):
  shutil.copy(ROOT / "mnist.py", tmp_path)
  path = pathlib.Path(teenygrad.__file__).parents[1]  # the one under test, wherever it was imported from
  run = subprocess.run([sys.executable, "mnist.py"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(path)}, capture_output=True, text=True)
  assert run.returncode == 1 and run.stdout == ""
  assert "Traceback" not in run.stderr and "train-images-idx3-ubyte.gz" in run.stderr.strip().splitlines()[-1]
