"""Products, convolutions and pools of small whole numbers, which have one right result whatever the order of their sums: NumPy's in int64,
met with no tolerance and rounded once by the 16-bit floats. Sizes at the edges of tiles, blocks and chunks (csrc/exec), views of every kind,
all instruction sets, 1 to 8 threads. With an infinity or NaN somewhere the reference is the same in float64: what a mask or a slice hides must
not be seen."""
import itertools

import numpy as np
import pytest

from teenygrad import Tensor, _engine
from teenygrad.helpers import dtypes

from switches import ISAS, switches  # noqa: F401

FLOATS, INTS = ["float32", "float64", "float16", "bfloat16"], ["int8", "uint8", "int16", "int32", "int64"]

def settings(names=FLOATS):
  """Dtypes, each time with another instruction set and number of threads; all combinations in turn."""
  every = list(itertools.product(names, ISAS, range(1, 9)))
  order = np.random.default_rng(len(every)).permutation(len(every))
  for name, isa, threads in itertools.cycle(every[i] for i in order):
    _engine.set_isa(isa)
    _engine.set_threads(threads)
    yield name

# ---- numbers ----

def whole(rng, shape, most=1, special=None):
  """Whole numbers in int64, or with a special one among them in float64."""
  a = rng.integers(-most, most + 1, shape)
  if special is None or not a.size: return a
  a = a.astype(np.float64)
  a.flat[rng.integers(a.size)] = special
  return a

def tensor(a, name, requires_grad=None):
  x = Tensor(a.astype(np.float32)).cast(dtypes.bfloat16) if name == "bfloat16" else Tensor(a.astype(name))
  return Tensor(x.lazydata, requires_grad=requires_grad)

def rounded(a, name):
  """a in the dtype, bfloat16 as float32: to nearest, ties to even."""
  if name != "bfloat16": return a.astype(name)
  bits = a.astype(np.float32).view(np.uint32).astype(np.uint64)
  return np.where(np.isnan(a), np.float32(np.nan), ((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000).astype(np.uint32).view(np.float32))

def equal(got, want, name, what):
  assert got.shape == want.shape and got.dtype == getattr(dtypes, name), (got.shape, want.shape, got.dtype, what)
  np.testing.assert_array_equal((got.float() if name == "bfloat16" else got).numpy(), rounded(want, name), err_msg=f"{what} {name} {_engine.info()}")

def gradients(out, upstream, name):
  (out * tensor(upstream, name)).sum().backward()

# Views are followed by what they make of the positions of the elements, -1 where an element is a zero of the view.

def positions(shape): return np.arange(np.prod(shape, dtype=int)).reshape(shape)
def seen(a, at): return np.append(a, 0)[at]
def spread(values, at, shape):
  """The adjoint of `seen`."""
  out = np.zeros(np.prod(shape, dtype=int) + 1, values.dtype)
  np.add.at(out, at, values)
  return out[:-1].reshape(shape)

# ---- matrix products ----

def product(a, b):
  """In float64, by BLAS: all sums are whole numbers that it holds, so that this is int64's result."""
  return (a.astype(np.float64) @ b.astype(np.float64)).astype(np.result_type(a, b))

def check_product(a, b, name, *whats):
  equal(tensor(a, name) @ tensor(b, name), product(a, b), name, (a.shape, b.shape, *whats))

def test_products_of_all_small_sizes():
  """All in float32 with the best instruction set, cut from two matrices; a part of them in each other setting."""
  rng, sizes, cover = np.random.default_rng(1), list(itertools.product(range(18), repeat=3)), settings(FLOATS + INTS)
  a, b = (rng.integers(0, 3, (20, 20)) for _ in range(2))
  def check(sizes, name):
    x, y = tensor(a, name), tensor(b, name)
    outs = [x[1:m+1, 2:k+2] @ y[1:k+1, 2:n+2] for m, n, k in sizes]
    Tensor.corealize(outs)
    for (m, n, k), out in zip(sizes, outs): equal(out, a[1:m+1, 2:k+2] @ b[1:k+1, 2:n+2], name, (m, n, k))
  check(sizes, "float32")
  rng.shuffle(sizes)
  for part in range(27): check(sizes[part::27], next(cover))

TILES = sorted({n + d for n in (4, 8, 12, 16, 24, 32, 48, 64, 96) for d in (-1, 0, 1)})  # multiples of a tile's rows and of 1 to 3 vectors
BLOCKS_K = [n + d for n in (256, 512, 768, 1024, 2048, 3072) for d in (-1, 0, 1)]

def test_products_at_edges_of_tiles():
  """Each number of rows with each of columns, sums within a block or a little longer."""
  rng, cover = np.random.default_rng(2), settings()
  for m, n in itertools.product(TILES, TILES):
    k = int(rng.choice([*TILES, 255, 256, 257]))
    check_product(whole(rng, (m, k)), whole(rng, (k, n)), next(cover))

@pytest.mark.threads
@pytest.mark.parametrize("isa", ISAS)
def test_products_at_edges_of_blocks(isa):
  """Of k, and of rows and columns of what is packed at once; one side is small so that the other reaches its limit."""
  rng = np.random.default_rng(3)
  sizes = [(*rng.choice(TILES[:12], 2).tolist(), k) for k in BLOCKS_K]
  sizes += [(m, int(rng.choice(TILES)), int(rng.choice([5, 256, 300]))) for e in (256, 512, 1024) for m in (e-1, e, e+1)]
  sizes += [(int(rng.choice([3, 8, 33, 128])), n, int(rng.choice([5, 64, 257]))) for e in (512, 2048, 4096) for n in (e-1, e, e+1)]
  sizes += [(513, 2049, 17), (257, 1025, 257), (1, 2049, 513), (2049, 1, 257), (1, 1, 4097), (2, 3, 65537), (511, 513, 2049), (63, 65, 8193)]
  for i, (m, n, k) in enumerate(sizes):
    _engine.set_isa(isa)
    _engine.set_threads(i % 8 + 1)
    check_product(whole(rng, (m, k)), whole(rng, (k, n)), FLOATS[i % 4] if m * n * k < 1e7 else FLOATS[i % 2])

def test_products_of_batches():
  """Batch axes that broadcast, against each other and against none."""
  rng, cover = np.random.default_rng(4), settings()
  for left, right in itertools.product([(), (1,), (3,), (2, 1), (2, 3), (1, 1, 3), (5, 2, 1)], repeat=2):
    try: np.broadcast_shapes(left, right)
    except ValueError: continue
    m, n, k = rng.choice([1, 2, 7, 17, 33], 3).tolist()
    a, b, name = whole(rng, (*left, m, k)), whole(rng, (*right, k, n)), next(cover)
    x, y = (tensor(v, name, True) for v in (a, b))
    out, want = x @ y, a @ b
    equal(out, want, name, (a.shape, b.shape))
    g = whole(rng, want.shape)
    gradients(out, g, name)
    for leaf, grad, v in ((x, g @ b.swapaxes(-1, -2), a), (y, a.swapaxes(-1, -2) @ g, b)):
      lead = grad.shape[:-2]
      axes = tuple(i for i, size in enumerate(lead) if size != ((1,)*(len(lead) - v.ndim + 2) + v.shape[:-2])[i])
      equal(leaf.grad, grad.sum(axes, keepdims=True).reshape(v.shape), name, (a.shape, b.shape, "gradient"))

def halved(r, c): return np.arange(r*c).reshape(r, c) % 3 > 0  # a mask without a pattern
def pads(x, value): return np.pad(x, ((1, 2), (2, 1)), constant_values=value)

# What an operand of shape (r, c) may be: the shape it is stored in, and the view of it, of a Tensor and, if it is written otherwise, of positions.
VIEWS = {
  "plain": (lambda r, c: (r, c), lambda x, r, c: x),
  "transposed": (lambda r, c: (c, r), lambda x, r, c: x.T),
  "every other row": (lambda r, c: (2*r, c), lambda x, r, c: x[::2]),
  "every third column": (lambda r, c: (r, 3*c), lambda x, r, c: x[:, 1::3]),
  "rows backwards": (lambda r, c: (r, c), lambda x, r, c: x[::-1]),
  "backwards": (lambda r, c: (r, c), lambda x, r, c: x[::-1, ::-1]),
  "every other column backwards, transposed": (lambda r, c: (c, 2*r), lambda x, r, c: x[:, ::-2].T),
  "slice": (lambda r, c: (r+3, c+2), lambda x, r, c: x[2:-1, 1:-1]),
  "slice of columns, transposed": (lambda r, c: (c, r+5), lambda x, r, c: x[:, 3:-2].T),
  "one row": (lambda r, c: (1, c), lambda x, r, c: x.expand(r, c), lambda x, r, c: np.broadcast_to(x, (r, c))),
  "one column": (lambda r, c: (r, 1), lambda x, r, c: x.expand(r, c), lambda x, r, c: np.broadcast_to(x, (r, c))),
  "padded": (lambda r, c: (r-3, c-3), lambda x, r, c: x.pad(((1, 2), (2, 1))), lambda x, r, c: pads(x, -1)),
  "padded, backwards in steps": (lambda r, c: (r-3, 2*c-3), lambda x, r, c: x.pad(((1, 2), (2, 1)))[:, ::-2], lambda x, r, c: pads(x, -1)[:, ::-2]),
  "lower triangle": (lambda r, c: (r, c), lambda x, r, c: x.tril(), lambda x, r, c: np.where(np.tri(r, c, dtype=bool), x, -1)),
  "upper triangle, transposed": (lambda r, c: (c, r), lambda x, r, c: x.triu(-2).T, lambda x, r, c: np.where(~np.tri(c, r, -3, dtype=bool), x, -1).T),
  "masked": (lambda r, c: (r, c), lambda x, r, c: Tensor(halved(r, c)).where(x, 0), lambda x, r, c: np.where(halved(r, c), x, -1)),
  "reshaped": (lambda r, c: (r, c), lambda x, r, c: x.T.reshape(r, c)),
  "joined": (lambda r, c: (r, 1, c), lambda x, r, c: Tensor.cat(x[:, 0, :c//2], x[:, 0, c//2:].flip(1), dim=1),
             lambda x, r, c: np.concatenate([x[:, 0, :c//2], x[:, 0, c//2:][:, ::-1]], 1)),
}

def operand(rng, view, r, c, name, most=1, special=None):
  """Leaf, Tensor, array, and where its elements are in the leaf."""
  shape, ours, *theirs = VIEWS[view]
  a = whole(rng, shape(r, c), most, special)
  leaf, at = tensor(a, name, name in FLOATS), (theirs or [ours])[0](positions(a.shape), r, c)
  return leaf, ours(leaf, r, c), seen(a, at), at

@pytest.mark.parametrize("special", [None, np.inf, np.nan])
def test_products_of_views(special):
  """Every view with every other one, and the gradients of what is stored."""
  rng, cover = np.random.default_rng(5), settings()
  for left, right in itertools.product(VIEWS, VIEWS):
    m, n, k = rng.choice([4, 5, 8, 17, 31, 48, 65], 3).tolist()
    name = next(cover)
    x, xs, a, a_at = operand(rng, left, m, k, name, special=special)
    y, ys, b, b_at = operand(rng, right, k, n, name, special=special if rng.random() < .5 else None)
    g, what = whole(rng, (m, n)), (left, right, m, n, k)
    out = xs @ ys
    gradients(out, g, name)
    equal(out, product(a, b), name, what)
    equal(x.grad, spread(product(g, b.T), a_at, x.shape), name, (*what, "left"))
    equal(y.grad, spread(product(a.T, g), b_at, y.shape), name, (*what, "right"))

@pytest.mark.parametrize("name", INTS)
def test_products_of_integers_wrap(name):
  rng, cover = np.random.default_rng(6), settings([name])
  for view in VIEWS:
    m, n, k = rng.choice([4, 9, 17, 33, 300], 3).tolist()
    next(cover)
    _, x, a, _ = operand(rng, view, m, k, name, 100)
    b = whole(rng, (k, n), 100)
    equal(x @ tensor(b, name), a @ b, name, (view, m, n, k))

# ---- convolutions ----

class Windows:
  """Windows over images (n, groups channels, *size): where the elements of each one are, (n, groups, channels, all windows, all of a kernel), and
  what a convolution makes of them."""
  def __init__(self, n, groups, channels, size, kernel, stride, dilation, pads):
    self.shape, axes = (n, groups*channels, *size), tuple(range(2, 2 + len(size)))
    at = np.pad(positions(self.shape), ((0, 0), (0, 0), *pads), constant_values=-1)
    at = np.lib.stride_tricks.sliding_window_view(at, [d*(k-1) + 1 for k, d in zip(kernel, dilation)], axes)
    at = at[(..., *(slice(None, None, s) for s in (*stride, *dilation)))]
    self.out, self.kernel = at.shape[2:2 + len(size)], tuple(kernel)
    self.at = at.reshape(n, groups, channels, np.prod(self.out), np.prod(kernel))
    self.settings = {"groups": groups, "stride": tuple(stride), "dilation": tuple(dilation)}
  def split(self, g): return g.reshape(*self.at.shape[:2], -1, self.at.shape[3])
  def split_kernels(self, w): return w.reshape(self.at.shape[1], -1, self.at.shape[2], self.at.shape[4])
  def sums(self, x, w):
    """The convolution."""
    return np.einsum("ngipk,goik->ngop", seen(x, self.at), self.split_kernels(w)).reshape(len(x), -1, *self.out)
  def overlap(self, g, w):
    """Its gradient of the images."""
    return spread(np.einsum("ngop,goik->ngipk", self.split(g), self.split_kernels(w)), self.at, self.shape)
  def kernels(self, g, x):
    """Its gradient of the kernels."""
    return np.einsum("ngop,ngipk->goik", self.split(g), seen(x, self.at)).reshape(-1, self.at.shape[2], *self.kernel)

def check_convolution(rng, name, n, groups, channels, o, size, kernel, stride, dilation, pads, specials=(None,)*3):
  w = Windows(n, groups, channels, size, kernel, stride, dilation, pads)
  x, k, g = (whole(rng, shape, special=special) for shape, special in zip(
    (w.shape, (groups*o, channels, *kernel), (n, groups*o, *w.out)), specials))
  xs, ks = (tensor(a, name, True) for a in (x, k))
  out = xs.conv2d(ks, padding=[p for pair in reversed(pads) for p in pair], **w.settings)
  gradients(out, g, name)
  what = w.shape, ks.shape, w.settings, pads, specials
  equal(out, w.sums(x, k), name, what)
  equal(xs.grad, w.overlap(g, k), name, (*what, "gradient of the images"))
  equal(ks.grad, w.kernels(g, x), name, (*what, "gradient of the kernels"))

def check_transposed(rng, name, n, groups, channels, o, size, kernel, stride, dilation, padding, more):
  """size: of the input, whose places are the windows over the result."""
  wide = [(i-1)*s - 2*p + d*(k-1) + e + 1 for i, s, p, d, k, e in zip(size, stride, padding, dilation, kernel, more)]
  if min(wide) < 1: return
  w = Windows(n, groups, o, wide, kernel, stride, dilation, [(p, p) for p in padding])
  x, k, g = (whole(rng, shape) for shape in ((n, groups*channels, *size), (groups*channels, o, *kernel), w.shape))
  xs, ks = (tensor(a, name, True) for a in (x, k))
  out = xs.conv_transpose2d(ks, padding=tuple(padding), output_padding=tuple(more), **w.settings)
  gradients(out, g, name)
  what = x.shape, k.shape, w.settings, padding, more
  equal(out, w.overlap(x, k), name, what)
  equal(xs.grad, w.sums(g, k), name, (*what, "gradient of the images"))
  equal(ks.grad, w.kernels(x, g), name, (*what, "gradient of the kernels"))

def channels_and_groups(rng):
  """Images; groups, channels and outputs of a group: depthwise every third time."""
  n, o = int(rng.choice([1, 2, 3, 9])), int(rng.choice([1, 2, 3, 5, 9]))
  return (n, int(rng.choice([2, 3, 7])), 1, min(o, 2)) if rng.random() < .3 else (n, int(rng.choice([1, 1, 2])), int(rng.choice([1, 2, 3, 5])), o)

def any_windows(rng, ndim):
  """Kernel, stride, dilation and pads of 1 to 3 axes."""
  kernel, stride, dilation = (rng.integers(1, most + 1, ndim).tolist() for most in (3 if ndim == 3 else 5, 3, 3))
  return kernel, stride, dilation, [tuple(p) for p in rng.integers(0, 3, (ndim, 2)).tolist()]

def any_size(rng, kernel, dilation, pads, most):
  return [max(1, d*(k-1) + 1 - sum(p) + int(rng.integers(0, most))) for k, d, p in zip(kernel, dilation, pads)]

def test_convolutions_of_all_windows_of_one_axis():
  rng, cover = np.random.default_rng(7), settings()
  for k, s, d, before, after in itertools.product(range(1, 6), range(1, 4), range(1, 4), range(3), range(3)):
    size = any_size(rng, [k], [d], [(before, after)], 40)
    check_convolution(rng, next(cover), *channels_and_groups(rng), size, [k], [s], [d], [(before, after)])

@pytest.mark.parametrize("ndim, count, most", [(2, 200, 14), (3, 60, 6)])
def test_convolutions_of_several_axes(ndim, count, most):
  rng, cover = np.random.default_rng(8), settings()
  for _ in range(count):
    kernel, stride, dilation, pads = any_windows(rng, ndim)
    size = any_size(rng, kernel, dilation, pads, most)
    check_convolution(rng, next(cover), *channels_and_groups(rng), size, kernel, stride, dilation, pads)

@pytest.mark.parametrize("n, groups, channels, o, size, kernel, stride, pad", [
  (2, 1, 16, 17, (31, 33), (3, 3), (1, 1), 1), (1, 1, 3, 4, (151, 203), (3, 3), (1, 1), 1), (9, 1, 2, 3, (1027,), (4,), (1,), 0),
  (8, 1, 1, 2, (34, 34), (3, 3), (1, 1), 0), (8, 1, 3, 9, (32, 31), (2, 2), (1, 1), 1), (17, 1, 5, 7, (8, 8), (3, 3), (1, 1), 1),
  (2, 1, 3, 65, (45, 47), (7, 7), (2, 2), 3), (3, 33, 1, 1, (19, 21), (3, 3), (1, 1), 1), (2, 1, 257, 5, (5, 5), (1, 1), (1, 1), 0),
  (1, 1, 30, 5, (9, 9), (3, 3), (3, 3), 1), (9, 1, 2, 3, (7, 9, 11), (3, 3, 3), (1, 1, 1), 1), (1, 2, 3, 5, (3, 600), (1, 5), (1, 2), 2)])
@pytest.mark.parametrize("isa", ISAS)
def test_convolutions_in_parts(isa, n, groups, channels, o, size, kernel, stride, pad):
  """Images in bands, several at once, sums in chunks; kernels of more than a block of k."""
  rng, names = np.random.default_rng(9), itertools.cycle(FLOATS)
  _engine.set_isa(isa)
  for threads, name in zip((1, 2, 5), names):
    _engine.set_threads(threads)
    check_convolution(rng, name, n, groups, channels, o, size, kernel, stride, [1]*len(size), [(pad, pad)]*len(size))

@pytest.mark.parametrize("n, channels, o, size, kernel, stride", [
  (1, 4, 192, (14, 40), (2, 2), 1), (1, 8, 256, (11, 40), (2, 2), 1), (1, 16, 96, (28, 14), (3, 3), 1), (1, 4, 384, (40, 17), (3, 1), 1)])
@pytest.mark.threads
def test_bits_of_convolutions(n, channels, o, size, kernel, stride):
  """The same on any number of threads. With these shapes images and panels cost about the same; pairs of bfloat16, which only panels are
  multiplied in, take subnormal factors for zeros."""
  x, w = np.full((n, channels, *size), 2.0**-130), np.full((o, channels, *kernel), 2.0**100)
  x, w = tensor(x, "bfloat16").realize(), tensor(w, "bfloat16").realize()
  def at(threads):
    _engine.set_threads(threads)
    return x.conv2d(w, stride=stride).float().numpy()
  want = at(1)
  for threads in (2, 4, 8): np.testing.assert_array_equal(at(threads), want)

def test_convolutions_of_integers():
  rng, cover = np.random.default_rng(10), settings(INTS)
  for _ in range(60):
    kernel, stride, dilation, pads = any_windows(rng, 2)
    n, groups, channels, o = channels_and_groups(rng)
    w = Windows(n, groups, channels, any_size(rng, kernel, dilation, pads, 9), kernel, stride, dilation, pads)
    x, k, name = whole(rng, w.shape, 100), whole(rng, (groups*o, channels, *kernel), 100), next(cover)
    out = tensor(x, name).conv2d(tensor(k, name), padding=[p for pair in reversed(pads) for p in pair], **w.settings)
    equal(out, w.sums(x, k), name, (w.shape, k.shape, w.settings, pads))

@pytest.mark.parametrize("ndim, count, most", [(1, 80, 20), (2, 120, 8), (3, 40, 4)])
def test_transposed_convolutions(ndim, count, most):
  rng, cover = np.random.default_rng(11), settings()
  for _ in range(count):
    kernel, stride, dilation, pads = any_windows(rng, ndim)
    size, more = rng.integers(1, most + 1, ndim).tolist(), [int(rng.integers(s)) for s in stride]
    check_transposed(rng, next(cover), *channels_and_groups(rng), size, kernel, stride, dilation, [p for p, _ in pads], more)

@pytest.mark.parametrize("special", [np.inf, np.nan])
def test_convolutions_with_special_numbers(special):
  """One in the images, the kernels or what comes back, or in two of them: times the zeros of the padding it is NaN, elsewhere in the windows' sums
  it must not be seen."""
  rng, cover = np.random.default_rng(12), settings()
  for ndim, most, count in ((1, 40, 60), (2, 12, 90), (3, 5, 30)):
    for _ in range(count):
      kernel, stride, dilation, pads = any_windows(rng, ndim)
      if rng.random() < .5: stride, dilation = [1]*ndim, [1]*ndim
      size, specials = any_size(rng, kernel, dilation, pads, most), [special if rng.random() < .4 else None for _ in range(3)]
      check_convolution(rng, next(cover), *channels_and_groups(rng), size, kernel, stride, dilation, pads, specials)

# ---- pools ----

def pool_windows(rng, kernel=None):
  """Windows that touch, overlap or leave elements out, over sizes that they fit or not."""
  ndim = len(kernel) if kernel else int(rng.choice([1, 2, 2, 2, 3]))
  kernel = kernel or rng.integers(1, 4, ndim).tolist()
  stride = kernel if rng.random() < .4 else rng.integers(1, 5, ndim).tolist()
  dilation = [1]*ndim if rng.random() < .7 else rng.integers(1, 4, ndim).tolist()
  pads = [(0, 0)]*ndim
  n, channels = rng.integers(1, 4, 2).tolist()
  return Windows(n, 1, channels, any_size(rng, kernel, dilation, pads, 12 // ndim), kernel, stride, dilation, pads)

def check_pool(name, w, x, g, kind):
  """g: of the shape of the result; whole numbers that the number of ties divides."""
  leaf, parts = tensor(x, name, True), seen(x, w.at)
  out = getattr(leaf, kind)(w.kernel, w.settings["stride"], w.settings["dilation"])
  gradients(out, g, name)
  want = parts.max(-1, keepdims=True) if kind == "max_pool2d" else parts.mean(-1, keepdims=True)
  chosen = ~(parts < want) if kind == "max_pool2d" else np.ones(parts.shape, bool)  # beside a NaN all tie
  what = kind, w.shape, w.kernel, w.settings, x.flat[:9], g.flat[:9]
  equal(out, want.reshape(g.shape), name, what)
  share = np.where(chosen, g.reshape(want.shape) / chosen.sum(-1, keepdims=True), 0)
  equal(leaf.grad, spread(share, w.at, w.shape), name, (*what, "gradient"))

def test_max_pools():
  """Of numbers that all differ; of few values with any number of ties, by which 2520 can be divided; of one value that 2, 4 or 8 elements have."""
  rng, cover, wide = np.random.default_rng(13), settings(), settings(FLOATS[:2])
  for kernel in [[2, 2], [2, 1], [4, 2], [2], [2, 2, 2]] * 30:
    w = pool_windows(rng)
    g = whole(rng, (*w.shape[:2], *w.out), 4)
    if (n := np.prod(w.shape)) <= 256: check_pool(next(cover), w, rng.permutation(256)[:n].reshape(w.shape) - 128, g, "max_pool2d")
    check_pool(next(wide), w, whole(rng, w.shape), 2520*g, "max_pool2d")
    w = pool_windows(rng, kernel)
    check_pool(next(cover), w, np.zeros(w.shape, int), 8*whole(rng, (*w.shape[:2], *w.out)), "max_pool2d")

def test_average_pools():
  rng, cover = np.random.default_rng(14), settings()
  for kernel in [[2, 2], [2, 1], [4, 2], [4], [2, 2, 2]] * 20:
    w = pool_windows(rng, kernel)
    check_pool(next(cover), w, whole(rng, w.shape, 4), whole(rng, (*w.shape[:2], *w.out), 4), "avg_pool2d")

@pytest.mark.parametrize("kernel, stride", [((2, 2), (2, 2)), ((3, 3), (2, 2)), ((3, 3), (1, 1)), ((2, 4), (2, 4)), ((2, 2), (3, 3))])
@pytest.mark.parametrize("size", [(11, 11), (12, 12), (56, 56), (33, 64)])
def test_pools_of_images(kernel, stride, size):
  """As networks have them: many images, all that differ next to each other."""
  rng = np.random.default_rng(15)
  w = Windows(5, 1, 7, size, kernel, stride, (1, 1), [(0, 0)]*2)
  x, g = np.stack([rng.permutation(np.prod(size)) for _ in range(35)]).reshape(w.shape), whole(rng, (5, 7, *w.out), 4)
  for (isa, threads), name in zip(itertools.product(ISAS, (1, 3)), itertools.cycle(["float32", "float64"])):
    _engine.set_isa(isa)
    _engine.set_threads(threads)
    check_pool(name, w, x, g, "max_pool2d")
    check_pool(name, w, x % 7, 2520*g, "max_pool2d")
    if np.prod(kernel) in (4, 8): check_pool(name, w, x % 9, g, "avg_pool2d")

@pytest.mark.parametrize("special", [np.inf, -np.inf, np.nan])
def test_pools_with_special_numbers(special):
  rng, cover = np.random.default_rng(16), settings(FLOATS[:2])
  for kernel in [[2, 2], [2, 1], [4, 2], [4], [2, 2, 2]] * 12:
    w, name = pool_windows(rng, kernel), next(cover)
    x, g = whole(rng, w.shape, special=special), 840*whole(rng, (*w.shape[:2], *w.out))
    check_pool(name, w, x, g, "max_pool2d")
    check_pool(name, w, x, g, "avg_pool2d")
