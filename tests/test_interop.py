"""A Tensor among others: Python's protocols, NumPy's, the buffer protocol, DLPack, pickles and notebooks (docs/neighbours.md)."""
import array, copy, ctypes, gc, io, math, operator, pickle, subprocess, sys, threading, weakref

import numpy as np
import pytest
import torch

import teenygrad
from teenygrad import Tensor, _engine
from teenygrad.helpers import DTYPES_DICT, dtypes
from teenygrad.lazy import LazyBuffer

DTYPES = sorted(set(DTYPES_DICT.values()))
NUMPY_DTYPES = [d for d in DTYPES if d.np]
TORCH = {dtypes.bool: torch.bool, dtypes.bfloat16: torch.bfloat16,
         **{d: getattr(torch, np.dtype(d.np).name) for d in NUMPY_DTYPES[1:]}}

def same(x, expected, dtype=None):
  x = x.numpy() if isinstance(x, Tensor) else np.asarray(x)
  assert x.shape == np.shape(expected) and (dtype is None or x.dtype == dtype), (x.shape, x.dtype)
  np.testing.assert_array_equal(x, np.asarray(expected))

def make(dtype, shape=(2, 3)):
  """A Tensor of that dtype and its values as an ndarray (float32 for bfloat16)."""
  a = np.asarray(np.arange(math.prod(shape)).reshape(shape) % 5).astype(dtype.np or np.float32)
  return (Tensor(a) if dtype.np else Tensor(a).cast(dtype)).realize(), a

def live(collect=True):
  if collect: gc.collect()
  memory = _engine.memory()
  return memory["objects"], memory["blocks"], memory["block_bytes"]

def address(a): return a.__array_interface__["data"][0]

# ---- Python ----

def test_numbers():
  for t, x in ((Tensor(2.5), 2.5), (Tensor([[-3.5]]), -3.5), (Tensor(7, dtype=dtypes.int64), 7), (Tensor([True], dtype=dtypes.bool), True)):
    assert float(t) == x and int(t) == int(x) and complex(t) == complex(x) and bool(t) is bool(x)
    assert round(t) == round(x) and type(round(t)) is int and math.floor(t) == math.floor(x) and math.ceil(t) == math.ceil(x)
  assert round(Tensor(2.345, dtype=dtypes.float64), 2) == 2.35 or round(2.345, 2) == round(Tensor(2.345, dtype=dtypes.float64), 2)
  for f in (float, int, complex, bool, round, math.floor):
    for t in (Tensor([1., 2.]), Tensor([]), Tensor.ones(2, 2)):
      with pytest.raises(ValueError): f(t)

def test_index():
  for dtype in DTYPES:
    for t in (Tensor(2, dtype=dtype), Tensor([[2]], dtype=dtype)):
      if dtypes.is_int(dtype):
        assert operator.index(t) == 2 and [5, 6, 7][t] == 7 and list(range(t)) == [0, 1] and "abc"[:t] == "ab" and hex(t) == "0x2"
        assert np.arange(5)[t] == 2 and Tensor.ones(t, 3).shape == (2, 3)
      else:
        with pytest.raises(TypeError): operator.index(t)
  with pytest.raises(TypeError): operator.index(Tensor([1, 2], dtype=dtypes.int32))
  assert operator.index(Tensor(np.array(2**63 + 1, np.uint64))) == 2**63 + 1

def test_format():
  assert f"{Tensor(2.5):.3f}" == "2.500" and f"{Tensor([[-1e6]]):+.2e}" == "-1.00e+06" and f"{Tensor(7, dtype=dtypes.int32):04d}" == "0007"
  assert f"{Tensor([1., 2.])}" == format(Tensor([1., 2.])) == str(Tensor([1., 2.])) and "%.1f %d" % (Tensor(2.5), Tensor(3.)) == "2.5 3"
  with pytest.raises(ValueError): format(Tensor([1., 2.]), ".3f")
  with pytest.raises(ValueError): format(Tensor(1.5), "d")

def test_sequences():
  t = Tensor([[1., 2.], [3., 4.], [5., 6.]])
  assert len(t) == 3 and [x.tolist() for x in t] == t.tolist() == [[1, 2], [3, 4], [5, 6]] and [x.tolist() for x in reversed(t)] == t.tolist()[::-1]
  assert 4 in t and 9 not in t and Tensor(2.).tolist() == 2 and type(Tensor(2, dtype=dtypes.int8).tolist()) is int
  assert Tensor([1.5], dtype=dtypes.bfloat16).tolist() == [1.5] and Tensor.ones(2, 0).tolist() == [[], []]
  a, b = (x.tolist() for x in Tensor([[1., 2.], [3., 4.]]))
  assert (a, b) == ([1, 2], [3, 4])
  for f in (len, iter, list, reversed):
    with pytest.raises(TypeError): f(Tensor(1.))
  assert hash(t) == hash(t) and len({t, t, Tensor([[1.]])}) == 2

@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles(protocol):
  for dtype in DTYPES:
    for shape in ((), (0, 3), (2, 3)):
      t, a = make(dtype, shape)
      back = pickle.loads(pickle.dumps(t, protocol))
      assert back.dtype == dtype
      same(back, a)
  same(pickle.loads(pickle.dumps(Tensor.ones(2, 3).T + 1, protocol)), np.full((3, 2), 2))

def test_pickles_out_of_band():
  """The elements stay out of the pickle, and are copied when it is read."""
  t, a = make(dtypes.float32, (1000, 100))
  for x in (t, copy.copy(t), t.T.T):
    buffers = []
    data = pickle.dumps(x, 5, buffer_callback=buffers.append)
    assert len(data) < 1000 and sum(b.raw().nbytes for b in buffers) == a.nbytes
    writable = [bytearray(b) for b in buffers]
    back = pickle.loads(data, buffers=writable)
    for b in writable: b[:] = bytes(len(b))
    same(back, a)

# ---- notebooks ----

def test_html():
  t = Tensor(np.arange(200.).reshape(2, 10, 10))
  text = t._repr_html_()
  assert "shape (2, 10, 10)" in text and "dtypes.double" in text and "CPU" in text
  rows = [line.split("<td>")[1:] for line in text.split("<tr>")[1:]]
  cells = [[cell.split("<")[0] for cell in row] for row in rows]
  assert cells == [[("…" if None in (i, j) else f"{10 * i + j}") for j in (0, 1, 2, None, 7, 8, 9)] for i in (0, 1, 2, None, 7, 8, 9)]
  assert Tensor([1 / 3, 2])._repr_html_().endswith("<table><tr><td>0.3333</td><td>2</td></tr></table>")
  assert "True" in Tensor(np.array(True))._repr_html_() and "<table>" not in Tensor([])._repr_html_()
  assert "requires_grad=True" in Tensor([1.], requires_grad=True)._repr_html_()
  assert "<td>1.5</td>" in Tensor(1.5, dtype=dtypes.bfloat16).realize()._repr_html_()

def test_html_computes_nothing():
  x = Tensor.rand(3, requires_grad=True)
  y = (x * x).exp()
  before = _engine.memory()["blocks"]
  text = y._repr_html_()
  assert "not computed yet" in text and "grad_fn=&lt;Exp&gt;" in text and not y.lazydata.computed and _engine.memory()["blocks"] == before
  assert "<td>1</td>" in Tensor.ones(10**6, 10**6)._repr_html_() and _engine.memory()["blocks"] == before

# ---- NumPy ----

OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.matmul, operator.lt, operator.le, operator.gt,
             operator.ge, operator.eq, operator.ne]
IN_PLACE = [operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ipow, operator.imatmul]

@pytest.mark.parametrize("op", OPERATORS, ids=lambda f: f.__name__)
def test_operators_give_tensors(op):
  """With NumPy's arrays and scalars and torch's tensors on either side."""
  a, b = np.float32([[1, 2], [3, 4]]), np.float32([[5, 1], [3, 2]])
  pairs = [(a, Tensor(b)), (Tensor(a), b), (torch.tensor(a), Tensor(b)), (Tensor(a), torch.tensor(b))]
  if op is not operator.matmul:
    pairs += [(x, Tensor(b)) for x in (np.float32(3), np.array(3, np.float32), np.int64(3), np.float64(3))]
    pairs += [(Tensor(b), x) for x in (np.float32(3), np.array(3, np.float32), np.int64(3), np.float64(3))]
  for x, y in pairs:
    got = op(x, y)
    assert isinstance(got, Tensor) and got.dtype == (dtypes.bool if op in OPERATORS[6:] else dtypes.float32)
    np.testing.assert_allclose(got.numpy(), op(np.array(x, np.float32), np.array(y, np.float32)), rtol=1e-6)

@pytest.mark.parametrize("op", IN_PLACE, ids=lambda f: f.__name__)
def test_operators_in_place(op):
  """NumPy refuses; the name of a tensor of torch stands for a new Tensor afterwards, and that tensor is as it was."""
  a, b = np.float32([[1, 2], [3, 4]]), np.float32([[5, 1], [3, 2]])
  expected, x = op(a.copy(), b), a.copy()
  for other in (b, torch.tensor(b), Tensor(b)):
    t = Tensor(a)
    got = op(t, other)
    assert got is t
    np.testing.assert_allclose(t.numpy(), expected, rtol=1e-6)
  y = torch.tensor(a)
  np.testing.assert_allclose(op(y, Tensor(b)).numpy(), expected, rtol=1e-6)
  pytest.raises(TypeError, op, x, Tensor(b))
  for z in (x, y): np.testing.assert_array_equal(z, a)

def test_gradients_pass_through_operators_with_others():
  w = Tensor([1., 2.], requires_grad=True)
  (np.float32([3, 4]) * w + torch.tensor([1., 1.]) * w).sum().backward()
  same(w.grad, [4, 5])

def test_ufuncs_refuse_and_functions_give_arrays():
  t, a = make(dtypes.float32)
  for f in (np.exp, np.sqrt, np.isnan, np.abs): pytest.raises(TypeError, f, t)
  for f in (np.add, np.multiply, np.matmul, np.less):
    pytest.raises(TypeError, f, a, t)
    pytest.raises(TypeError, f, t, a)
  b = a.copy()
  with pytest.raises(TypeError): np.add(b, 1, out=t)
  for f in (np.sum, np.mean, np.sort, np.transpose, lambda x: np.concatenate([x, x]), lambda x: np.stack((x, x)), lambda x: np.where(x > 1, x, 0),
            np.linalg.norm, lambda x: np.dot(x, x.T), lambda x: np.sum(x, axis=0), lambda x: np.clip(x, 1, 2), lambda x: np.einsum("ij,ij->i", x, x)):
    got = f(t)
    assert not isinstance(got, Tensor)
    np.testing.assert_array_equal(got, f(a))
  np.testing.assert_allclose(t, a)
  b[1] = t[0]
  same(b[1], a[0])

@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_array(dtype):
  """Without further wishes the memory itself, read-only; by np.array or with another dtype a writable copy."""
  t, a = make(dtype)
  b = np.asarray(t)
  same(b, a, a.dtype)
  assert b.dtype.num == a.dtype.num
  if dtype.np:
    assert not b.flags.writeable and address(b) == address(np.asarray(t)) == address(t.__array__()) == address(np.array(t, copy=False))
    with pytest.raises(ValueError): b[0, 0] = 1
    with pytest.raises(ValueError): b.flags.writeable = True
  else:
    with pytest.raises(ValueError): t.__array__(copy=False)
  for c in (np.array(t), t.numpy(), t.__array__(copy=True), np.asarray(t, dtype=np.complex64), t.__array__(np.complex64)):
    assert c.flags.writeable and c.flags.owndata
    c[:] = 9
  same(t, a)
  same(np.asarray(t, np.float64), a, np.float64)
  assert np.array(t, object).dtype == object

# ---- the buffer protocol ----

VIEWS = {"T": (lambda t: t.T, True), "flip": (lambda t: t.flip(0), True), "slice": (lambda t: t[1:, ::2], True), "row": (lambda t: t[1], True),
         "element": (lambda t: t[1, 2], True), "expand": (lambda t: t[:, None].expand(4, 5, 6), True), "reshape": (lambda t: t.reshape(3, 8), True),
         "empty": (lambda t: t[:0], True), "pad": (lambda t: t.pad(((1, 0), (0, 2))), False), "levels": (lambda t: t.T.reshape(8, 3), False),
         "backwards": (lambda t: t[::-1, ::-2], True), "ones": (lambda t: t.reshape(4, 1, 6, 1), True)}

@pytest.mark.parametrize("name", VIEWS)
def test_memoryviews_of_views(name):
  """They share the memory if strides can tell where it lies."""
  view, shares = VIEWS[name]
  t, a = make(dtypes.int32, (4, 6))
  v = view(t)
  b, m = np.asarray(v), memoryview(v)
  same(b, v.numpy())
  start = address(np.asarray(t))
  assert (start <= address(b) < start + a.nbytes) == shares
  assert m.shape == v.shape and m.readonly and m.nbytes == v.nbytes() and m.tolist() == v.tolist() and bytes(v) == v.numpy().tobytes() == m.tobytes()

def test_memoryviews_of_every_dtype_and_shape():
  for dtype in NUMPY_DTYPES:
    for shape in ((), (0,), (3, 0, 2), (5,), (1,) * 32):
      t, a = make(dtype, shape)
      m = memoryview(t)
      assert m.format == memoryview(a).format and m.itemsize == a.itemsize and m.shape == shape and m.readonly and m.c_contiguous
      same(np.asarray(m), a, a.dtype)
  with pytest.raises(BufferError): memoryview(make(dtypes.bfloat16)[0])
  w = Tensor([1., 2.], requires_grad=True)
  same(memoryview(w + 1), [2, 3])
  same(memoryview(w.lazydata), [1, 2])
  assert memoryview(Tensor.ones(10**9)).strides == (0,)
  empty = memoryview(Tensor.ones(0).lazydata.expand((2**40, 2**40, 0)))
  assert (empty.shape, empty.nbytes, empty.c_contiguous) == ((2**40, 2**40, 0), 0, True)

def test_memoryviews_count_their_bytes():
  for t in (Tensor.ones(2**62), Tensor.ones(2**62 + 2), Tensor.ones(2**61)):
    with pytest.raises(BufferError, match="more than a buffer can have"): memoryview(t)
  assert memoryview(Tensor.ones(2**61 - 1)).nbytes == 2**63 - 4

def test_memoryviews_are_those_of_a_lazybuffer():
  for other in (None, b"bytes", "itself"):
    t = Tensor.ones(2)
    t.lazydata = t if other == "itself" else other
    with pytest.raises(TypeError, match="LazyBuffer"): memoryview(t)

class Buffer(ctypes.Structure):
  """Py_buffer."""
  _fields_ = [("buf", ctypes.c_void_p), ("obj", ctypes.py_object), ("len", ctypes.c_ssize_t), ("itemsize", ctypes.c_ssize_t),
              ("readonly", ctypes.c_int), ("ndim", ctypes.c_int), ("format", ctypes.c_char_p), ("shape", ctypes.POINTER(ctypes.c_ssize_t)),
              ("strides", ctypes.POINTER(ctypes.c_ssize_t)), ("suboffsets", ctypes.c_void_p), ("internal", ctypes.c_void_p)]

def test_what_buffers_are_asked_for():
  """Each combination of what a consumer can take: given as asked, or refused."""
  get, release = ctypes.pythonapi.PyObject_GetBuffer, ctypes.pythonapi.PyBuffer_Release
  get.argtypes, release.argtypes = (ctypes.py_object, ctypes.POINTER(Buffer), ctypes.c_int), (ctypes.POINTER(Buffer),)
  simple, writable, form, nd, strides, c, f, either = 0, 1, 4, 8, 0x18, 0x38, 0x58, 0x98
  t, a = make(dtypes.float32, (2, 3))
  for x, array_ in ((t, a), (t.T, a.T)):
    for flags in (simple, form, writable, writable | c, nd, nd | form, strides, c, c | form, either, f, f | form, strides | form):
      b = Buffer()
      refused = flags in (simple, form) or flags & writable or flags & ~form == f and not array_.flags.f_contiguous
      if refused:
        with pytest.raises(BufferError): get(x, b, flags)
        continue
      get(x, b, flags)
      assert b.readonly and b.len == a.nbytes and b.ndim == 2 and b.format == (b"f" if flags & form else None)
      assert b.shape[:2] == list(array_.shape) and bool(b.strides) == (flags & strides == strides)
      if flags & f != f:
        order = [b.strides[0], b.strides[1]] if b.strides else [4 * array_.shape[1], 4]
        if flags & ~form != strides: assert order == [4 * array_.shape[1], 4]
        rows, columns = array_.shape
        got = [[ctypes.c_float.from_address(b.buf + i * order[0] + j * order[1]).value for j in range(columns)] for i in range(rows)]
        assert got == array_.tolist()
      release(b)
  file = io.BytesIO()
  file.write(memoryview(t.T).tobytes())
  assert file.getvalue() == a.T.tobytes()
  with pytest.raises(AttributeError): memoryview(object.__new__(Tensor))

# ---- lifetimes ----

EXPORTS = {"buffer": memoryview, "array": np.asarray, "dlpack numpy": lambda t: np.from_dlpack(t, copy=False),
           "dlpack torch": lambda t: torch.from_dlpack(t, copy=False)}

@pytest.mark.parametrize("name", EXPORTS)
def test_exports_outlive_the_tensor(name):
  """What is shared is neither freed, used again nor written to, whatever becomes of the Tensor; then it is freed."""
  before = live()
  t = Tensor(np.arange(3000, dtype=np.float32)) * 2
  e = EXPORTS[name](t)
  kept = live()[2]
  assert kept - before[2] >= 12000
  u = t + 1
  t += 5
  t.assign(Tensor(np.zeros(3000, np.float32)))
  t[3] = 7
  with Tensor.train(): del t
  for _ in range(20): (Tensor(np.ones(3000, np.float32)) * 3).realize()
  _engine.trim()
  same(np.asarray(e), np.arange(3000) * 2)
  same(u, np.arange(3000) * 2 + 1)
  del u
  part = e[5:9]
  del e
  for _ in range(20): (Tensor(np.ones(3000, np.float32)) * 3).realize()
  same(np.asarray(part), np.arange(5, 9) * 2)
  del part
  assert live() == before

def test_results_that_share_a_buffer():
  """Bitcasts have their source's buffer."""
  t = Tensor(np.float32([1, 2]))
  i = t.bitcast(dtypes.int32).realize()
  a, b = np.asarray(t), np.asarray(i)
  del t, i
  gc.collect()
  assert a.tolist() == [1, 2] and b.view(np.float32).tolist() == [1, 2]

# ---- DLPack: out ----

@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (5,), (2, 3), (1, 4, 1)], ids=str)
def test_dlpack_to_torch_and_numpy(dtype, shape):
  t, a = make(dtype, shape)
  for share in (None, True, False):
    x = torch.from_dlpack(t) if share is None else torch.from_dlpack(t, copy=share)
    assert x.dtype == TORCH[dtype] and tuple(x.shape) == shape and x.is_contiguous()
    same(x.float() if dtype == dtypes.bfloat16 else x, a)
    if share is not False: x.fill_(1)  # its own
    same(t, a)
    if dtype.np:
      y = np.from_dlpack(t, copy=share)
      same(y, a, a.dtype)
      assert y.flags.writeable == (share is not False)
      if share is not False: y[...] = 1
      elif t.numel(): assert address(y) == x.data_ptr() == address(np.asarray(t))
  same(t, a)

@pytest.mark.parametrize("name", VIEWS)
def test_dlpack_of_views(name):
  t, a = make(dtypes.float32, (4, 6))
  v = VIEWS[name][0](t)
  for share in (None, False):
    x = torch.from_dlpack(v, copy=share)
    same(x, v.numpy())
    if share is None:
      assert x.is_contiguous()
      x.add_(1)
      same(t, a)

def test_dlpack_of_what_is_not_computed():
  before = live()
  x = Tensor.rand(100, requires_grad=True)
  y = torch.from_dlpack(x * 2, copy=False)
  same(y, (x.detach() * 2).numpy())
  assert torch.from_dlpack(Tensor.ones(2, 2), copy=False).tolist() == [[1, 1], [1, 1]]
  del x, y
  assert live() == before

def name_of(capsule): return repr(capsule).split('"')[1]

def test_dlpack_arguments():
  t, a = make(dtypes.float32)
  assert t.__dlpack_device__() == (1, 0)
  for version, name in ((None, "dltensor"), ((0, 8), "dltensor"), ((1, 0), "dltensor_versioned"), ((7, 3), "dltensor_versioned")):
    assert name_of(t.__dlpack__(max_version=version)) == name_of(t.__dlpack__(max_version=version, copy=True, dl_device=(1, 0))) == name
  for bad in ({"stream": 1}, {"dl_device": (2, 0)}, {"dl_device": (1, 1)}, {"copy": False}, {"copy": False, "max_version": (0, 9)}):
    with pytest.raises(BufferError): t.__dlpack__(**bad)
  for bad in ({"max_version": 1}, {"max_version": (1,)}, {"max_version": ("a", 0)}, {"dl_device": "cpu"}, {"dl_device": (1, None)}, {"other": 1}):
    with pytest.raises(TypeError): t.__dlpack__(**bad)
  with pytest.raises(TypeError): t.__dlpack__(None)
  for flags, asked in ((1, False), (2, True), (2, None)):
    capsule = t.__dlpack__(max_version=(1, 0), copy=asked)
    m = look(capsule)
    assert m.flags == flags and (m.major, m.minor) == (1, 0) and m.tensor.ndim == 2 and m.tensor.strides[:2] == [3, 1] and m.tensor.device_type == 1

# ---- DLPack: capsules made by hand ----

c_int, c_long, c_pointer = ctypes.c_int32, ctypes.c_int64, ctypes.c_void_p
DELETER = ctypes.CFUNCTYPE(None, c_pointer)
class DLTensor(ctypes.Structure):
  _fields_ = [("data", c_pointer), ("device_type", c_int), ("device_id", c_int), ("ndim", c_int), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8),
              ("lanes", ctypes.c_uint16), ("shape", ctypes.POINTER(c_long)), ("strides", ctypes.POINTER(c_long)), ("byte_offset", ctypes.c_uint64)]
class Old(ctypes.Structure): _fields_ = [("tensor", DLTensor), ("manager", c_pointer), ("deleter", c_pointer)]
class Versioned(ctypes.Structure):
  _fields_ = [("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("manager", c_pointer), ("deleter", c_pointer), ("flags", ctypes.c_uint64),
              ("tensor", DLTensor)]

new_capsule, get_pointer = ctypes.pythonapi.PyCapsule_New, ctypes.pythonapi.PyCapsule_GetPointer
new_capsule.restype, new_capsule.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)

def look(capsule):
  """The structure in a capsule."""
  name = name_of(capsule)
  return (Versioned if name.endswith("_versioned") else Old).from_address(get_pointer(capsule, name.encode()))

class Producer:
  """An ndarray offered by DLPack; `deleted` counts. Changes of the offer are given by name."""
  def __init__(self, a, versioned=True, strides=True, **changes):
    self.a, self.deleted, self.device = a, 0, changes.get("device_type", 1)
    self.shape = (ctypes.c_int64 * max(1, a.ndim))(*a.shape)
    self.strides = (ctypes.c_int64 * max(1, a.ndim))(*(s // a.itemsize for s in a.strides))
    kind = {"i": 0, "u": 1, "f": 2, "b": 6, "c": 5}[a.dtype.kind]
    tensor = DLTensor(a.ctypes.data, 1, 0, a.ndim, kind, 8 * a.itemsize, 1, self.shape, self.strides if strides else None, 0)
    self.callback = DELETER(self.delete)
    deleter = ctypes.cast(self.callback, ctypes.c_void_p)
    self.managed = Versioned(1, 0, None, deleter, 0, tensor) if versioned else Old(tensor, None, deleter)
    self.name = b"dltensor_versioned" if versioned else b"dltensor"
    for name, value in changes.items():
      if name == "size": self.shape[0] = value
      elif name == "stride": self.strides[0] = value
      else: setattr(self.managed.tensor if hasattr(DLTensor, name) else self.managed, name, value)
  def delete(self, pointer):
    assert pointer == ctypes.addressof(self.managed)
    self.deleted += 1
  def capsule(self): return new_capsule(ctypes.addressof(self.managed), self.name, None)
  def __dlpack__(self, *, stream=None, max_version=None, copy=None): return self.capsule()
  def __dlpack_device__(self): return self.device, 0

@pytest.mark.parametrize("versioned", [False, True])
@pytest.mark.parametrize("share", [False, True])
def test_deleters_are_called_once(versioned, share):
  before = live()
  a = np.arange(6, dtype=np.float32).reshape(2, 3)
  p = Producer(a, versioned)
  t = Tensor.from_dlpack(p, copy=False if share else None)
  assert p.deleted == (not share)
  u = (t + 1).T
  a[0, 0] = 50
  assert t.tolist()[0][0] == (50 if share else 0)
  same(u, a.T + 1 if share else (np.arange(6) + 1).reshape(2, 3).T)
  b = np.asarray(t)
  assert (address(b) == address(a)) == share
  del t, u
  assert p.deleted == (not share)
  del b
  assert p.deleted == 1
  for x in (p.capsule(), p.capsule()): Tensor.from_dlpack(x)
  assert p.deleted == 3
  del x
  assert live() == before

def test_consumed_and_foreign_capsules():
  p = Producer(np.ones(3))
  c = p.capsule()
  LazyBuffer.from_dlpack(c)
  assert name_of(c) == "used_dltensor_versioned" and p.deleted == 1
  with pytest.raises(BufferError, match="used already"): Tensor.from_dlpack(c)
  with pytest.raises(BufferError, match="not DLPack's"): Tensor.from_dlpack(new_capsule(ctypes.addressof(p.managed), b"datetime", None))
  with pytest.raises(BufferError, match="not DLPack's"): Tensor.from_dlpack(new_capsule(ctypes.addressof(p.managed), None, None))
  for bad in (None, 3, "a", object(), [1.], b"12"):
    with pytest.raises(TypeError): Tensor.from_dlpack(bad)
  t = Tensor([1., 2.])
  c = t.__dlpack__()
  assert np.from_dlpack(type("Once", (), {"__dlpack__": lambda s, **k: c, "__dlpack_device__": lambda s: (1, 0)})()).tolist() == [1, 2]
  with pytest.raises(BufferError): Tensor.from_dlpack(c)
  assert p.deleted == 1

def test_dropped_capsules():
  """One that nobody takes lets go of the memory."""
  before = live()
  t = Tensor(np.ones(1000)) + 1
  for version in (None, (1, 0)):
    for share in (True, False) if version else (True,):
      c = t.__dlpack__(max_version=version, copy=share)
      assert live() != before
      del c
  same(t, np.full(1000, 2))
  del t
  assert live() == before

BAD_OFFERS = [({"lanes": 4}, "lanes"), ({"bits": 128}, "dtype"), ({"code": 5}, "dtype"), ({"bits": 4}, "dtype"), ({"device_type": 2}, "device"),
              ({"ndim": 40}, "dimensions"), ({"ndim": -1}, "dimensions"), ({"byte_offset": 2}, "aligned"), ({"major": 2}, "version"),
              ({"data": None}, "address 0 is not aligned")]

@pytest.mark.parametrize("changes, message", BAD_OFFERS, ids=str)
def test_offers_that_are_refused(changes, message):
  """They are left to their capsule, which lets go of them."""
  p = Producer(np.ones((2, 3), np.float32), **changes)
  p.device = 1
  for share in (None, False):
    c = p.capsule()
    with pytest.raises(BufferError, match=message): Tensor.from_dlpack(c, copy=share)
    assert name_of(c) == "dltensor_versioned" and p.deleted == 0

def test_offers_of_sizes_that_do_not_exist():
  for changes in ({"size": -1}, {"size": 2**62}, {"size": 2**62, "strides": None}, {"stride": 2**62, "size": 4}, {"stride": -2**62, "size": 4},
                  {"stride": -2**61, "size": 3},
                  {"size": 2**60, "stride": 1}):
    p = Producer(np.ones((2, 3), np.float32), **changes)
    with pytest.raises((ValueError, MemoryError)): Tensor.from_dlpack(p)
    assert p.deleted <= 1

def test_other_devices():
  class Elsewhere(Producer):
    def __dlpack_device__(self): return 2, 1
  for f in (Tensor, Tensor.from_dlpack):
    with pytest.raises(BufferError, match=r"device \(2, 1\)"): f(Elsewhere(np.ones(2)))
  with pytest.raises((BufferError, RuntimeError, ValueError)): Tensor(torch.ones(2, device="meta"))

def test_copies_made_for_us_are_kept():
  """What the producer marks as the consumer's alone is not copied again."""
  a = np.arange(6, dtype=np.float32)
  p = Producer(a, flags=2)
  t = Tensor.from_dlpack(p)
  assert address(np.asarray(t)) == address(a) and not p.deleted
  del t
  assert p.deleted == 1

@pytest.mark.parametrize("share", [None, True, False])
def test_strides(share):
  a = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
  for v in (a, a.T, a[::-1, ::2, ::-3], a[1], a[:, 1:3], a[1, 2, 3, ...], a[:, :0], np.broadcast_to(a[0], (6, 4, 5)), a[:1, :, :1],
            a.reshape(5, 12)[::2, ::5], np.lib.stride_tricks.sliding_window_view(a[0, 0], 3)):
    for x in (v, Producer(v), Producer(v, False)):
      t = Tensor.from_dlpack(x, copy=share)
      same(t, v, np.int16)
      same(t + t.flip(0) if v.ndim else t + t, v + v[::-1] if v.ndim else v + v)
  same(Tensor.from_dlpack(Producer(a, False, strides=False)), a)
  same(Tensor.from_dlpack(Producer(a, byte_offset=2, size=2)), a.ravel()[1:41].reshape(2, 4, 5))

@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_from_torch(dtype):
  x = (torch.arange(24).reshape(2, 3, 4) % 5).to(TORCH[dtype])
  for v in (x, x.permute(2, 0, 1), x[:, 1:, ::2], x[0, 0, 0], x[:0], x[0, 0].expand(3, 4)):
    expected = (v.float() if dtype == dtypes.bfloat16 else v).numpy().copy()
    for t in (Tensor(v), teenygrad.from_dlpack(v), Tensor.from_dlpack(v, copy=True)):
      assert t.dtype == dtype
      same(t, expected)
    if dtype == dtypes.bool:
      with pytest.raises(BufferError): Tensor.from_dlpack(v, copy=False)
    else:
      t = Tensor.from_dlpack(v, copy=False)
      same(t, expected)
      assert t.dtype == dtype and (not v.numel() or torch.from_dlpack(t, copy=False).data_ptr() == v.data_ptr())
  t = Tensor(x)
  x.zero_()
  assert t.numpy().any()

def test_bools_are_0_or_1():
  """Whatever bytes the producer has."""
  a = np.array([0, 1, 2, 255], np.uint8).view(bool)
  t = Tensor.from_dlpack(Producer(a))
  assert t.cast(dtypes.int32).tolist() == [0, 1, 1, 1] and bytes(t) == b"\0\1\1\1"

def test_arrays_of_any_kind():
  a = np.arange(6, dtype=np.float32)
  frozen = a.copy()
  frozen.flags.writeable = False
  same(Tensor.from_dlpack(frozen), a)
  same(Tensor.from_dlpack(frozen, copy=False), a)
  misaligned = np.frombuffer(b"x" + a.tobytes(), np.uint8)[1:].view(np.float32)
  same(Tensor(misaligned), a)
  with pytest.raises(BufferError, match="aligned"): Tensor.from_dlpack(misaligned)
  same(Tensor(a.astype(">f4")), a, np.float32)
  with pytest.raises(BufferError): Tensor.from_dlpack(a.astype(">f4"))
  with pytest.raises(BufferError): Tensor.from_dlpack(a.astype(complex))
  with pytest.raises(BufferError): Tensor(torch.ones(2, requires_grad=True))
  with pytest.raises(ValueError): Tensor.from_dlpack(a.reshape((1,) * 32)[None, None])

def test_tensors_of_other_arrays():
  class Arraylike:
    def __array__(self, dtype=None, copy=None): return np.arange(3, dtype=np.int8)
  interface = np.arange(3, dtype=np.int16)
  class Interface: __array_interface__ = interface.__array_interface__
  transposed, backwards = memoryview(np.arange(6).reshape(2, 3).T), memoryview(np.arange(4, dtype=">i2"))[::-1]
  for x, expected, dtype in ((array.array("f", [1, 2]), [1, 2], np.float32), (memoryview(b"12"), [49, 50], np.uint8),
                             (Arraylike(), [0, 1, 2], np.int8), (Interface(), [0, 1, 2], np.int16), ((ctypes.c_double * 2)(3, 4), [3, 4], np.float64),
                             (transposed, [[0, 3], [1, 4], [2, 5]], np.int64), (torch.tensor(2.5), 2.5, np.float32),
                             (backwards, [3, 2, 1, 0], np.int16)):
    same(Tensor(x), expected, dtype)
    same(Tensor(x, dtype=dtypes.float64), expected, np.float64)
    same(Tensor(x) + x, np.array(expected) * 2)
  assert Tensor(torch.ones(2), requires_grad=True).requires_grad
  with pytest.raises(KeyError): Tensor(memoryview(np.zeros(2, complex)))
  for bad in (bytearray(2), Tensor, torch.Tensor, {1: 2}):
    with pytest.raises(RuntimeError): Tensor(bad)
  t = Tensor([1., 2.])
  assert Tensor.from_dlpack(t) is not t
  same(Tensor.from_dlpack(t, copy=True), [1, 2])

def test_torch_makes_tensors_of_ours():
  t, a = make(dtypes.float64)
  for f in (torch.tensor, torch.as_tensor, torch.from_dlpack):
    x = f(t)
    assert x.dtype == torch.float64
    same(x, a)
    x.add_(1)
    same(t, a)
  with pytest.raises((RuntimeError, ValueError)): torch.asarray(t)  # it would take the bytes for a float32 vector

def test_producers_that_raise():
  class Bad:
    def __init__(self, error): self.error = error
    def __dlpack_device__(self): return 1, 0
    def __dlpack__(self, **kwargs): raise self.error
  for e in (ZeroDivisionError, BufferError, TypeError, KeyboardInterrupt):
    with pytest.raises(e): Tensor(Bad(e))
  class Strange(Bad):
    def __dlpack__(self, **kwargs): return 7
  with pytest.raises(TypeError): Tensor.from_dlpack(Strange(None))

# ---- JAX ----

def test_jax():
  jax = pytest.importorskip("jax")
  jnp = jax.numpy
  t, a = make(dtypes.float32)
  x = jnp.asarray(a)
  for y in (jnp.asarray(t), jnp.array(t), jnp.from_dlpack(t), jnp.asarray(t.T).T, jnp.from_dlpack(t.T).T): same(np.asarray(y), a, np.float32)
  for y in (Tensor(x), Tensor.from_dlpack(x), Tensor.from_dlpack(x, copy=False), Tensor.from_dlpack(x.T).T): same(y, a, np.float32)
  for y in (t + x, x + t): same(y, a + a)
  same(x @ t.T, a @ a.T)
  half = Tensor(x.astype(jnp.bfloat16))
  assert half.dtype == dtypes.bfloat16 and jnp.from_dlpack(half).dtype == jnp.bfloat16
  same(half, a)
  numpy_half = Tensor(np.asarray(x.astype(jnp.bfloat16)))  # an array of ml_dtypes
  assert numpy_half.dtype == dtypes.bfloat16
  same(numpy_half, a)
  same(Tensor(x > 2), a > 2, bool)

# ---- threads, the end, leaks ----

def test_deleters_in_other_threads_without_the_gil():
  """ctypes lets go of the GIL during a call."""
  before = live()
  t = (Tensor(np.ones(10_000, np.float32)) * 2).realize()
  capsules = [t.__dlpack__(max_version=(1, 0), copy=share) for share in (False, True) * 50]
  pointers = []
  for c in capsules:
    m = look(c)
    pointers.append((m.deleter, ctypes.addressof(m)))
    assert not ctypes.pythonapi.PyCapsule_SetName(ctypes.py_object(c), b"used_dltensor_versioned")
  def delete(mine):
    for deleter, managed in mine: DELETER(deleter)(managed)
  threads = [threading.Thread(target=delete, args=(pointers[i::4],)) for i in range(4)]
  for x in threads: x.start()
  for _ in range(30): (t + 1).realize()
  for x in threads: x.join()
  same(t, np.full(10_000, 2))
  del t
  assert live() == before

def test_deleters_without_the_gil_beside_another_interpreter():
  """Then PyGILState_Check no longer tells."""
  code = ("import ctypes, gc, numpy as np; from teenygrad import Tensor\n"
          "try: import _interpreters as interpreters\n"
          "except ImportError: import _xxsubinterpreters as interpreters\n"
          "other = interpreters.create()\n"
          "pointer = ctypes.pythonapi.PyCapsule_GetPointer\n"
          "pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)\n"
          "c = Tensor.from_dlpack(np.arange(5.), copy=False).lazydata.__dlpack__(max_version=(1, 0), copy=False)\n"
          "gc.collect()\n"
          "managed = pointer(c, b'dltensor_versioned')\n"
          "ctypes.pythonapi.PyCapsule_SetName(ctypes.py_object(c), b'used_dltensor_versioned')\n"
          "ctypes.CFUNCTYPE(None, ctypes.c_void_p)(ctypes.c_void_p.from_address(managed + 16).value)(managed)\n"
          "del c; print('let go')")
  r = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
  assert (r.returncode, r.stdout) == (0, "let go\n"), r.stderr

def test_code_that_runs_when_memory_is_released():
  """The end of another library's array may run Python code that uses tensors."""
  before, seen = live(), []
  def work():
    a = np.arange(1000, dtype=np.float32)
    weakref.finalize(a, lambda: seen.append((Tensor([1., 2.]) * 3).tolist()))
    t = Tensor.from_dlpack(a, copy=False)
    del a
    u = ((t + 1) * 2).sum()
    del t
    assert u.item() == 2 * (499500 + 1000)
    v = [Tensor.from_dlpack(np.ones(10), copy=False) + i for i in range(50)]
    return v[3].tolist()
  for i in range(10):
    work()
    gc.collect()
    assert seen == [[3, 6]] * (i + 1)
  assert live() == before

def test_the_end_of_the_interpreter():
  """With memory lent both ways, in globals, cycles and other libraries."""
  code = ("import numpy as np, sys, ctypes, threading; from teenygrad import Tensor, from_dlpack; import torch\n"
          "a = np.arange(1000.); t = from_dlpack(a, copy=False); u = t * 2; b = np.asarray(u); m = memoryview(u)\n"
          "x = torch.from_dlpack(u, copy=False); y = torch.from_dlpack(u); v = from_dlpack(x, copy=False)\n"
          "c = u.__dlpack__(); d = v.__dlpack__(max_version=(1, 0), copy=False)\n"
          "cycle = [a, t, u, b, m, x, y, v, c, d]; cycle.append(cycle); sys.keep = cycle; torch.keep = x; v.lazydata.me = v\n"
          "class Late:\n  def __init__(self, t): self.t = t\n  def __del__(self): assert np.asarray(self.t + 1)[3] == 7, self.t\n"
          "late = Late(u); sys.late = Late(v)\n")
  done = subprocess.run([sys.executable, "-X", "dev", "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=300)
  assert done.returncode == 0 and not done.stderr, done.stderr

def exchange():
  """Every way in and out, the failing ones, too."""
  a = np.arange(12, dtype=np.float32).reshape(3, 4)
  t = Tensor(a) * 2
  for v in (t, t.T, t.flip(1), t[1:], t.pad(((1, 0), (0, 0))), Tensor.ones(2, 3), t.cast(dtypes.bool)):
    memoryview(v).tolist()
    np.asarray(v)
    torch.from_dlpack(v)
    try: np.from_dlpack(v, copy=False)
    except BufferError: pass
    v.__dlpack__()
    v.__dlpack__(max_version=(1, 0), copy=False)
  for x in (a, a.T, a > 1, torch.tensor(a), array.array("i", [1, 2])): Tensor(x)
  for p in (Producer(a), Producer(a.T, False), Producer(a > 1)):
    for share in (None, False):
      try: (Tensor.from_dlpack(p, copy=share) + 1).numpy()
      except BufferError: pass
  for bad in (lambda: t.__dlpack__(stream=1), lambda: t.__dlpack__(dl_device=(2, 0)), lambda: t.__dlpack__(max_version=3),
              lambda: Tensor.from_dlpack(3), lambda: np.frombuffer(t), lambda: Tensor.from_dlpack(Producer(a, lanes=2)),
              lambda: Tensor.from_dlpack(Producer(a, size=-1)),
              lambda: memoryview(t.cast(dtypes.bfloat16))):
    with pytest.raises((BufferError, TypeError, ValueError)): bad()
  pickle.loads(pickle.dumps(t, 5))
  t._repr_html_()

def test_nothing_grows():
  watched = [None, True, False, LazyBuffer, Tensor, dtypes.float32]
  for _ in range(100): exchange()
  gc.collect()
  before, references, blocks = live(), [sys.getrefcount(w) for w in watched], sys.getallocatedblocks()
  for _ in range(400): exchange()
  assert live() == before
  assert all(abs(sys.getrefcount(w) - r) < 100 for w, r in zip(watched, references))
  assert abs(sys.getallocatedblocks() - blocks) < 300  # caches of ctypes still grow a little; a leak would make 400

OUT = [lambda t: memoryview(t).tolist(), lambda t: memoryview(t.pad(((1, 0), (0, 0)))).tolist(), lambda t: np.asarray(t.T).tolist(),
       lambda t: t.__dlpack__() and t.tolist(), lambda t: torch.from_dlpack(t.flip(0)).tolist(),
       lambda t: np.from_dlpack(t, copy=False).tolist(), lambda t: Tensor.from_dlpack(t.__dlpack__()).tolist(),
       lambda t: memoryview(Tensor.ones(2, 2)).tolist()]

@pytest.mark.parametrize("forever", [False, True])
@pytest.mark.parametrize("f", OUT, ids=range(len(OUT)))
def test_every_allocation_may_fail_on_the_way_out(f, forever):
  t = (Tensor(np.arange(6, dtype=np.float32).reshape(2, 3)) + 1).realize()
  want = f(t)
  before, n, failed = live(), 0, True
  while failed:
    n, failed = n + 1, False
    _engine.fail_at(n, forever)
    try: assert f(t) == want
    except MemoryError: failed = True
    finally: _engine.fail_at(0)
    assert live(False) == before, n
  assert n > 1
  same(t, np.arange(6).reshape(2, 3) + 1)

@pytest.mark.parametrize("forever", [False, True])
@pytest.mark.parametrize("share", [None, False])
@pytest.mark.parametrize("kind", ["plain", "strided", "bool", "old"])
def test_every_allocation_may_fail_on_the_way_in(kind, share, forever):
  """The deleter is called once for each capsule that was used, whatever happens."""
  a = np.arange(24, dtype=np.float32).reshape(4, 6)
  a = {"strided": a[::2, ::-1], "bool": a > 3}.get(kind, a)
  if kind == "bool" and share is False: return
  p = Producer(a, kind != "old")
  before, n, failed = live(), 0, True
  while failed:
    n, failed, c, deleted = n + 1, False, p.capsule(), p.deleted
    _engine.fail_at(n, forever)
    try: t = Tensor.from_dlpack(c, copy=share)
    except MemoryError: failed = True
    finally: _engine.fail_at(0)
    if not failed: same(t, a)
    t = None
    assert p.deleted - deleted == name_of(c).startswith("used"), n
    assert live(False) == before, n
  assert n > 2

# ---- the package ----

def test_version_and_main():
  """python -m teenygrad tells what is installed; the version stands in one place."""
  done = subprocess.run([sys.executable, "-m", "teenygrad"], capture_output=True, text=True, timeout=300, check=True)
  rows = {line[:16].strip(): line[16:] for line in done.stdout.splitlines()}
  assert rows["teenygrad"] == teenygrad.__version__ and rows["NumPy"] == np.__version__ and rows["Python"] == sys.version.split()[0]
  assert rows["instruction set"] in ("base", "avx2", "avx512") and int(rows["threads"]) >= 1
  assert any(word[0].isdigit() for word in rows["compiled by"].split())
  for name, unit in (("memory", "GB/s"), ("float32", "GFLOP/s"), ("float64", "GFLOP/s")):
    number, found = rows[name].split()
    assert float(number) > 0 and found == unit

def test_a_bitcast_of_shared_memory_is_aligned():
  """Another library's memory is aligned to its own elements."""
  base = torch.arange(1, 34, dtype=torch.uint8)
  for start in range(1, 9):
    shared = LazyBuffer.from_dlpack(base[start:start+24].__dlpack__(), True)
    for wide in (shared.cast(dtypes.float64, True), shared.cast(dtypes.int8, True).cast(dtypes.float64, True)):
      got = np.asarray(memoryview(wide.contiguous() if wide.realized is None else wide))
      assert got.ctypes.data % 8 == 0
      same(got, base.numpy()[start:start+24].copy().view(np.float64))
