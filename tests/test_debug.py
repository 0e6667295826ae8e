"""What DEBUG prints: the format of docs/debug.md, and that its figures are those of the kernels that ran."""
import os, pathlib, re, subprocess, sys

import numpy as np
import pytest
from teenygrad import Tensor, _engine
from teenygrad.helpers import dtypes

NUMBER = r"(\d+\.\d+|\d+)"
REALIZE = re.compile(rf"^\*\*\* realize +{NUMBER} ms +{NUMBER} MB +(\d+) kernels +(\d+) targets$")
KERNEL = re.compile(rf"^\*\*\* +(\d+) +{NUMBER} ms +{NUMBER} MB +{NUMBER} GB/s +{NUMBER} GFLOP/s +(\d+) %  (\w+) (\(.*?\)) ?(.*?)(\w+):(.*)$")

def tensor(*shape, dtype=np.float32): return Tensor(np.random.default_rng(0).standard_normal(shape).astype(dtype))

@pytest.fixture
def printed(capsys):
  """printed(level, tensor, ...): the lines that realizing the tensors together prints at that level."""
  def run(level, *tensors):
    before = _engine.set_debug(level)
    try:
      capsys.readouterr()
      Tensor.corealize(tensors)
      return capsys.readouterr().out.splitlines()
    finally: _engine.set_debug(before)
  return run

def parse(line):
  match = KERNEL.match(line)
  assert match, line
  index, ms, mb, gbs, gflops, share, kind, shape, over, dtype, ops = match.groups()
  return dict(index=int(index), ms=float(ms), mb=float(mb), gbs=float(gbs), gflops=float(gflops), share=int(share) / 100, kind=kind, shape=shape,
              over=over.strip(), dtype=dtype, ops=ops.strip())

def kernel(lines):
  realize, line = lines
  assert REALIZE.match(realize)
  return parse(line)

class TestLevels:
  def test_nothing_at_0_and_for_what_is_realized(self, printed):
    assert printed(0, tensor(3) + 1) == []
    x = (tensor(3) + 1).realize()
    assert printed(2, x, tensor(4)) == []

  def test_one_line_for_each_realize(self, printed):
    x = tensor(1000, 1000)
    (line,) = printed(1, x.exp(), x.sum(0))
    ms, mb, kernels, targets = REALIZE.match(line).groups()
    assert float(ms) > 0 and (kernels, targets) == ("2", "2")
    assert float(mb) == 12.004

  def test_one_line_for_each_kernel(self, printed):
    x = tensor(64, 64)
    lines = printed(2, x.exp().sum(1), x.dot(x))
    assert [parse(line)["index"] for line in lines[1:]] == [0, 1] and len(lines) == 3
    total = float(REALIZE.match(lines[0])[1])
    assert total == pytest.approx(sum(parse(line)["ms"] for line in lines[1:]), abs=2e-3)

  def test_the_level_can_be_switched(self):
    before = _engine.set_debug(3)
    assert _engine.set_debug(before) == 3
    with pytest.raises(TypeError): _engine.set_debug("2")

  @pytest.mark.parametrize("level, lines", [(None, 0), ("0", 0), ("1", 1), ("2", 2), ("4", 6)])
  def test_the_variable_is_read_at_import(self, level, lines):
    env = {k: v for k, v in os.environ.items() if k != "DEBUG"}
    if level is not None: env["DEBUG"] = level
    script = "from teenygrad import Tensor; (-Tensor([1., 2.])).realize()"
    root = pathlib.Path(_engine.__file__).parent.parent  # the package under test, wherever it was built
    out = subprocess.run([sys.executable, "-c", script], env=env, cwd=root, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(out) == lines
    if lines > 1: assert parse(out[1])["shape"] == "(2,)"

class TestKernelLines:
  @pytest.mark.parametrize("make, kind, shape, over, dtype, ops", [
    (lambda x: (x * 2 + 1).exp(), "MAP", "(6, 8)", "", "float32", "MUL ADD EXP"),
    (lambda x: x.half() + 1, "MAP", "(6, 8)", "", "float16", "CAST ADD CAST"),
    (lambda x: (x * x).sum(1), "REDUCE", "(6,)", "over (8,)", "float32", "MUL | SUM"),
    (lambda x: x.max(0) + 1, "REDUCE", "(8,)", "over (6,)", "float32", "| MAX | ADD"),
    (lambda x: x.dot(x.T).relu(), "CONTRACT", "(6, 6)", "over (8,)", "float32", "MUL | SUM | MAX"),
    (lambda x: x.cumsum(1), "SCAN", "(6,)", "along (8,)", "float32", ""),
    (lambda x: x.exp().argsort(1), "SORT", "(6,)", "along (8,)", "int64", "EXP")])
  def test_what_is_fused(self, printed, make, kind, shape, over, dtype, ops):
    k = kernel(printed(2, make(tensor(6, 8))))
    assert (k["kind"], k["shape"], k["over"], k["dtype"], k["ops"]) == (kind, shape, over, dtype, ops)

  def check_bytes(self, printed, t, nbytes):
    assert kernel(printed(2, t))["mb"] == pytest.approx(nbytes / 1e6, abs=5.1e-4)

  def test_bytes_are_the_distinct_elements_read_and_written(self, printed):
    x, n = tensor(1000, 1000), 1_000_000
    self.check_bytes(printed, x + 1, 8*n)
    self.check_bytes(printed, x + x.T, 8*n)                             # one buffer, read twice
    self.check_bytes(printed, x + tensor(1000), 8*n + 4000)             # broadcast
    self.check_bytes(printed, x[::2] * 2, 4*n)                          # every other row
    self.check_bytes(printed, x.sum(), 4*n + 4)
    self.check_bytes(printed, x.half() + 1, 6*n)
    self.check_bytes(printed, x[:500].pad(((10, 10), (0, 0))) + 1, 2*n + 4*520_000)
    self.check_bytes(printed, Tensor.rand(1000, 1000), 4*n)             # reads nothing
    self.check_bytes(printed, x.dot(tensor(1000, 500)), 4*n + 2*n + 2*n)
    image = tensor(1, 16, 100, 100)                                     # windows overlap: every element once
    self.check_bytes(printed, image.conv2d(tensor(16, 16, 3, 3)), 4*160_000 + 4*16*16*9 + 4*16*98*98)

  def test_speeds_follow_from_bytes_operations_and_time(self, printed):
    x, y = tensor(2000, 2000), tensor(1000, 1000)
    wide = tensor(1000, 1000, dtype=np.float64)
    for t, flops in (((x * 2 + 1), 2*4e6), (x.exp(), 8*4e6), ((x * x).sum(1), 2*4e6), (y.dot(tensor(1000, 500)), 2*1000*1000*500),
                     (wide.dot(wide), 2e9)):
      k = kernel(printed(2, t))
      assert k["ms"] > 0
      assert k["gbs"] == pytest.approx(k["mb"] / k["ms"], rel=0.02, abs=0.01)
      assert k["gflops"] == pytest.approx(flops / 1e6 / k["ms"], rel=0.02, abs=0.01)
      limits = _engine.limits()
      peak = limits["flops_f64" if t.dtype == dtypes.double else "flops_f32"]
      assert k["share"] == pytest.approx(max(k["gbs"] * 1e9 / limits["bytes"], k["gflops"] * 1e9 / peak), abs=0.011)

  def test_large_kernels_stay_below_the_limits(self, printed):
    x = tensor(4096, 4096)
    shares = []
    for _ in range(3):
      for t in (x + 1, x.sum(), x.permute(1, 0) + x): shares.append(kernel(printed(2, t))["share"])
    y = tensor(1024, 1024)
    for _ in range(3): shares.append(kernel(printed(2, y.dot(y)))["share"])
    assert all(0 < share < 3 for share in shares), shares  # the limit may have been measured on a busy machine

  def test_limits_are_measured_once_for_each_setting(self):
    first = _engine.limits()
    assert first == _engine.limits() and set(first) == {"bytes", "flops_f32", "flops_f64"}
    assert 1e8 < first["bytes"] < 1e13 and 1e8 < first["flops_f64"] < 1e15 and first["flops_f64"] < 1.5 * first["flops_f32"]
    isa = _engine.info()["isa"]
    try:
      _engine.set_isa("base")
      assert _engine.limits() != first
    finally: _engine.set_isa(isa)

class TestPrograms:
  def program(self, printed, t):
    lines = printed(4, t)
    assert REALIZE.match(lines[0]) and KERNEL.match(lines[1])
    assert all(line.startswith(" " * 9) for line in lines[2:])
    return [line[9:] for line in lines[2:]]

  def test_map(self, printed):
    assert self.program(printed, (tensor(6, 8).T * 2).exp()) == [
      "body (i0: 8, i1: 6)", "  %0 = LOAD float32 from float32 b0[i0 + 8*i1]", "  %1 = CONST float32 2", "  %2 = MUL float32 %0 %1",
      "  %3 = EXP float32 %2", "  STORE float32 %3 to float32 b1[6*i0 + i1]"]

  def test_masks_are_part_of_an_access(self, printed):
    body, load, *_ = self.program(printed, tensor(6, 8).pad(((1, 0), (0, 2))) + 1)
    assert body == "body (i0: 7, i1: 10)"
    access, conditions = load.split(" where ")
    assert access == "  %0 = LOAD float32 from float32 b0[8*i0 + i1 - 8]"
    assert set(conditions.split(" and ")) == {"0 <= i0 - 1 < 6", "0 <= i1 < 8"}

  def test_levels_of_views(self, printed):
    (_, load, _, _, _) = self.program(printed, tensor(6, 8).T.reshape(16, 3) + 1)
    assert load == "  %0 = LOAD float32 from float32 b0[j0 + 8*j1] with (j0, j1) = 3*i0 + i1 of (8, 6)"

  def test_reduce_with_an_epilogue(self, printed):
    assert self.program(printed, (tensor(6, 800) * 3).sum(1).half() + 1) == [
      "body (i0: 6, r0: 800)", "  %0 = LOAD float32 from float32 b0[800*i0 + r0]", "  %1 = CONST float32 3", "  %2 = MUL float32 %0 %1",
      "SUM float32 over (r0: 800)", "epilogue (i0: 6)", "  %0 = ACC float32", "  %1 = CAST float32 %0 as float16", "  %2 = CONST float32 1",
      "  %3 = ADD float32 %1 %2", "  %4 = CAST float32 %3 as float16", "store float16 b1[i0]"]

  def test_contraction(self, printed):
    assert self.program(printed, tensor(64, 128).dot(tensor(128, 32))) == [
      "product of 0 batch, 1 m and 1 n dims (i0: 64, i1: 32, r0: 128)", "  a = float32 b0[128*i0 + r0]", "  b = float32 b1[i1 + 32*r0]",
      "SUM float32 over (r0: 128)", "store float32 b2[32*i0 + i1]"]

  def test_indices(self, printed):
    lines = self.program(printed, tensor(10)[Tensor(np.array([3, 1]))])
    assert "  %1 = INDEX int64 %0 below 10" in lines and "  %2 = GATHER float32 %1 from float32 b0[0]" in lines

  def test_rows(self, printed):
    lines = self.program(printed, tensor(6, 64).softmax())
    assert [line for line in lines if not line.startswith(" ")] == [
      "phase 0, each point (i0: 6, r0: 64)", "phase 1, each point (i0: 6, r0: 64)", "phase 2, each point (i0: 6, r0: 64)"]
    assert [line.split()[0] for line in lines[4:9]] == ["%0", "%1", "%2", "%3", "KEEP"] and "  %1 = SPREAD float32 local2" in lines
    assert lines[-1] == "  STORE float32 %2 to float32 b1[64*i0 + r0]"

  def test_every_kind_prints(self, printed):
    x = tensor(6, 8)
    index = Tensor(np.array([[0], [1]]))
    for t in (x.cumsum(0), x.cumsum(1), Tensor.rand(3, 3) + Tensor.arange(3), x.gather(index, 1), x.cat(x * 2, dim=1), (x > 0).where(x, 0.5)):
      assert self.program(printed, t)[-1].strip().lower().startswith("store ")
    w = Tensor(np.ones((5, 4), np.float32), requires_grad=True)
    w[Tensor(np.array([1, 1, 2]))].sum().backward()
    assert self.program(printed, w.grad)[-1].startswith(("add into float32 b", "store "))
