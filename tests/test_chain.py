"""Chains of kernels that run slice by slice: which graphs make one, and that nothing but time and memory tells."""
import gc, re

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from teenygrad import Tensor, _engine
from teenygrad.helpers import dtypes

def array(*shape, seed=0): return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
def arrays(*shape): return [array(*shape, seed=i) for i in range(3)]
def tensors(*shape, requires_grad=None): return [Tensor(a, requires_grad=requires_grad) for a in arrays(*shape)]
def attention(q, k, v, *args, **kwargs): return q.scaled_dot_product_attention(k, v, *args, **kwargs)
def chains(*results): return [item.chain for item in _engine.schedule([t.lazydata for t in results])]
def gradients(q, k, v, **kwargs):
  attention(q, k, v, **kwargs).square().sum().backward()
  return [q.grad, k.grad, v.grad]

@pytest.fixture(params=[1, 2, 3, 4])
def threads(request):
  before = _engine.info()["threads"]
  _engine.set_threads(request.param)
  yield request.param
  _engine.set_threads(before)

SHAPE = 2, 8, 256, 16  # scores of 4 MiB

class TestFound:
  def test_not_with_inner_products(self):
    """Their sums are other ones in parts: the gradient of a kernel, of each image, has the bits it has if the images are stored."""
    image, upstream = Tensor(array(32, 3, 112, 112)), Tensor(array(32, 8, 110, 110)).realize()
    def result(x):
      windows = x._pool((3, 3), 1, 1).reshape(32, 1, 3, 110, 110, 3, 3)
      return (windows * upstream.reshape(32, 8, 1, 110, 110, 1, 1)).sum((3, 4))
    chained, stored = result(image.softmax()), result(image.softmax().realize())
    assert [item.kind for item in _engine.schedule([chained.lazydata])] == ["ROWS", "CONTRACT"] and set(chains(chained)) == {None}
    np.testing.assert_array_equal(chained.numpy(), stored.numpy())

  def test_attention(self):
    assert chains(attention(*tensors(*SHAPE))) == [0, 0, 0]
    assert chains(attention(*tensors(*SHAPE), is_causal=True)) == [None, 0, 0, 0]  # what the mask is made of is common to all slices
    assert chains(attention(*tensors(*SHAPE), Tensor(array(256, 256)))) == [0, 0, 0]

  def test_attention_and_its_gradients(self): assert set(chains(*gradients(*tensors(*SHAPE, requires_grad=True)))) == {0}

  def test_gradients_whose_heads_fit_no_cache(self):
    """Two products sum over the rows that the slices are cut along: what they read is stored."""
    assert chains(*gradients(*tensors(1, 4, 1024, 16, requires_grad=True))) == [0]*6 + [None]*2

  def test_two_chains(self):
    q, k, v = tensors(*SHAPE)
    total = attention(q, k, v).sum()
    assert [c for c in chains(attention(q + total, k, v)) if c is not None] == [0]*2 + [1]*4  # the sum merges with the product before it

  def test_narrow_layers(self):
    x, w1, w2 = Tensor(array(32768, 16)), Tensor(array(16, 64)), Tensor(array(64, 8))  # 8 MiB between them
    for result in (x.dot(w1).softmax(), x.dot(w1).relu().dot(w2)): assert chains(result) == [0, 0]
    result = (x.dot(w1).layernorm() * 2).dot(w2)
    assert chains(result) == [0, 0, 0]

class TestNotFound:
  def test_what_fits_the_cache(self): assert chains(attention(*tensors(1, 8, 128, 64))) == [None]*3

  def test_what_is_read_elsewhere(self):
    q, k, v = tensors(*SHAPE)
    scores = q.dot(k.transpose(-1, -2))
    weights = scores.softmax()
    assert chains(weights.dot(v)) == [None]*3  # both can still be asked for
    del scores
    assert chains(weights.dot(v)) == [0]*3  # the scores can't

  def test_packing_would_cost_more(self):
    x, w = Tensor(array(2048, 1024)), Tensor(array(1024, 1024))
    result = x.dot(w).softmax()
    assert chains(result) == [None]*2

  def test_what_other_slices_need(self):
    x, w = Tensor(array(1024, 64)), Tensor(array(64, 1024))
    down = x.dot(w).softmax(0)
    assert set(chains(down)) == {None}
    x, w = Tensor(array(32768, 16)), Tensor(array(16, 64))
    straight, turned = [y.dot(w.transpose(0, 1)) for y in (x.dot(w).relu(), x.dot(w).relu().flip(0))]
    assert chains(straight) == [0, 0] and chains(turned) == [None]*2

class TestValues:
  @pytest.mark.parametrize("mask", [None, array(256, 256), array(2, 1, 1, 256), array(256, 256) > 0, np.tril(np.ones((256, 256), bool))])
  def test_masks(self, mask):
    a, extra = arrays(*SHAPE), [] if mask is None else [mask]
    got = attention(*map(Tensor, a), *map(Tensor, extra))
    assert 0 in chains(got)
    np.testing.assert_allclose(got.numpy(), F.scaled_dot_product_attention(*map(torch.tensor, a + extra)).numpy(), rtol=1e-4, atol=1e-5)

  @pytest.mark.parametrize("queries, keys", [(256, 256), (250, 263), (300, 221), (1, 70000), (1100, 60)])
  def test_sizes(self, queries, keys):
    q, k, v = array(2, 8, queries, 16), array(2, 8, keys, 16, seed=1), array(2, 8, keys, 24, seed=2)
    want = F.scaled_dot_product_attention(*map(torch.tensor, (q, k, v)), is_causal=queries == keys)
    got = attention(*map(Tensor, (q, k, v)), is_causal=queries == keys)
    np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-4, atol=1e-5)

  def test_a_long_sequence(self):
    a = arrays(1, 1, 2048, 32)
    got = attention(*map(Tensor, a))
    assert chains(got) == [0]*3
    np.testing.assert_allclose(got.numpy(), F.scaled_dot_product_attention(*map(torch.tensor, a)).numpy(), rtol=1e-4, atol=1e-5)

  def test_half(self):
    a = [x.astype(np.float16) for x in arrays(4, 8, 256, 16)]
    got = attention(*map(Tensor, a))
    assert got.dtype == dtypes.float16 and chains(got) == [0]*3
    want = F.scaled_dot_product_attention(*[torch.tensor(x).float() for x in a])
    np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=4e-3, atol=4e-3)

  def test_views(self):
    """Heads within rows, keys and values that all of them share; the result in the order of the input."""
    q, k, v = array(4, 256, 8, 16), array(4, 256, 1, 16, seed=1), array(4, 256, 1, 16, seed=2)
    got = attention(*[Tensor(x).permute(0, 2, 1, 3) for x in (q, k, v)]).permute(0, 2, 1, 3).reshape(4, 256, 128)
    assert 0 in chains(got)
    want = F.scaled_dot_product_attention(*[torch.tensor(x).permute(0, 2, 1, 3).expand(4, 8, 256, 16) for x in (q, k, v)])
    np.testing.assert_allclose(got.numpy(), want.permute(0, 2, 1, 3).reshape(4, 256, 128).numpy(), rtol=1e-4, atol=1e-5)

  @pytest.mark.parametrize("shape", [SHAPE, (1, 4, 1024, 16)])
  @pytest.mark.parametrize("is_causal", [False, True])
  def test_gradients(self, shape, is_causal):
    a = [torch.tensor(x).requires_grad_() for x in arrays(*shape)]
    F.scaled_dot_product_attention(*a, is_causal=is_causal).square().sum().backward()
    got = gradients(*tensors(*shape, requires_grad=True), is_causal=is_causal)
    assert 0 in chains(*got)
    for g, t in zip(got, a): np.testing.assert_allclose(g.numpy(), t.grad.numpy(), rtol=1e-3, atol=1e-4)

@pytest.mark.threads
class TestBits:
  """A chain leaves every sum as it is in a kernel run as a whole, on any number of threads."""
  @pytest.mark.parametrize("shape", [SHAPE, (3, 7, 250, 40), (1, 1, 1500, 33)])
  def test_those_of_kernels_run_one_by_one(self, shape, threads):
    q, k, v = tensors(*shape)
    got = attention(q, k, v)
    assert chains(got) == [0]*3
    scores = q.dot(k.transpose(-1, -2)).realize()
    weights = (scores / np.sqrt(shape[-1])).softmax().realize()
    np.testing.assert_array_equal(got.numpy(), weights.dot(v).numpy())

  def test_a_long_sum(self, threads):
    x, w1, w2 = Tensor(array(128, 8)), Tensor(array(8, 16384)), Tensor(array(16384, 4))
    hidden = x.dot(w1).relu()
    whole = hidden.realize().dot(w2).numpy()
    got = x.dot(w1).relu().dot(w2)
    np.testing.assert_array_equal(got.numpy(), whole)

class TestMemory:
  def grown(self, work):
    work()
    _engine.reset_peak()
    before = _engine.memory()["block_bytes"]
    result = work()
    return _engine.memory()["peak_bytes"] - before, result

  @pytest.mark.parametrize("length", [1024, 2048])
  @pytest.mark.parametrize("is_causal", [False, True])
  def test_scores_are_not_stored(self, length, is_causal, threads):
    q, k, v = tensors(1, 2, length, 64)
    peak, result = self.grown(lambda: attention(q, k, v, is_causal=is_causal).realize())
    assert peak - result.numpy().nbytes - is_causal * length**2 <= 16 << 20

class TestFailures:
  def work(self):
    q, k, v = self.leaves
    return attention(q, k, v).numpy()

  @pytest.mark.parametrize("forever", [False, True])
  def test_every_allocation_may_fail(self, forever):
    self.leaves = tensors(*SHAPE)
    want, n = self.work(), 0
    gc.collect()
    before = _engine.memory()["block_bytes"]
    while True:
      n += 1
      _engine.fail_at(n, forever)
      try: got = self.work()
      except MemoryError: continue
      finally: _engine.fail_at(0)
      break
    np.testing.assert_array_equal(got, want)
    assert n > 30
    gc.collect()
    assert _engine.memory()["block_bytes"] == before

  def test_an_index_out_of_range(self, threads):
    x, w, bias = Tensor(array(16384, 16)), Tensor(array(16, 64)), Tensor(array(16384, 64))
    index = np.zeros((16384, 64), np.int32)
    def result(): return (x.dot(w) + bias.gather(Tensor(index), 1)).softmax().dot(w.transpose(0, 1))
    assert chains(result())[-3:] == [0]*3
    want = torch.tensor(x.numpy() @ w.numpy() + bias.numpy()[:, :1]).softmax(-1).numpy() @ w.numpy().T
    np.testing.assert_allclose(result().numpy(), want, rtol=1e-4, atol=1e-5)
    index[16000, 3] = 64
    with pytest.raises(IndexError, match="64"): result().numpy()

class TestDebug:
  def test_lines(self, capsys):
    result = attention(*tensors(*SHAPE))
    before = _engine.set_debug(2)
    try: result.realize()
    finally: _engine.set_debug(before)
    total, chain, *kernels = capsys.readouterr().out.splitlines()
    (ms,) = re.match(r"\*\*\* realize +([\d.]+) ms", total).groups()
    first, last, passed = re.match(r"\*\*\* +(\d+)-(\d+) +([\d.]+) ms  ", chain).groups()
    assert (first, last) == ("0", "2") and float(passed) == pytest.approx(float(ms), abs=2e-3)
    assert chain.endswith("  chain of 3 kernels: 32 slices, each with 128.0 KiB of its own")
    figures = [re.match(r"\*\*\* +(\d+) +([\d.]+) ms +([\d.]+) MB ", line).groups() for line in kernels]
    assert [index for index, _, _ in figures] == ["0", "1", "2"]
    assert sum(float(part) for _, part, _ in figures) == pytest.approx(float(passed), abs=3e-3)
    size = 2*8*256*16*4 / 1e6  # scores take no memory
    assert [float(mb) for _, _, mb in figures] == pytest.approx([2*size, 0, 2*size], abs=2e-3)
