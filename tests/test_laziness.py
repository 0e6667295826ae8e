"""What is never read must not pile up: past a limit of pending work it is computed, and nothing else changes by that."""
import gc, os, pathlib, subprocess, sys, threading

import numpy as np
import pytest
from teenygrad import Tensor, _engine
from teenygrad.nn.optim import SGD, Adam
from teenygrad.ops import BinaryOps

def tensor(*shape, requires_grad=None, seed=0):
  return Tensor(np.random.default_rng(seed).standard_normal(shape).astype(np.float32), requires_grad=requires_grad)

@pytest.fixture
def limit():
  """limit(nodes, bytes): sets the limits until the test ends; before that there are none."""
  before = _engine.set_pending(0, 0)
  yield _engine.set_pending
  _engine.set_pending(*before)

def relieved(): return _engine.pending()["relieved"]

def live():
  gc.collect()
  return _engine.memory()["objects"], _engine.memory()["block_bytes"]

class Peak:
  """The most that the engine held at any look."""
  def __init__(self):
    self.start, self.objects, self.nodes, self.bytes = live(), 0, 0, 0
    self.before = _engine.pending()
  def look(self):
    m, p = _engine.memory(), _engine.pending()
    self.objects = max(self.objects, m["objects"] - self.start[0])
    self.bytes = max(self.bytes, m["block_bytes"] - self.start[1])
    self.nodes = max(self.nodes, p["nodes"] - self.before["nodes"])

class TestCounts:
  def test_pending_nodes(self):
    gc.collect()
    start = _engine.pending()["nodes"]
    x = tensor(10)
    y = x + 1
    assert _engine.pending()["nodes"] == start + 1
    z = y * y
    assert _engine.pending()["nodes"] == start + 2
    z.realize()
    assert _engine.pending()["nodes"] == start + 1  # y, which is held here, was not stored
    del y
    assert _engine.pending()["nodes"] == start

  def test_bytes_that_only_pending_work_keeps(self):
    gc.collect()
    start = _engine.pending()["bytes"]
    x = tensor(1000)
    y = x + x
    assert _engine.pending()["bytes"] == start
    del x
    assert _engine.pending()["bytes"] == start + 4000
    z = y.exp()
    assert _engine.pending()["bytes"] == start + 4000
    del y
    z.realize()
    assert _engine.pending()["bytes"] == start

class TestFlat:
  def test_a_chain_of_operations(self, limit):
    limit(1000, 0)
    peak, n = Peak(), 50_000
    before, x = relieved(), Tensor(np.zeros(8, np.float32))
    for _ in range(n):
      x = x + 1
      peak.look()
    assert peak.nodes <= 1002 and peak.objects < 8 * 1000
    assert n // 1010 <= relieved() - before <= n // 990 + 1
    np.testing.assert_array_equal(x.numpy(), np.full(8, n))
    del x
    assert live() == peak.start

  def test_default_limits_hold_a_chain(self):
    peak, before, x = Peak(), relieved(), Tensor(np.zeros(8, np.float32)).lazydata
    one = x.const(1)
    for i in range(200_000):
      x = x.e(BinaryOps.ADD, one)
      if i % 1000 == 0: peak.look()
    assert relieved() - before == 6 and peak.nodes <= 33_000
    np.testing.assert_array_equal(x.realized.toCPU(), np.full(8, 200_000))

  def test_a_constant_that_grows(self, limit):
    """From nothing realized: the chain costs more than its value before long."""
    limit(1000, 0)
    peak, x = Peak(), Tensor.ones(100, 100)
    for _ in range(5000):
      x = x * 0.5 + 1
      peak.look()
    assert peak.nodes <= 1002
    np.testing.assert_array_equal(x.numpy(), np.full((100, 100), 2))

  def test_a_total_of_losses(self, limit):
    limit(2000, 0)
    w, peak, before, total = tensor(16), Peak(), relieved(), 0
    for i in range(5000):
      total = total + ((tensor(16, seed=i) - w) * w).sum()
      peak.look()
    assert peak.nodes <= 2010 and peak.objects < 8 * 2000 and relieved() - before < 20
    want = sum(((np.random.default_rng(i).standard_normal(16).astype(np.float32) - w.numpy()) * w.numpy()).sum() for i in range(5000))
    np.testing.assert_allclose(total.item(), want, rtol=1e-3)

  def test_a_list_of_losses(self, limit):
    limit(2000, 0)
    w, peak, before = tensor(16), Peak(), relieved()
    losses = []
    for i in range(5000):
      losses.append(((tensor(16, seed=i) - w) * w).sum())
      peak.look()
    assert peak.nodes <= 2010 and relieved() - before < 20
    assert peak.objects < 8 * 2000 + 4 * 5000  # each loss is a node with a buffer in the end
    total, one_by_one = sum(losses).item(), sum(x.item() for x in losses)
    np.testing.assert_allclose(total, one_by_one, rtol=1e-4)

  def test_a_total_that_keeps_its_history(self, limit):
    """Python holds every partial sum and loss; being small, they are stored and let go of the steps' data."""
    limit(0, 1 << 20)
    w, peak, total = tensor(256, requires_grad=True), Peak(), 0
    for i in range(500):
      x = tensor(100, 256, seed=i)
      loss = (x * w).sum()
      loss.backward()
      total = total + loss
      w.grad = None
      peak.look()
    assert total.requires_grad and peak.bytes < 2 << 20  # of 51 MB
    want = sum((np.random.default_rng(i).standard_normal((100, 256)).astype(np.float32) * w.numpy()).sum() for i in range(500))
    np.testing.assert_allclose(total.item(), want, rtol=1e-3)

  def losses_of_a_training(self, peak=None):
    w, losses = tensor(100, 100, requires_grad=True), []
    optim = SGD([w], lr=0.001)
    for i in range(300):
      loss = tensor(10, 100, seed=i).dot(w).square().mean()
      optim.zero_grad()
      loss.backward()
      optim.step()
      losses.append(loss)
      if peak: peak.look()
    return [x.item() for x in losses]

  def test_losses_of_a_training_do_not_keep_its_weights(self, limit):
    limit(0, 0)
    want = self.losses_of_a_training()
    limit(0, 1 << 20)
    peak = Peak()
    np.testing.assert_allclose(self.losses_of_a_training(peak), want, rtol=1e-5)
    assert peak.bytes < 5 << 19  # not the 300 versions of 40 KB, and as many batches of 4 KB

  def test_a_running_average_of_what_is_replaced(self, limit):
    limit(0, 1 << 20)
    w, average, peak = Tensor(np.zeros((100, 100), np.float32)), Tensor.zeros(100, 100), Peak()
    for _ in range(300):
      w.assign(w.detach() + 1).realize()
      average = average * 0.5 + w * 0.5
      peak.look()
    assert peak.bytes < 3 << 20
    np.testing.assert_allclose(average.numpy(), np.full((100, 100), 299), rtol=1e-6)

  def test_work_grows_with_the_graph_only(self, limit, capsys):
    """Values that Python holds and that are too large to be stored at once: the walks over them become rarer as they grow."""
    limit(100, 0)
    before, held = relieved(), [tensor(200, 100)]
    capsys.readouterr()
    debug = _engine.set_debug(1)
    try:
      for _ in range(3000): held.append(held[-1] * 0.5)
    finally: _engine.set_debug(debug)
    realizes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("*** pending")]
    assert len(realizes) <= 2 * (relieved() - before) <= 2 * 31
    np.testing.assert_array_equal(held[20].numpy(), held[0].numpy() * np.float32(0.5)**20)

class TestUncut:
  def test_a_value_used_twice_again_and_again(self, limit):
    limit(100, 0)
    gc.collect()
    before, x = relieved(), tensor(3, 3)
    want = x.numpy() * 2.0**60
    for _ in range(60): x = x + x
    assert relieved() == before or _engine.pending()["nodes"] > 100
    np.testing.assert_array_equal(x.numpy(), want)

  def test_training_steps(self):
    """Forward, backward and update of 200 layers with residuals: some thousands of nodes."""
    layers = [tensor(16, 16, requires_grad=True, seed=i) for i in range(200)]
    optim, x = Adam(layers, lr=1e-3), tensor(8, 16)
    before, most = relieved(), 0
    for _ in range(2):
      h = x
      for w in layers: h = h + (h.dot(w) * 0.1).tanh()
      optim.zero_grad()
      h.log_softmax().square().mean().backward()
      most = max(most, _engine.pending()["nodes"])
      optim.step()
    assert relieved() == before and most > 2500

  def test_a_product_about_to_be_summed_is_not_stored(self, limit):
    a, b = tensor(300, 300), tensor(300, 300, seed=1)
    want = a.numpy() @ b.numpy()
    limit(1, 0)
    _engine.reset_peak()
    start = _engine.memory()["peak_bytes"]
    for _ in range(3): c = (a + 1).dot(b * 2) - a.dot(b)
    c.realize()
    assert _engine.memory()["peak_bytes"] - start < 20 << 20  # of 108 MB
    np.testing.assert_allclose(c.numpy(), ((a.numpy() + 1) @ (b.numpy() * 2)) - want, rtol=1e-3, atol=1e-3)

  def test_what_would_grow_is_left(self, limit):
    """Wider than what it is made from, and nobody asked for it yet."""
    limit(1, 0)
    small = Tensor(np.arange(100_000, dtype=np.uint8))
    start = live()
    wide, rand = [small.float() / i for i in range(1, 20)], Tensor.rand(10**6)
    assert live()[1] == start[1]
    np.testing.assert_array_equal(wide[1].numpy(), np.arange(100_000, dtype=np.uint8).astype(np.float32) / 2)
    assert rand.shape == (10**6,)

class TestSame:
  def train(self, steps=6):
    Tensor.manual_seed(3)
    k, w, b = tensor(4, 1, 3, 3, requires_grad=True), tensor(4 * 9, 5, requires_grad=True, seed=1), Tensor.zeros(5, requires_grad=True)
    optim, losses = Adam([k, w, b], lr=1e-2), []
    for i in range(steps):
      x = tensor(8, 1, 8, 8, seed=10 + i)
      out = x.conv2d(k).relu().max_pool2d((2, 2)).reshape(8, -1).dropout(0.2).dot(w) + b
      loss = out.sparse_categorical_crossentropy(Tensor(np.arange(8) % 5))
      optim.zero_grad()
      loss.backward()
      optim.step()
      losses.append(loss)
    return [x.numpy() for x in (k, w, b, *losses)]

  @pytest.mark.parametrize("nodes, nbytes", [(1, 0), (7, 0), (50, 0), (120, 0), (0, 1), (0, 512), (1, 1)])
  def test_results(self, limit, nodes, nbytes):
    Tensor.training = True
    limit(0, 0)
    want = self.train()
    limit(nodes, nbytes)
    before = relieved()
    for a, b in zip(self.train(), want): np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)
    assert relieved() > before

  def test_a_chain_bit_by_bit(self, limit):
    def run():
      x, w = tensor(40, 30).half(), tensor(40, 30, seed=1)
      for i in range(200): x = (x * w + i).sin() if i % 7 else (x.cast(w.dtype) / 3).half()
      return x.numpy()
    limit(0, 0)
    want = run()
    limit(23, 0)
    np.testing.assert_array_equal(run(), want)

class TestFailure:
  def test_what_cannot_be_computed_stays_alone(self, limit):
    limit(100, 0)
    bad = tensor(10).lazydata.gather(Tensor(np.array([3, 99])).lazydata, 0)
    x = others = tensor(4)
    kept = [others + i for i in range(5)]
    for _ in range(500): x = x + 1  # never raises
    assert _engine.pending()["nodes"] < 300 and all(t.lazydata.computed for t in kept)
    np.testing.assert_array_equal(x.numpy(), self.added(500))
    for _ in range(2):
      with pytest.raises(IndexError): _engine.realize([bad])

  def added(self, n):
    x = tensor(4).numpy()
    for _ in range(n): x = x + np.float32(1)
    return x

  def test_failing_allocations(self, limit):
    limit(20, 0)
    start, n, done = live(), 0, False
    while not done:
      n += 7
      x = tensor(4)
      _engine.fail_at(n)
      try:
        for _ in range(50): x = x + 1
        done = True
      except MemoryError: pass
      finally: _engine.fail_at(0)
      y = x * 2
      assert np.isfinite(y.numpy()).all() and np.isfinite(x.numpy()).all()
      if done: np.testing.assert_array_equal(x.numpy(), self.added(50))
      del x, y
    assert n > 100 and live() == start

  @pytest.mark.parametrize("spared", range(2, 30))
  def test_no_memory_while_relieving(self, limit, spared):
    """The operation itself was built before: it succeeds, and so does everything once there is memory again."""
    limit(0, 0)
    x = tensor(4)
    for _ in range(300): x = x + 1
    one = x.lazydata.const(1)
    x.lazydata.e(BinaryOps.ADD, one)
    before = _engine.memory()["requests"]
    x.lazydata.e(BinaryOps.ADD, one)
    needed = _engine.memory()["requests"] - before
    limit(10, 0)
    before = relieved()
    _engine.fail_at(needed + spared, True)
    try: y = x.lazydata.e(BinaryOps.ADD, one)
    finally: _engine.fail_at(0)
    assert relieved() == before + 1
    np.testing.assert_array_equal(y.realized.toCPU(), self.added(301))
    np.testing.assert_array_equal(x.numpy(), self.added(300))

class TestSetting:
  def run(self, value):
    script = "from teenygrad import Tensor, _engine\nx = Tensor([1.])\nfor _ in range(1000): x = x + 1\n" \
             "print(_engine.pending()['relieved'], x.item())"
    env = {k: v for k, v in os.environ.items() if k not in ("TEENYGRAD_PENDING", "DEBUG")}
    if value is not None: env["TEENYGRAD_PENDING"] = value
    root = pathlib.Path(_engine.__file__).parent.parent  # the package under test, wherever it was built
    return subprocess.run([sys.executable, "-c", script], env=env, cwd=root, capture_output=True, text=True, check=True).stdout.split()

  def test_the_variable(self):
    assert self.run(None) == ["0", "1001.0"] and self.run("0") == ["0", "1001.0"] and self.run("100") == ["9", "1001.0"]

  def test_never(self, limit):
    limit(0, 0)
    before, x = relieved(), tensor(4)
    for _ in range(70_000): x = x + 1
    assert relieved() == before and _engine.pending()["nodes"] >= 70_000

  @pytest.mark.threads
  def test_threads(self, limit):
    limit(50, 0)
    results = {}
    def work(i):
      x = Tensor(np.full(1000, i, np.float32))
      for _ in range(2000): x = x + 1
      results[i] = x.numpy()
    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads: t.start()
    for t in threads: t.join()
    for i in range(4): np.testing.assert_array_equal(results[i], np.full(1000, i + 2000))
