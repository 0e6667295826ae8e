"""How graphs are cut into kernels: the number of kernels of well-known graphs, and what each of them computes."""
import numpy as np
import pytest
from teenygrad import Tensor, _engine
from teenygrad.helpers import dtypes
from teenygrad.nn.optim import Adam

def tensor(*shape, requires_grad=None):
  data = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
  return Tensor(data, requires_grad=requires_grad)

def kernels(*tensors): return _engine.schedule([t.lazydata for t in tensors])
def kinds(*tensors): return [item.kind for item in kernels(*tensors)]

def chain(x, n):
  for i in range(n): x = x.exp() if i % 2 else x * 0.5
  return x

class TestElementwise:
  def test_chain_of_20_is_one_kernel(self):
    (item,) = kernels(chain(tensor(64, 128), 20))
    assert item.kind == "MAP" and item.shape == (64, 128) and item.inputs == 1

  def test_broadcast_cast_pad_and_movement_fuse(self):
    x, row = tensor(6, 8), tensor(8)
    assert kinds((x + row).half().pad(((1, 1), (0, 2))).permute(1, 0).float().exp()) == ["MAP"]

  def test_concatenation_is_one_kernel(self):
    x = tensor(6, 8)
    assert kinds(x.cat(x * 2, x.exp(), dim=1)) == ["MAP"]

  def test_concatenation_of_many_is_linear(self):
    """Sixteen at a time: no element of the result adds up a thousand operands, all but one of them zero."""
    items = kernels(Tensor.cat(*[Tensor([float(i)]).realize() for i in range(1000)]))
    assert sum(item.shape[0] * item.inputs for item in items) < 100 * 1000

  def test_many_outputs_of_one_source_share_kernels(self):
    x = tensor(30)
    assert len(kernels(*[x * (i + 2.) + 1 for i in range(1000)])) <= 10

  def test_functions_of_the_index_read_nothing(self):
    for t in (Tensor.arange(100), Tensor.eye(7), Tensor.rand(5, 5)):
      (item,) = kernels(t)
      assert item.kind == "MAP" and item.inputs == 0

  def test_a_view_of_realized_data_needs_no_kernel(self):
    assert kernels(tensor(6, 8).permute(1, 0).pad(((1, 1), (0, 0)))[2:5]) == []

  def test_reading_a_part_computes_that_part(self):
    (item,) = kernels(tensor(1000, 100).exp()[3:5])
    assert item.shape == (2, 100)

  def test_cheap_values_are_computed_again_expensive_ones_stored(self):
    x = tensor(256, 256)
    cheap, expensive = x * 2, x.exp().sin().exp().sin().exp().log()
    assert kinds(cheap.sum(0), cheap.sum(1)) == ["REDUCE"] * 2
    assert kinds(expensive.sum(0), expensive.sum(1)) == ["ROWS", "REDUCE"]  # stored along with the row sums

  def test_what_changes_nothing_is_dropped(self):
    x = tensor(6, 8)
    for y in (x * 1, 1 * x, x / 1, x - 0):
      (item,) = kernels(y.exp())
      assert item.text == "MAP (6, 8) float32: EXP"
    assert kernels((x + 0).exp())[0].text == "MAP (6, 8) float32: ADD EXP"  # -0 + 0 is 0
    zero = Tensor(np.array([-0.0], np.float32))
    got = [(zero * 1).item(), (zero - 0).item(), (zero + 0).item(), (zero - -0.0).item()]
    assert np.signbit(got).tolist() == [True, True, False, False]

  def test_equal_subexpressions_are_computed_once(self):
    x = tensor(6, 8)
    assert kernels(x.exp() * 2 + x.exp() * 2)[0].text == "MAP (6, 8) float32: EXP MUL ADD"

  def test_a_diamond_is_linear(self):
    x = tensor(4, 4)
    for _ in range(60): x = x + x
    assert len(kernels(x)) == 1
    np.testing.assert_array_equal(x.numpy(), tensor(4, 4).numpy() * np.float32(2) ** 60)

  def test_long_chains_are_cut(self):
    items = kernels(chain(tensor(8), 2000))
    assert 2 <= len(items) <= 20

class TestReduce:
  def test_elementwise_work_joins_a_reduction_on_both_sides(self):
    (item,) = kernels((tensor(32, 64) * 2).exp().sum(1).log() + 1)
    assert item.kind == "REDUCE" and item.shape == (32,) and item.reduced == (64,)

  @pytest.mark.parametrize("function, kind", [("softmax", "ROWS"), ("log_softmax", "ROWS"), ("layernorm", "ROWS"), ("std", "ROWS"),
                                              ("mean", "REDUCE")])
  def test_rows(self, function, kind): assert kinds(getattr(tensor(64, 128), function)(axis=-1)) == [kind]

  def test_pooling_is_one_kernel(self):
    x = tensor(2, 3, 16, 16)
    for pooled in (x.max_pool2d(), x.avg_pool2d(), x.max_pool2d((3, 3), stride=2)): assert kinds(pooled) == ["REDUCE"]

  def test_a_reduction_with_two_readers_is_computed_once(self):
    total = tensor(64, 64).exp().sum(1, keepdim=True)
    assert kinds(tensor(64, 64) / total, tensor(64, 64) * total) == ["ROWS"]
    assert sorted(kinds(tensor(64, 32) / total, tensor(64, 16) * total)) == ["MAP", "MAP", "REDUCE"]

  @pytest.mark.parametrize("shape, axis", [((64, 128), 1), ((64, 10), 1), ((8, 5, 7, 9), 1), ((8, 6, 7, 9), (0, 2, 3)), ((128, 4, 6), (1, 2))])
  def test_functions_and_gradients_of_rows_are_one_kernel(self, shape, axis):
    x, incoming = tensor(*shape, requires_grad=True), tensor(*shape)
    out = (x - x.mean(axis, keepdim=True)) / (x.std(axis, keepdim=True) + 1)
    (out * incoming).sum().backward()
    assert kinds(out, x.grad) == ["ROWS"]

  def test_long_or_scattered_rows_are_not_held(self):
    assert kinds(tensor(2, 100000).softmax(1)) == ["REDUCE", "REDUCE", "MAP"]
    assert kinds(tensor(300, 200).softmax(0)) == ["REDUCE", "REDUCE", "MAP"]

  def test_cross_entropy_and_its_gradient_pass_once_over_the_rows(self):
    x, labels = tensor(64, 1000, requires_grad=True), Tensor(np.arange(64))
    loss = x.sparse_categorical_crossentropy(labels)
    loss.backward()
    assert kinds(loss, x.grad) == ["MAP", "ROWS", "REDUCE"]  # MAP: the weight of each row

class TestOutputs:
  def test_results_of_one_shape_share_a_kernel(self):
    x, y = tensor(50, 60), tensor(50, 60)
    outs = [x + y, x * y, (x - y).exp(), x.sqrt()]
    assert kinds(*outs) == ["MAP"]
    for out, want in zip(outs, [x.numpy() + y.numpy(), x.numpy() * y.numpy()]): np.testing.assert_array_equal(out.numpy(), want)

  def test_a_step_of_adam_is_one_kernel_a_parameter(self, monkeypatch):
    p, q = tensor(1000, requires_grad=True), tensor(30, 40, requires_grad=True)
    optimizer = Adam([p, q])
    p.grad, q.grad = tensor(1000), tensor(30, 40)
    seen = []
    monkeypatch.setattr(_engine, "realize", lambda buffers: seen.extend(item.kind for item in _engine.schedule(buffers)))
    optimizer.step()
    assert seen == ["MAP", "MAP"]

  def test_what_is_needed_whole_is_stored_before(self):
    """The square would fit the kernel that stores x, which the contraction between them forbids."""
    x = tensor(30, 30).exp()
    product = x.dot(x)
    y = x * 2 + product.dot(product)
    assert kinds(x, y) == ["MAP", "CONTRACT", "CONTRACT"]
    np.testing.assert_allclose(y.numpy(), x.numpy() * 2 + np.linalg.matrix_power(x.numpy(), 4), rtol=1e-5)

  def test_results_that_wait_for_each_other_are_kept_apart(self):
    """c has a's shape and reads a's source, but needs all of b, which needs all of a."""
    x = tensor(40, 50)
    a = x + 1
    b = a.dot(a.transpose())
    c = x * 3 + b.sum()
    assert kinds(a, b, c) == ["MAP", "CONTRACT", "REDUCE", "MAP"]
    m = x.numpy().astype(np.float64) + 1
    np.testing.assert_allclose(c.numpy(), x.numpy() * 3 + (m @ m.T).sum(), rtol=1e-5)

  def test_what_finishes_a_contraction_takes_no_further_output(self):
    """h would be one of the kernel that adds it, before it is known that the product goes there too."""
    x, w, v = tensor(40, 50), tensor(30, 50), tensor(50, 20)
    h = x * 2
    out, following = tensor(40, 30).dot(w) + h, h.dot(v)
    assert kinds(out, following) == ["MAP", "CONTRACT", "CONTRACT"]
    Tensor.corealize([out, following])
    np.testing.assert_allclose(following.numpy(), x.numpy() * 2 @ v.numpy(), rtol=1e-4, atol=1e-5)

  def test_what_is_looked_for_in_memory_is_stored_before(self):
    """The gather is computed for each of its two readers, but its data must be there whole; so must what a bit cast sees elsewhere."""
    x, index = tensor(40, 40), np.random.randint(0, 40, (40, 40)).astype(np.int32)
    d, e = x + 1, x * 2
    g = d.gather(Tensor(index), 0)
    y, z = d + g + g.flip(0), e + e.bitcast(dtypes.int32).flip(0).bitcast(dtypes.float32)
    Tensor.corealize([d, y])
    Tensor.corealize([e, z])
    want = x.numpy() + 1
    taken = np.take_along_axis(want, index.astype(np.int64), 0)
    np.testing.assert_array_equal(y.numpy(), want + taken + taken[::-1])
    np.testing.assert_array_equal(z.numpy(), x.numpy() * 2 + x.numpy()[::-1] * 2)

class TestContraction:
  def test_linear_layer_with_bias_and_relu_is_one_kernel(self):
    (item,) = kernels((tensor(64, 128).dot(tensor(128, 32)) + tensor(32)).relu())
    assert item.kind == "CONTRACT" and item.shape == (64, 32) and item.reduced == (128,) and item.inputs == 3

  @pytest.mark.parametrize("options", [{}, {"padding": 1}, {"stride": 2}, {"dilation": 2}, {"padding": (2, 1), "stride": 2}])
  def test_convolution_is_one_kernel(self, options):
    x, w, b = tensor(2, 6, 16, 16), tensor(4, 6, 3, 3), tensor(4)
    assert kinds(x.conv2d(w, b, **options).relu()) == ["CONTRACT"]

  def test_grouped_convolution(self): assert kinds(tensor(2, 6, 16, 16).conv2d(tensor(4, 3, 3, 3), groups=2)) == ["CONTRACT"]

  @pytest.mark.parametrize("options", [{}, {"padding": 1}, {"stride": 2}, {"stride": 3, "padding": (2, 1)}, {"dilation": 2}, {"groups": 2}])
  def test_gradients_of_a_convolution_are_contractions(self, options):
    x, w = tensor(2, 6, 17, 16, requires_grad=True), tensor(4, 6 // options.get("groups", 1), 3, 3, requires_grad=True)
    out = x.conv2d(w, **options)
    (out * tensor(*out.shape)).sum().backward()
    assert kinds(x.grad) == ["CONTRACT"] and kinds(w.grad) == ["CONTRACT"]

  @pytest.mark.parametrize("options", [{}, {"padding": 1}, {"stride": 2}, {"stride": 2, "padding": 1, "output_padding": 1}, {"groups": 2}])
  def test_transposed_convolution_is_one_kernel(self, options):
    x, w = tensor(2, 6, 16, 16), tensor(6, 4, 3, 3)
    assert kinds(x.conv_transpose2d(w, **options)) == ["CONTRACT"]

  def test_whatever_order_builds_it(self):
    a, b = tensor(20, 30), tensor(30, 40)
    by_hand = (b.permute(1, 0).reshape(1, 40, 30) * a.reshape(20, 1, 30)).sum(2)
    transposed = (a.permute(1, 0).reshape(30, 20, 1) * b.reshape(30, 1, 40)).sum(0)
    for product in (by_hand, transposed): assert kinds(product) == ["CONTRACT"]
    np.testing.assert_allclose(by_hand.numpy(), transposed.numpy(), rtol=0, atol=1e-5)

  def test_a_product_without_reuse_is_a_reduction(self):
    assert kinds((tensor(100, 100) * tensor(100, 100)).sum()) == ["REDUCE"]
    assert kinds(tensor(100, 100).dot(tensor(100))) == ["REDUCE"]

class TinyConvNet:
  def __init__(self):
    self.c1, self.c2, self.l1 = tensor(8, 1, 3, 3), tensor(16, 8, 3, 3), tensor(400, 10)
  def __call__(self, x):
    x = x.reshape(-1, 1, 28, 28).conv2d(self.c1).relu().max_pool2d().conv2d(self.c2).relu().max_pool2d()
    return x.reshape(x.shape[0], -1).dot(self.l1).log_softmax()

class TestMnist:
  def test_forward(self):
    assert kinds(TinyConvNet()(tensor(128, 784))) == ["CONTRACT", "REDUCE", "CONTRACT", "REDUCE", "CONTRACT", "ROWS"]

  def test_training_step(self):
    """Three contractions forward, five backward (none for the images), whatever else is around them."""
    net = TinyConvNet()
    params = [net.c1, net.c2, net.l1]
    optimizer = Adam(params)
    net(tensor(128, 784)).sparse_categorical_crossentropy(Tensor(np.arange(128).astype(np.uint8) % 10)).backward()
    items = kernels(*[p.grad for p in params])
    assert [item.kind for item in items].count("CONTRACT") == 8
    assert len(items) == 14
    optimizer.step()
    assert kernels(*params) == []

class TestAsData:
  def test_items_say_what_they_are(self):
    x = tensor(4, 8)
    (item,) = (x * 2).sum(1).lazydata.schedule()
    assert (item.kind, item.shape, item.reduced, item.inputs) == ("REDUCE", (4,), (8,), 1)
    assert item.text == "REDUCE (4,) over (8,) float32: MUL | SUM"
    np.testing.assert_allclose(item.target.realized.toCPU().reshape(4), (x.numpy() * 2).sum(1), rtol=1e-6)

  def test_scheduling_computes_nothing(self):
    y = tensor(4, 8).exp()
    assert len(kernels(y)) == 1 and len(kernels(y)) == 1
    y.realize()
    assert kernels(y) == []

def test_a_merged_sum_beside_a_product_of_its_shape():
  """The first product runs over the same number of points along each of as many axes as the sum of the second one."""
  for n in range(2, 7):
    a = np.random.default_rng(n).integers(-2, 3, (n, n)).astype(np.float32)
    np.testing.assert_array_equal((Tensor(a) @ Tensor(a) @ Tensor(a)).sum(1).numpy(), (a @ a @ a).sum(1))
    x = Tensor(a)
    np.testing.assert_array_equal((x @ x @ x).sum(1).numpy(), (a @ a @ a).sum(1))

def test_a_crop_of_a_reduction_of_reductions():
  a = np.random.default_rng(5).integers(-9, 9, (6, 4)).astype(np.float32)
  x = Tensor(a)
  np.testing.assert_array_equal((x - x.max(0, True)).sum(0)[:3].numpy(), (a - a.max(0, keepdims=True)).sum(0)[:3])
  np.testing.assert_array_equal((x - x.max(0, True)).sum(0)[1:].relu().numpy(), np.maximum((a - a.max(0)).sum(0)[1:], 0))

def test_a_crop_of_what_waits_for_reductions():
  """The gradient of what is padded is stored cropped, and computed from sums over all of it."""
  a = np.arange(3, dtype=np.float32)
  x = Tensor(a, requires_grad=True)
  pairs = x.pad(((0, 1),)).reshape(2, 2)
  (pairs * pairs.sum(0, True)).sum().backward()
  p = np.append(a, 0).reshape(2, 2)
  np.testing.assert_array_equal(x.grad.numpy(), (2 * np.broadcast_to(p.sum(0), (2, 2))).reshape(-1)[:3])

@pytest.mark.parametrize("crop", [slice(2, 3), slice(0, 1), slice(None, 1, -2), slice(1, 3)])
def test_a_root_that_is_stored_and_computed_again_where_it_is_cropped(crop):
  """What the crop reads is computed again by its readers, from the root that another part of the same rows sees whole."""
  a = np.arange(1, 5, dtype=np.float32) / 3
  grads = []
  for fusion in (True, False):
    before = _engine.set_fusion(fusion)
    try:
      x = Tensor(a, requires_grad=True)
      y = (x * (x * x + 0.5).sum(0, True).rsqrt())[crop]
      z = y * (y * y + 0.5).sum(0, True).rsqrt()
      (z * Tensor(np.ones((16, 1), np.float32))).sum().backward()
      grads.append(x.grad.numpy())
    finally: _engine.set_fusion(before)
  np.testing.assert_allclose(*grads, rtol=1e-5)

def test_results_are_stored_where_they_end_up():
  a, b = tensor(2, 3, 20, 30), tensor(2, 3, 30, 8)
  heads = a.dot(b).transpose(1, 2).reshape(2, 20, 24).relu()
  assert kinds(heads) == ["CONTRACT"]
  want = np.matmul(a.numpy(), b.numpy()).transpose(0, 2, 1, 3).reshape(2, 20, 24)
  np.testing.assert_allclose(heads.numpy(), np.maximum(want, 0), rtol=0, atol=1e-5)
  x = tensor(6, 50, 7)
  turned = x.sum(1).T * 2
  assert kinds(turned) == ["REDUCE"]
  np.testing.assert_allclose(turned.numpy(), x.numpy().sum(1).T * 2, rtol=0, atol=1e-5)

def test_what_is_repeated_is_reduced_once():
  x, w = tensor(8, 16, 20, 20, requires_grad=True), tensor(12, 16, 3, 3, requires_grad=True)
  x.conv2d(w, padding=1).sum().backward()  # the gradient of each output is 1
  assert all(8 not in k.shape for k in kernels(x.grad)) and all(12 not in k.shape for k in kernels(w.grad))
  np.testing.assert_allclose(w.grad.numpy()[0], w.grad.numpy()[7], rtol=0, atol=0)
  np.testing.assert_allclose(x.grad.numpy()[0, 5, 9, 9], w.numpy()[:, 5].sum(), rtol=1e-4)
  ones = Tensor.ones(64, 500) @ (a := tensor(500, 40))
  assert ones.shape == (64, 40)
  np.testing.assert_allclose(ones.numpy(), np.ones((64, 500)) @ a.numpy().astype(np.float64), rtol=1e-4, atol=1e-4)

class TestWithoutFusion:
  @pytest.fixture(autouse=True)
  def single(self):
    before = _engine.set_fusion(False)
    yield
    _engine.set_fusion(before)

  def test_each_operation_is_a_kernel(self):
    x, w = tensor(8, 64), tensor(64, 32)
    y = (x.dot(w) + 1).relu().softmax()
    assert [k.text.split(": ")[1] for k in kernels(y)] == ["MUL", "| SUM", "ADD", "MAX", "| MAX", "SUB", "EXP", "| SUM", "DIV"]
    _engine.set_fusion(True)
    assert kinds(y) == ["CONTRACT", "ROWS"]

  def test_sums_of_sums_windows_and_chains_are_left_as_they_are(self):
    x, w = tensor(2, 3, 9, 9, requires_grad=True), tensor(4, 3, 3, 3)
    x.conv2d(w, padding=1).sum().backward()
    assert set(kinds(x.grad)) == {"MAP", "REDUCE"}
    q = tensor(16, 256, 2)
    items = kernels(q.scaled_dot_product_attention(q, q))
    assert all(item.chain is None for item in items) and "CONTRACT" not in {item.kind for item in items}

  def test_constants_views_and_casts_of_bits_need_no_kernel(self):
    x = tensor(4, 6)
    assert kernels(x.T.reshape(24)[3:]) == []
    assert len(kernels(x.permute(1, 0) + Tensor.full((6, 4), 2))) == 1
    assert len(kernels((x + 1).bitcast(dtypes.int32))) == 1

  def test_other_sums_than_these_have_the_same_bits(self):
    def results():
      x, w = tensor(33, 65, requires_grad=True), tensor(65, 31, requires_grad=True)
      h = (x.half() * 3 + 1).tanh().exp().float()
      y = [h, h.max(1), h.softmax(), (h * x).T, h[::-2].sqrt(), h.dot(w)]
      y[-1].square().sum().backward()
      return [t.numpy() for t in (*y, x.grad)]
    single = results()
    _engine.set_fusion(True)
    fused = results()
    for i in (0, 1, 3, 4): np.testing.assert_array_equal(single[i], fused[i])
    for i in (2, 5, 6): np.testing.assert_allclose(single[i], fused[i], rtol=1e-5, atol=1e-5 * abs(fused[i]).max())

  def test_the_switch(self):
    assert _engine.set_fusion(True) is False and _engine.set_fusion(False) is True
    for wrong in (1, None, "no", 0.0): pytest.raises(TypeError, _engine.set_fusion, wrong)
    assert _engine.set_fusion(False) is False

def test_what_is_stored_does_not_depend_on_the_order_of_its_readers():
  x, z = tensor(1200), tensor(1200)
  def results():
    c = (x * 2 + 1).sin()
    return (c.reshape(2, 600).permute(1, 0).reshape(1200) + z).sum(), (c * z).reshape(20, 60).sum(1)
  assert sorted(kinds(*results())) == sorted(kinds(*results()[::-1])) == ["REDUCE", "ROWS"]
