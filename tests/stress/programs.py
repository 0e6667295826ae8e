"""Small programs that between them do everything public, with success and with errors: what references.py repeats and nomemory.py lets fail.

PYTHONPATH=tests/stress python -m pytest tests/stress/programs.py runs each of them once. None needs PyTorch: a debug Python can't count the
references of extensions that are not built for it."""
# ruff: noqa: E501  (tables)
import contextlib, copy, io, os, pickle, sys, warnings

import numpy as np
import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import hostile
from teenygrad import Tensor, _engine
from teenygrad.helpers import dtypes
from teenygrad.lazy import LazyBuffer
from teenygrad.nn import optim
from teenygrad.ops import BinaryOps, LoadOps, ReduceOps, TernaryOps, UnaryOps

A = np.arange(12, dtype=np.float32).reshape(3, 4)
X, Y, INDEX, FAR = LazyBuffer(A), LazyBuffer(A + 1), LazyBuffer(np.array([[0, 1, 2, 0]])), LazyBuffer(np.array([[0, 1, 9, 0]]))
T, LABELS = Tensor(A), Tensor(np.array([0, 3, 1], np.int32))

def rows(): return X.e(BinaryOps.SUB, X.r(ReduceOps.MAX, (3, 1)).expand((3, 4)))
def product(): return X.reshape((3, 1, 4)).expand((3, 3, 4)).e(BinaryOps.MUL, Y.reshape((1, 3, 4)).expand((3, 3, 4))).r(ReduceOps.SUM, (3, 3, 1))

def printed():
  with contextlib.redirect_stdout(io.StringIO()) as out:
    before = _engine.set_debug(4)
    try: _engine.realize([rows(), product(), X.gather(INDEX, 0)])
    finally: _engine.set_debug(before)
  return out.getvalue()

def traced():
  told = []
  before = _engine.set_tracer(told.append)
  try: _engine.realize([rows(), product(), X.gather(INDEX, 0)])
  finally: _engine.set_tracer(before)
  return len(told)

def recorded():
  before = _engine.set_recorder(lambda made: 7)
  try: return rows(), X.cumsum(1), X.contiguous()
  finally: _engine.set_recorder(before)

def levels(x, n):
  for _ in range(n): x = x.reshape((3, 4)).permute((1, 0)).reshape((12,))
  return x

def lent(x, **kw): return LazyBuffer.from_dlpack(x.__dlpack__(max_version=(1, 0), **kw))

# What the extension itself does.
ENGINE = {
  "tracer": traced, "recorder": recorded, "explain": lambda: _engine.explain([rows(), product()]), "node": lambda: [_engine.node(x) for x in (X, rows(), X.const(3))],
  "buffers": lambda: [memoryview(x).tolist() for x in (X, X.permute((1, 0)), X.const(2))], "error_of_buffers": lambda: memoryview(X.cast(dtypes.bfloat16)),
  "dlpack": lambda: [lent(x, copy=copied) for x in (X, X.permute((1, 0))) for copied in (None, False)], "levels": lambda: levels(X.reshape((12,)), 40).realized,
  "dot": lambda: X.dot(Y, False, True).realized, "argsort": lambda: X.argsort(1, True, 2).realized,
  "new": lambda: LazyBuffer(A), "new_from_list": lambda: LazyBuffer(np.array([True, False])), "add": lambda: X.e(BinaryOps.ADD, Y),
  "where": lambda: X.e(BinaryOps.CMPLT, Y).e(TernaryOps.WHERE, X, Y), "reshape": lambda: X.reshape((4, 3)), "expand": lambda: X.reshape((3, 1, 4)).expand((3, 2, 4)),
  "permute": lambda: X.permute((1, 0)), "pad": lambda: X.pad(((0, 1), (1, 0))), "shrink": lambda: X.shrink(((0, 1), (1, 2))), "stride": lambda: X.stride((-1, 2)),
  "window": lambda: X.window((2, 2), (1, 1), (1, 1)).window_adjoint((3, 4), (1, 1), (1, 1)), "reduce": lambda: X.r(ReduceOps.SUM, (1, 4)), "cast": lambda: X.cast(dtypes.float16),
  "const": lambda: X.const(2), "arange": lambda: LazyBuffer.arange(5, dtypes.int32), "rand": lambda: LazyBuffer.loadop(LoadOps.RAND, (3,), dtypes.float32, "CPU", 3),
  "gather": lambda: X.gather(INDEX, 0), "scatter_add": lambda: X.shrink(((0, 1), (0, 4))).scatter_add(INDEX, 0, (3, 4)), "cumsum": lambda: X.cumsum(1),
  "contiguous": lambda: X.permute((1, 0)).contiguous(), "attributes": lambda: (X.shape, X.dtype, X.base, X.computed, X.device, repr(X), hash(X)),
  "realize": lambda: _engine.realize([X.e(BinaryOps.ADD, Y).r(ReduceOps.SUM, (1, 1)), rows(), product()]), "copy_out": lambda: X.e(BinaryOps.MUL, Y).realized.toCPU(),
  "schedule": lambda: [(repr(i), i.chain) for i in _engine.schedule([rows(), product(), X.gather(INDEX, 0)])], "schedule_of_one": lambda: rows().schedule(),
  "figures": lambda: (_engine.memory(), _engine.info(), _engine.pending(), _engine.set_pending(*_engine.set_pending(0, 0))),
  "error_of_shapes": lambda: X.reshape((5,)), "error_of_types": lambda: X.e(BinaryOps.ADD, 3), "error_of_ops": lambda: X.e(UnaryOps.CAST), "error_of_axes": lambda: X.permute((0, 0)),
  "error_of_sizes": lambda: X.shrink([(0, 1)] * 3), "error_of_arrays": lambda: LazyBuffer(np.zeros(2, complex)), "error_of_constants": lambda: X.const("x"),
  "error_of_indices": lambda: X.gather(FAR, 0).realized, "error_of_indices_with_others": lambda: _engine.realize([rows(), X.gather(FAR, 0)]), "error_of_windows": lambda: X.window((1,), 2, 3),
  "error_of_lists": lambda: _engine.realize([X, 3]), "error_of_switches": lambda: _engine.set_isa("none"), "error_of_shapes_that_raise": lambda: X.reshape((hostile.Raising(),)),
  "error_of_lists_that_shrink": lambda: X.reshape(hostile.liar()), "error_of_dtypes": lambda: LazyBuffer.loadop(LoadOps.RAND, (2,), dtypes.int8, "CPU", 1),
}

def trained(make):
  """A program: three steps of the optimiser."""
  def program():
    w, b = Tensor.ones(4, 4, requires_grad=True), Tensor.zeros(4, requires_grad=True)
    opt = make([w, b])
    for _ in range(3):
      loss = ((T @ w + b).relu().layernorm().dropout(.1)).sparse_categorical_crossentropy(LABELS)
      opt.zero_grad()
      loss.backward()
      opt.step()
    return loss.item()
  return program

def gradients():
  x, w = Tensor(A.reshape(1, 1, 3, 4), requires_grad=True), Tensor.ones(2, 1, 2, 2, requires_grad=True)
  (x.conv2d(w, padding=1).max_pool2d().softmax().log().mean() + x[..., 1:].cumsum(0).sum() + x.permute(0, 1, 3, 2).pad2d((1, 1, 0, 0)).std()).backward()
  return x.grad.numpy(), w.grad.numpy()

def written():
  x = Tensor(A)
  x[1:, ::2] = 5
  x[[0, 2]] = Tensor.ones(2, 4)
  x += 1
  return x.assign(x * 2).numpy()

TENSOR = {
  "sgd": trained(lambda p: optim.SGD(p, lr=.1, momentum=.9, nesterov=True)), "adam": trained(optim.Adam), "adamw": trained(optim.AdamW), "lamb": trained(optim.LAMB),
  "gradients": gradients, "debug": printed, "gradients_twice": lambda: [(x * x).sum().backward() for x in [Tensor(A, requires_grad=True)] for _ in range(2)], "written": written,
  "indexing": lambda: [T[key].numpy() for key in (0, -1, (1, 2), slice(None, None, -1), (..., None), [0, 2], (slice(1), [0, 1]), Tensor([1]), T[:, 0] > 3)],
  "lists": lambda: Tensor([[1, 2], [3, 4.5]]), "conversions": lambda: (T.numpy(), repr(T), T[0, 0].item(), float(T[0, 0]), bool(T[0, 0]), np.asarray(T), T + A),
  "pickle_of_a_buffer": lambda: pickle.loads(pickle.dumps(X)), "pickles": lambda: [pickle.loads(pickle.dumps(t)) for t in (T, T * 2, Tensor.ones(2, requires_grad=True))], "copies": lambda: (copy.copy(T), copy.deepcopy(T * 2)),
  "random": lambda: [f(3, 4).numpy() for f in (Tensor.rand, Tensor.randn, Tensor.scaled_uniform, Tensor.kaiming_normal)], "cycle": lambda: vars(t := Tensor(A) * 2).__setitem__("me", t) if hasattr(Tensor(A), "__dict__") else None,
  "error_of_shapes": lambda: T + Tensor.ones(5), "error_of_indices": lambda: T[7], "error_of_indices_when_computed": lambda: T[Tensor([9])].numpy(), "error_of_backward": lambda: Tensor(A, requires_grad=True).backward(),
  "error_of_lists": lambda: Tensor([[1, 2], [3]]), "error_of_objects": lambda: Tensor(np.array([None])), "error_of_operands": lambda: T @ "a", "error_in_a_graph": lambda: (T * 2 + T[Tensor([9])]).exp().sum().item(),
}
PROGRAMS = {**{"engine." + name: f for name, f in ENGINE.items()}, **{"tensor." + name: f for name, f in TENSOR.items()}}

# Some of the arguments of hostile.py; fresh ones each time, as some are used up.
def wrong_arguments(): return [None, "ab", -1, 2**63, float("nan"), (2**62, 4), (1,) * 40, [1, [2]], hostile.liar(), hostile.Raising(), [hostile.Raising()], Tensor.ones(7), A[::-1, ::2], (x for x in (2, 3)), dtypes.int8]

def outcome(f, *args, **kwargs):
  """The type of the exception that the call raised, or None; results are computed."""
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    try: hostile.look(f(*args, **kwargs))
    except Exception as e:
      assert not (wrong := hostile.verdict(e)), wrong
      return type(e)

@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name): assert (outcome(PROGRAMS[name]) is not None) == ("error" in name)

ENTRIES = pytest.mark.parametrize("get", [get for _, get in hostile.entries()], ids=[name for name, _ in hostile.entries()])

@ENTRIES
def test_entry(get):
  """Good arguments, with each kind of tensor."""
  for subject in hostile.subjects():
    f = get(subject)
    known = hostile.parameters(f) or []
    outcome(f, *(hostile.good(p.name) for p in known if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.POSITIONAL_ONLY)))

@ENTRIES
def test_entry_with_wrong_arguments(get):
  subject = Tensor(A[:2, :3].copy())
  for value in wrong_arguments():
    for args, kwargs in hostile.calls(get(subject), value): outcome(get(subject), *args, **kwargs)
