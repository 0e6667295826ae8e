"""Layers, state, schedules and clipping beside PyTorch's, with the same weights."""
import collections, math, os, stat, threading
import numpy as np
import pytest
import torch
from teenygrad import Tensor, nn
from teenygrad.helpers import dtypes
from teenygrad.nn import clip, schedule
from teenygrad.nn.optim import SGD, Adam
from teenygrad.nn.state import get_parameters, get_state_dict, load_state_dict

rng = np.random.default_rng(7)
def close(x, y, tol=2e-6):
  y = y.detach().numpy()
  np.testing.assert_allclose(x.numpy(), y, rtol=tol, atol=tol * max(1, abs(y).max(initial=0)))

def copied(ours, theirs):
  """Both layers with the same random parameters; the Tensors by name."""
  own = get_state_dict(ours)
  for name, p in theirs.named_parameters():
    assert own[name].shape == tuple(p.shape) and own[name].requires_grad is not False
    value = rng.normal(size=p.shape).astype(np.float32)
    own[name].assign(value).requires_grad = True
    p.data = torch.tensor(value)
  assert set(own) == set(theirs.state_dict())
  return own

def compare(ours, theirs, *shapes, tol=1e-5, view=lambda t: t):
  """Values, gradients of the input and of all parameters."""
  own = copied(ours, theirs)
  for shape in shapes:
    x = rng.normal(size=shape).astype(np.float32)
    a, b = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    out, want = ours(a), view(theirs(view(b)))
    g = rng.normal(size=tuple(want.shape)).astype(np.float32)
    assert out.shape == tuple(want.shape) and out.dtype == dtypes.float32
    close(out, want, tol)
    for p in (*own.values(), *theirs.parameters()): p.grad = None
    (out * Tensor(g)).sum().backward()
    (want * torch.tensor(g)).sum().backward()
    close(a.grad, b.grad, tol)
    for name, p in theirs.named_parameters(): close(own[name].grad, p.grad, tol)

# *** layers ***

@pytest.mark.parametrize("bias", [True, False])
def test_linear(bias): compare(nn.Linear(5, 3, bias), torch.nn.Linear(5, 3, bias), (4, 5), (5,), (2, 3, 5), (0, 5), (1, 5))

CONVS = [dict(), dict(stride=2), dict(padding=1), dict(padding="same"), dict(padding="same", dilation=2), dict(dilation=2, padding=2), dict(groups=2),
         dict(groups=4, bias=False), dict(stride=(2,), padding=(2,))]

@pytest.mark.parametrize("kw", CONVS, ids=str)
def test_conv1d(kw): compare(nn.Conv1d(4, 8, 3, **kw), torch.nn.Conv1d(4, 8, 3, **kw), (2, 4, 11), (1, 4, 9))

@pytest.mark.parametrize("kw", [*CONVS[:-1], dict(stride=(2, 1), padding=(0, 2)), dict(dilation=(1, 2))], ids=str)
def test_conv2d(kw):
  compare(nn.Conv2d(4, 8, 3, **kw), torch.nn.Conv2d(4, 8, 3, **kw), (2, 4, 7, 8))
  compare(nn.Conv2d(4, 8, (1, 2), **kw), torch.nn.Conv2d(4, 8, (1, 2), **kw), (2, 4, 7, 5))
  compare(nn.Conv2d(4, 4, (2, 1, 3)), torch.nn.Conv3d(4, 4, (2, 1, 3)), (1, 4, 3, 4, 5))

@pytest.mark.parametrize("kw", [dict(), dict(stride=2), dict(stride=2, padding=1, output_padding=1), dict(dilation=2),
                                dict(groups=2, bias=False)], ids=str)
def test_conv_transpose(kw):
  compare(nn.ConvTranspose2d(4, 6, 3, **kw), torch.nn.ConvTranspose2d(4, 6, 3, **kw), (2, 4, 5, 4))
  compare(nn.ConvTranspose1d(4, 6, 3, **kw), torch.nn.ConvTranspose1d(4, 6, 3, **kw), (2, 4, 5))

@pytest.mark.parametrize("momentum", [0.1, 0.7, None])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("track", [True, False])
def test_batchnorm(momentum, affine, track):
  one, two = torch.nn.BatchNorm1d, torch.nn.BatchNorm2d
  for shapes, make in (((6, 3), (2, 3)), one), (((4, 3, 5, 2), (1, 3, 2, 1)), two), (((2, 3, 4),), one):
    kw = dict(eps=1e-3, affine=affine, track_running_stats=track, momentum=momentum)
    ours, theirs = nn.BatchNorm(3, **kw), make(3, **kw)
    for training in (True, True, False, True):
      theirs.train(training)
      with Tensor.train(training): compare(ours, theirs, *shapes, tol=3e-5)
      for name, x in theirs.state_dict().items():
        close(get_state_dict(ours)[name], x)
        if "running" in name or "num" in name: assert get_state_dict(ours)[name].requires_grad is False

def test_batchnorm_is_one_layer():
  assert nn.BatchNorm2d is nn.BatchNorm is nn.BatchNorm3d
  x = nn.BatchNorm(3)
  with Tensor.train(), pytest.raises(ValueError, match=r"more than one value a channel, not \(1, 3\)"): x(Tensor.ones(1, 3))
  with Tensor.train(): assert x(Tensor.ones(0, 3)).shape == (0, 3)
  assert x.num_batches_tracked.item() == 0 and x.num_batches_tracked.dtype == dtypes.int64

@pytest.mark.parametrize("affine", [True, False])
def test_normalisations(affine):
  compare(nn.LayerNorm(6, 1e-3, affine), torch.nn.LayerNorm(6, 1e-3, affine), (4, 6), (2, 3, 6), (6,), tol=3e-5)
  compare(nn.LayerNorm((3, 4), elementwise_affine=affine), torch.nn.LayerNorm((3, 4), elementwise_affine=affine), (2, 3, 4), (2, 5, 3, 4), tol=3e-5)
  compare(nn.GroupNorm(2, 6, 1e-3, affine), torch.nn.GroupNorm(2, 6, 1e-3, affine), (2, 6, 5), (3, 6, 4, 2), (2, 6), tol=3e-5)
  compare(nn.InstanceNorm(3, affine=affine), torch.nn.InstanceNorm2d(3, affine=affine), (2, 3, 4, 5), tol=3e-5)
  compare(nn.RMSNorm(6, 1e-3, affine), torch.nn.RMSNorm(6, 1e-3, affine), (4, 6), (2, 3, 6), tol=3e-5)
  compare(nn.LayerNorm2d(3, elementwise_affine=affine), torch.nn.LayerNorm(3, elementwise_affine=affine), (2, 3, 4, 5), tol=3e-5,
          view=lambda t: t.permute(0, 2, 3, 1) if t.shape[1] == 3 else t.permute(0, 3, 1, 2))

def test_embedding():
  ours, theirs = nn.Embedding(7, 4), torch.nn.Embedding(7, 4)
  own = copied(ours, theirs)
  for idx in (np.array([0, 6, 3, 3]), np.array([[1, 2], [2, 2]]), np.array(5), np.zeros((0, 3), np.int64), np.array([1, 2], np.uint8)):
    out, want = ours(Tensor(idx)), theirs(torch.tensor(idx.astype(np.int64)))
    close(out, want, 0)
    own["weight"].grad = theirs.weight.grad = None
    out.square().sum().backward()
    want.square().sum().backward()
    close(own["weight"].grad, theirs.weight.grad)
  close(ours(Tensor([-1], dtype=dtypes.int32)), theirs.weight[-1:], 0)
  with pytest.raises(TypeError, match="integers, not dtypes.float"): ours(Tensor([1.0]))
  with pytest.raises(IndexError, match="7"): ours(Tensor([7], dtype=dtypes.int32)).realize()

@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_dtypes(dtype):
  """Of the input, with float32 parameters: the larger one; of both, as PyTorch's."""
  ours = getattr(dtypes, dtype)
  layers = [(nn.Linear(4, 4), torch.nn.Linear(4, 4)), (nn.LayerNorm(4), torch.nn.LayerNorm(4)), (nn.RMSNorm(4), torch.nn.RMSNorm(4, 1e-6)),
            (nn.BatchNorm(4), torch.nn.BatchNorm1d(4)), (nn.GroupNorm(2, 4), torch.nn.GroupNorm(2, 4))]
  x = rng.normal(size=(3, 4))
  for a, b in layers:
    own, b = copied(a, b), b.to(getattr(torch, dtype))
    assert a(Tensor(x).cast(ours)).dtype == max(ours, dtypes.float32)
    for p in own.values(): p.assign(p.detach().cast(ours))
    with Tensor.train():
      out, want = a(Tensor(x).cast(ours)), b(torch.tensor(x).to(getattr(torch, dtype)))
    assert out.dtype == ours
    close(out, want.float() if dtype == "bfloat16" else want, {"float16": 4e-3, "bfloat16": 4e-2, "float64": 1e-6}[dtype])

def test_initialisation():
  """Uniform in +-1/sqrt(fan in), as PyTorch's: bounds and standard deviations."""
  pairs = [(nn.Linear(300, 200), torch.nn.Linear(300, 200)), (nn.Conv2d(32, 64, 5, groups=2), torch.nn.Conv2d(32, 64, 5, groups=2)),
           (nn.ConvTranspose2d(32, 64, 5, groups=2), torch.nn.ConvTranspose2d(32, 64, 5, groups=2)),
           (nn.Conv1d(64, 64, 9), torch.nn.Conv1d(64, 64, 9)),
           (nn.Embedding(100, 200), torch.nn.Embedding(100, 200))]
  for ours, theirs in pairs:
    for name, p in theirs.named_parameters():
      x = get_state_dict(ours)[name].numpy()
      many = x.size > 1000
      np.testing.assert_allclose(x.std(), p.std().item(), rtol=0.03 if many else 0.3)
      if not isinstance(ours, nn.Embedding): np.testing.assert_allclose(abs(x).max(), abs(p).max().item(), rtol=0.01 if many else 0.1)

@pytest.mark.parametrize("layer,shape,match", [
  (lambda: nn.Linear(4, 3), (2, 5), r"Linear takes \(\*, 4\), not \(2, 5\)"), (lambda: nn.Linear(4, 3), (), r"Linear takes \(\*, 4\), not \(\)"),
  (lambda: nn.Conv2d(3, 4, 3), (2, 4, 5, 5), r"Conv2d takes \(N, 3\) and 2 more axes, not \(2, 4, 5, 5\)"),
  (lambda: nn.Conv1d(3, 4, 3), (2, 3, 5, 5), "Conv1d takes .* 1 more"),
  (lambda: nn.Conv2d(3, 4, 9), (2, 3, 5, 5), r"\(9, 9\).* larger than \(2, 3, 5, 5\)"),
  (lambda: nn.ConvTranspose2d(3, 4, 3), (2, 4, 5, 5), "ConvTranspose2d takes"), (lambda: nn.BatchNorm(3), (2, 4), r"BatchNorm takes \(N, 3, \*\)"),
  (lambda: nn.BatchNorm(3), (3,), "BatchNorm takes"), (lambda: nn.LayerNorm((3, 4)), (4, 3), r"LayerNorm takes \(\*, 3, 4\), not \(4, 3\)"),
  (lambda: nn.LayerNorm2d(3), (2, 3, 4), "LayerNorm2d takes"), (lambda: nn.GroupNorm(2, 4), (2, 3), "GroupNorm takes"),
  (lambda: nn.InstanceNorm(4), (4,), "InstanceNorm takes"), (lambda: nn.RMSNorm(4), (3,), "RMSNorm takes"),
  (lambda: nn.GroupNorm(3, 4), (), "4 channels in 3 groups"), (lambda: nn.Conv2d(3, 4, 3, groups=2), (), "3 to 4 channels in 2 groups"),
  (lambda: nn.ConvTranspose2d(4, 3, 3, groups=2), (), "4 to 3 channels in 2 groups"),
  (lambda: nn.Conv2d(3, 4, 3, padding="same", stride=2), (), "'same' with stride 2"), (lambda: nn.Conv2d(3, 4, 3, padding="full"), (), "'full'")])
def test_wrong_shapes(layer, shape, match):
  with pytest.raises(ValueError, match=match): layer()(Tensor.ones(*shape))

def test_layers_are_lazy():
  net = [nn.Conv2d(1, 4, 3), nn.BatchNorm(4), Tensor.relu, lambda x: x.flatten(1), nn.Linear(4 * 36, 10)]
  with Tensor.train(): out = Tensor.ones(2, 1, 8, 8).sequential(net)
  assert not out.lazydata.computed and not net[1].running_mean.lazydata.computed
  assert np.isfinite(out.numpy()).all()

class Net:
  def __init__(self):
    self.conv, self.norm, self.head = nn.Conv2d(1, 4, 3), nn.BatchNorm(4), nn.Linear(4 * 36, 3)
  def __call__(self, x): return self.head(self.norm(self.conv(x)).relu().flatten(1))

def test_training():
  """An optimiser takes get_parameters as they are; the running statistics are not trained, but computed along."""
  def run():
    Tensor.manual_seed(1)
    net, losses = Net(), []
    opt = Adam(get_parameters(net), lr=0.01)
    assert len(opt.params) == 6 and len(opt.buffers) == 3
    x, y = Tensor(np.random.default_rng(0).normal(size=(16, 1, 8, 8)).astype(np.float32)), Tensor(np.arange(16) % 3)
    with Tensor.train():
      for _ in range(20):
        opt.zero_grad()
        loss = net(x).cross_entropy(y).backward()
        opt.step()
        losses.append(loss.item())
    assert net.norm.num_batches_tracked.item() == 20 and net.norm.running_mean.lazydata.computed
    return losses
  losses = run()
  assert losses[-1] < losses[0] / 5 and losses == run()

# *** state ***

Pair = collections.namedtuple("Pair", "left right")

def test_state_dict_names():
  a, b = Tensor([1.]), Tensor([2.])
  class Model:
    def __init__(self):
      self.layers, self.map, self.pair, self.same = [a, (b, 3)], {"k": a}, Pair(a, b), a
      self.act, self.module, self.kind, self.n = Tensor.relu, np, Net, 5
  model = Model()
  model.itself = model
  assert {k: id(v) for k, v in get_state_dict(model).items()} == {"layers.0": id(a), "layers.1.0": id(b), "map.k": id(a), "pair.left": id(a),
                                                                 "pair.right": id(b), "same": id(a)}
  assert list(get_state_dict(model, "model.")) == ["model." + k for k in get_state_dict(model)]
  assert get_state_dict(a, "x") == {"x": a} and get_state_dict(3) == {} and len(get_parameters(model)) == 6
  assert get_state_dict(model, tensor_type=int) == {"layers.1.1": 3, "n": 5}

def test_load_state_dict(capsys):
  capsys.readouterr()
  one, two = Net(), Net()
  load_state_dict(two, get_state_dict(one))
  for a, b in zip(get_parameters(one), get_parameters(two)): np.testing.assert_array_equal(a.numpy(), b.numpy())
  state = {k: v.numpy() for k, v in get_state_dict(Net()).items()}
  before = two.head.weight.numpy()
  with pytest.raises(ValueError, match=r"conv.bias has the shape \(4,\), but \(5,\)"): load_state_dict(two, {**state, "conv.bias": np.ones(5)})
  with pytest.raises(KeyError, match="no conv.weight"): load_state_dict(two, {k: v for k, v in state.items() if k != "conv.weight"})
  np.testing.assert_array_equal(two.head.weight.numpy(), before)  # nothing was loaded
  assert not capsys.readouterr().out
  load_state_dict(two, {"head.bias": Tensor([1, 2, 3], dtype=dtypes.float64), "more": 1}, strict=False)
  out = capsys.readouterr().out
  assert "not used: more" in out and "missing" in out and "conv.weight" in out and two.head.bias.dtype == dtypes.float32
  load_state_dict(two, {"head.bias": Tensor([1, 2, 3])}, strict=False, verbose=False)
  assert not capsys.readouterr().out
  load_state_dict(two.head, torch.nn.Linear(144, 3).state_dict())

def test_package_is_optional(tmp_path, monkeypatch):
  monkeypatch.setitem(__import__("sys").modules, "safetensors", None)
  with pytest.raises(ImportError, match=r"pip install 'teenygrad-c\[safetensors\]'"): nn.state.safe_save({}, tmp_path / "x")
  with pytest.raises(ImportError, match="safetensors"): nn.state.safe_load(tmp_path / "x")

class TestFiles:
  @pytest.fixture(autouse=True)
  def _package(self): self.package = pytest.importorskip("safetensors", minversion="0.8")

  def test_every_dtype(self, tmp_path):
    x = rng.integers(0, 2, (3, 4))
    tensors = {d.name: Tensor(x).cast(d) for d in nn.state.SAFE_DTYPES.values()} | {"none": Tensor.ones(0, 3), "number": Tensor(2.5)}
    tensors["view"], tensors["edges"] = Tensor(x).T, Tensor([math.inf, -math.inf, math.nan, -0.0, 1e-40, 3e38])
    nn.state.safe_save(tensors, tmp_path / "a.safetensors", {"format": "pt"})
    back = nn.state.safe_load(str(tmp_path / "a.safetensors"))
    assert set(back) == set(tensors)
    for name, t in tensors.items():
      assert back[name].dtype == t.dtype and back[name].shape == t.shape
      assert back[name].numpy().tobytes() == np.ascontiguousarray(t.numpy()).tobytes()

  def test_a_name_that_the_format_keeps(self, tmp_path):
    with pytest.raises(ValueError, match="__metadata__"): nn.state.safe_save({"__metadata__": Tensor([1.])}, tmp_path / "a")
    assert not list(tmp_path.iterdir())

  def test_beside_the_package(self, tmp_path):
    from safetensors.numpy import load_file, save_file
    from safetensors.torch import load_file as load_torch
    net = Net()
    nn.state.safe_save(get_state_dict(net) | {"half": Tensor([1.5]).cast(dtypes.bfloat16)}, tmp_path / "a")
    theirs = load_torch(tmp_path / "a")
    assert theirs["half"].dtype == torch.bfloat16 and theirs["half"].item() == 1.5
    for k, v in get_state_dict(net).items(): np.testing.assert_array_equal(theirs[k].numpy(), v.numpy())
    save_file({"x": np.arange(6.).reshape(2, 3)}, tmp_path / "b")
    np.testing.assert_array_equal(nn.state.safe_load(tmp_path / "b")["x"].numpy(), load_file(tmp_path / "b")["x"])

  def test_damaged_files(self, tmp_path):
    path = tmp_path / "a"
    nn.state.safe_save({"x": Tensor.arange(100), "y": Tensor.ones(3)}, path)
    whole = path.read_bytes()
    bad = [whole[:n] for n in (0, 4, 8, 20, len(whole) // 2, len(whole) - 1)] + [whole + b"x", b"\xff" * 8 + whole[8:], whole[:8] + b"#" + whole[9:],
          whole.replace(b'"F32"', b'"F3X"'), whole.replace(b"[100]", b"[101]"), b"\x00" * 100]
    for content in bad:
      path.write_bytes(content)
      with pytest.raises(ValueError, match=r"/a is no safetensors file, or damaged"): nn.state.safe_load(path)
    with pytest.raises(FileNotFoundError): nn.state.safe_load(tmp_path / "none")
    data = np.zeros(4, np.uint8)
    spec = self.package.TensorSpec(dtype="float8_e4m3fn", shape=[4], data_ptr=data.ctypes.data, data_len=4)
    path.write_bytes(self.package.serialize({"x": spec}))
    with pytest.raises(ValueError, match="x has elements of F8_E4M3"): nn.state.safe_load(path)

  def test_writes_all_or_nothing(self, tmp_path, monkeypatch):
    path = tmp_path / "a"
    nn.state.safe_save({"x": Tensor([1.])}, path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o666 & ~(os.umask(umask := os.umask(0)) or umask)
    before = path.read_bytes()
    def fails(*_): raise OSError("disk full")
    for what in ("fsync", "replace"):
      with monkeypatch.context() as m:
        m.setattr(os, what, fails)
        with pytest.raises(OSError, match="disk full"): nn.state.safe_save({"x": Tensor([2.])}, path)
      assert path.read_bytes() == before and os.listdir(tmp_path) == ["a"]
    with pytest.raises(TypeError, match="y is no Tensor"): nn.state.safe_save({"x": Tensor([2.]), "y": 3}, path)
    with pytest.raises(IndexError): nn.state.safe_save({"x": nn.Embedding(2, 1)(Tensor([9], dtype=dtypes.int32))}, path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["a"]
    with pytest.raises(OSError): nn.state.safe_save({"x": Tensor([2.])}, tmp_path / "none" / "a")
    (tmp_path / "link").symlink_to(path)
    nn.state.safe_save({"x": Tensor([2.])}, tmp_path / "link")
    assert os.path.islink(tmp_path / "link") and nn.state.safe_load(path)["x"].item() == 2

  def test_a_pipe_stays_one(self, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    nn.state.safe_save({"x": Tensor([2.])}, pipe)
    reader.join()
    assert stat.S_ISFIFO(os.stat(pipe).st_mode) and os.listdir(tmp_path) == ["pipe"]
    (tmp_path / "a").write_bytes(read[0])
    assert nn.state.safe_load(tmp_path / "a")["x"].item() == 2

  def test_what_is_no_dict(self, tmp_path):
    net = Net()
    for call in (lambda: nn.state.load_state_dict(net, net), lambda: nn.state.load_state_dict(net, "a.safetensors"),
                 lambda: nn.state.safe_save(net, tmp_path / "a")):
      with pytest.raises(TypeError, match="a dict of Tensors by name is expected"): call()

def test_layers_take_tensors():
  for layer, shape in ((nn.Linear(2, 3), (4, 2)), (nn.Conv2d(2, 3, 1), (1, 2, 4, 4)), (nn.LayerNorm(2), (4, 2)), (nn.Embedding(3, 2), (4,))):
    for x in (np.zeros(shape, np.float32), torch.zeros(shape)):
      with pytest.raises(TypeError, match=f"{type(layer).__name__} takes a Tensor, not"): layer(x)
  with pytest.raises(TypeError, match=r"integers, not dtypes.float: numbers are so with dtype=dtypes.int32"): nn.Embedding(3, 2)(Tensor.arange(3))

# *** schedules ***

S = torch.optim.lr_scheduler
def optimisers(lr=0.5): return SGD([Tensor([1.], requires_grad=True)], lr=lr), torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=lr)

SCHEDULES = [("StepLR", "StepLR", kw) for kw in (dict(step_size=3), dict(step_size=1, gamma=0.5))] + \
  [("MultiStepLR", "MultiStepLR", kw) for kw in (dict(milestones=[2, 5, 5, 9]), dict(milestones=[0, 4], gamma=0.3), dict(milestones=[7, 3]))] + \
  [("ExponentialLR", "ExponentialLR", dict(gamma=0.9))] + \
  [("CosineAnnealingLR", "CosineAnnealingLR", kw) for kw in (dict(T_max=10), dict(T_max=4, eta_min=0.1), dict(T_max=30))] + \
  [("LinearWarmup", "LinearLR", kw) for kw in (dict(), dict(start_factor=0.1, total_iters=7),
                                                dict(start_factor=1.0, end_factor=0.2, total_iters=1))] + \
  [("OneCycleLR", "OneCycleLR", dict(max_lr=0.3, total_steps=20, **kw)) for kw in
   (dict(), dict(pct_start=0.5, anneal_strategy="linear"), dict(div_factor=3., final_div_factor=10.))]

@pytest.mark.parametrize("name,torchs,kw", SCHEDULES, ids=str)
def test_schedule(name, torchs, kw):
  ours, theirs = optimisers()
  a, b = getattr(schedule, name)(ours, **kw), getattr(S, torchs)(theirs, **kw, **({"cycle_momentum": False} if name == "OneCycleLR" else {}))
  for i in range(20):
    assert ours.lr.shape == (1,) and ours.lr.requires_grad is False
    np.testing.assert_allclose([ours.lr.item(), a.get_last_lr()], b.get_last_lr() * 2, rtol=1e-6, atol=1e-9)
    if i == 19: break
    for opt in (ours, theirs):
      opt.zero_grad()
      (opt.params[0] if opt is ours else opt.param_groups[0]["params"][0]).sum().backward()
      opt.step()
    a.step(), b.step()
  np.testing.assert_allclose(ours.params[0].numpy(), theirs.param_groups[0]["params"][0].detach(), rtol=1e-5)
  again, other = optimisers(0.5)[0], getattr(schedule, name)(optimisers()[0], **kw)
  other = getattr(schedule, name)(again, **kw)
  other.load_state_dict(a.state_dict())
  assert again.lr.item() == ours.lr.item() and other.last_epoch == 19

@pytest.mark.parametrize("kw", [
  dict(patience=2), dict(patience=0, factor=0.5, min_lr=0.05), dict(mode="max", patience=1), dict(patience=1, cooldown=3),
  dict(patience=1, threshold=0.5), dict(patience=1, threshold=0.1, threshold_mode="abs"),
  dict(patience=1, mode="max", threshold=0.3, threshold_mode="abs"),
  dict(patience=0, eps=0.1)], ids=str)
def test_plateau(kw):
  ours, theirs = optimisers()
  a, b = schedule.ReduceLROnPlateau(ours, **kw), S.ReduceLROnPlateau(theirs, **kw)
  for metric in np.random.default_rng(3).normal(size=60).cumsum() * 0.3 + 2:
    a.step(Tensor([float(metric)], dtype=dtypes.float64)), b.step(float(metric))
    np.testing.assert_allclose(a.get_last_lr(), b.get_last_lr()[0], rtol=1e-6)
  assert a.get_last_lr() < 0.5

def test_schedules_refuse():
  opt, _ = optimisers()
  for make in (lambda: schedule.StepLR(opt, 0), lambda: schedule.CosineAnnealingLR(opt, 0), lambda: schedule.LinearWarmup(opt, total_iters=0),
               lambda: schedule.OneCycleLR(opt, 1.0, 0), lambda: schedule.OneCycleLR(opt, 1.0, 5, anneal_strategy="line"),
               lambda: schedule.ReduceLROnPlateau(opt, "less"), lambda: schedule.ReduceLROnPlateau(opt, factor=1.0)):
    with pytest.raises(ValueError): make()
  cycle = schedule.OneCycleLR(opt, 1.0, 2)
  for _ in range(2): cycle.step()  # the usual loop takes one after each step of the optimiser, the last one included
  with pytest.raises(RuntimeError, match="step 3 of a cycle of 2"): cycle.step()
  opt.lr = 0.25  # a number does as well
  assert schedule.StepLR(opt, 1).get_last_lr() == 0.25

# *** clipping ***

@pytest.mark.parametrize("max_norm", [0.1, 3.0, 1e6])
@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.0, math.inf])
def test_clip_grad_norm(max_norm, norm_type):
  values = [rng.normal(size=s).astype(np.float32) for s in ((3, 4), (5,), (), (2, 2))]
  ours, theirs = [Tensor(x, requires_grad=True) for x in values], [torch.tensor(x, requires_grad=True) for x in values]
  for ps in (ours, theirs): sum((p * p * p).sum() for p in ps[:3]).backward()  # the last has no gradient
  norm, want = clip.clip_grad_norm_(ours, max_norm, norm_type), torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
  assert norm.shape == () and not norm.lazydata.computed
  close(norm, want)
  for a, b in zip(ours[:3], theirs): close(a.grad, b.grad)
  assert ours[3].grad is None
  clip.clip_grad_value_(iter(ours), 0.05)
  torch.nn.utils.clip_grad_value_(theirs, 0.05)
  for a, b in zip(ours[:3], theirs): close(a.grad, b.grad)

def test_clip_of_what_is_not_finite():
  w = Tensor([1., 2.], requires_grad=True)
  assert clip.clip_grad_norm_(w, 1.0).item() == 0 and clip.clip_grad_norm_([], 1.0).item() == 0
  (w * math.inf).sum().backward()
  with pytest.raises(RuntimeError, match="norm is inf"): clip.clip_grad_norm_(w, 1.0, error_if_nonfinite=True)
  assert w.grad.numpy().tolist() == [math.inf] * 2
  assert clip.clip_grad_norm_(w, 1.0).item() == math.inf and np.isnan(w.grad.numpy()).all()
