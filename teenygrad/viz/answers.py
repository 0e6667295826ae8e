"""Why a tensor is as it is: computed or not and by what, where its first NaN or infinity comes from, and why it has no gradient."""
from __future__ import annotations
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple
import numpy as np
from teenygrad import _engine
from teenygrad.arguments import shown
from teenygrad.helpers import prod
from teenygrad.tensor import Tensor
from teenygrad.viz import model, recording
from teenygrad.viz.recording import LINES, line_text

MOST_NODES = 20_000     # of a graph walked through for a NaN
MOST_ELEMENTS = 1 << 26  # of a value looked at; a larger one is judged by what it is made of
AT_ONCE = 64            # values looked at in one realize

NOTED = "they are noted within viz.record() or with GRAPH only"

class Answer(str):
  """A text that shows itself as it is, in a console too."""
  def __repr__(self) -> str: return str(self)

def explain(t: Any, loss: Any = None, values: bool = False) -> Answer:
  """The answer for a Tensor, as Tensor.why. TypeError for anything else."""
  for x in (t,) if loss is None else (t, loss):
    if not isinstance(x, Tensor): raise TypeError(f"a Tensor is expected, not {shown(x)}")
  with recording.paused():
    parts = [_summary(t), *_computation(t)]
    try: parts += _values(t) if values or t.lazydata.computed else []
    except (IndexError, MemoryError) as e: parts.append(f"Its values can't be looked at: {type(e).__name__}: {e}")
    return Answer("\n".join([*parts, *_gradient(t, loss)]))

def _source(origin: int) -> str:
  """A line of the program with its text; '' if it is not known."""
  line = LINES[origin] if 0 < origin < len(LINES) else None
  if line is None: return ""
  return f"{line_text(origin)}  {line.code}" + (f"  (gradient of {line_text(line.of)}  {LINES[line.of].code})" if line.of else "")  # type: ignore[union-attr]

def _summary(t: Any) -> str:
  ctx = getattr(t, "_ctx", None)
  made = f", made by {type(ctx).__name__}" if ctx is not None else ""
  origin = _source(_engine.node(t.lazydata)["origin"])
  return f"A Tensor of shape {t.shape}, {t.dtype}{made}." + (f"\nAsked for by {origin}" if origin else "")

# *** computed or not ***

def _computation(t: Any) -> List[str]:
  if t.lazydata.computed:
    what = "a constant, never stored" if _engine.node(t.lazydata)["kind"] == "CONST" else model.size_text(t.nbytes())
    return [f"It is computed: {what}."]
  d, limit = _engine.explain([t.lazydata]), model.limits()
  if d is None or not d["kernels"]: return ["It is not computed, but needs no kernel: its value is at hand as another tensor's."]
  from teenygrad.viz.terminal import heading
  total, n = sum(model.estimate(k, limit) for k in d["kernels"]), len(d["kernels"])
  out = [f"It is not computed yet. Reading it runs {n} kernel{'s' * (n != 1)} of at least {model.time_text(total)} in all:"]
  for i in range(min(n, 12)):
    out.append(f"  {i}  {heading(d, i, limit)}")
    out.append(f"     {d['kernels'][i]['text']}")
    out.append(f"     A kernel of its own: {model.reason(d, i)}.")
    lines = dict.fromkeys(filter(None, (_source(op["origin"]) for op in model.operations(d, i))))
    out += [f"     from {text}" for text in list(lines)[:6]] + [f"     and {len(lines) - 6} lines more"] * (len(lines) > 6)
  if n > 12: out.append(f"  and {n - 12} kernels more (viz.text shows all)")
  if not any(node["origin"] for node in d["nodes"]): out.append(f"  The program's lines are not known: {NOTED}.")
  return out

# *** the first NaN ***

class Node(NamedTuple):
  """A value of a graph: an operation's or, where the engine has let go of those, a differentiable function's."""
  id: int
  op: str
  origin: int
  value: Any                # LazyBuffer
  sources: List[int]
  constant: bool

def _functions(t: Any) -> Dict[int, Tuple[str, list]]:
  """By the node of a result: the differentiable function that gave it and its operands' LazyBuffers. Views give no node of their own."""
  found: Dict[int, Tuple[str, list]] = {}
  todo, seen = [t], set()
  while todo:
    at = todo.pop()
    ctx = getattr(at, "_ctx", None)
    if ctx is None or id(at) in seen: continue
    seen.add(id(at))
    todo += ctx.parents
    own, parents = _engine.node(at.lazydata)["id"], [p.lazydata for p in ctx.parents]
    if all(_engine.node(p)["id"] != own for p in parents): found[own] = (type(ctx).__name__, parents)
  return found

def _graph(t: Any) -> List[Node]:
  """All that the tensor is made of and that is still known, sources first."""
  functions, kept = _functions(t), recording.kept_nodes()
  found: Dict[int, Node] = {}
  todo: List[Tuple[Any, bool]] = [(t.lazydata, False)]
  while todo and len(found) < MOST_NODES:
    buffer, expanded = todo.pop()
    d = _engine.node(buffer)
    if d["id"] in found: continue
    known = kept.get(d["id"], d) if not d["sources"] else d
    op, origin, sources = known["op"], d["origin"] or known["origin"], known["sources"]
    if not sources and d["id"] in functions: op, sources = functions[d["id"]]
    if expanded or not sources: found[d["id"]] = Node(d["id"], op, origin, d["whole"], [_engine.node(s)["id"] for s in sources], d["kind"] == "CONST")
    else: todo += [(buffer, True), *((s, False) for s in sources)]
  return list(found.values())

def _flags(x: Any) -> tuple:
  """How many of a Tensor's values are NaN and how many are no numbers at all, as Tensors."""
  return (x != x).float().sum(), (x * 0 != x * 0).float().sum()

def _counts(nodes: List[Node]) -> Iterator[Tuple[Node, Optional[Tuple[float, float]]]]:
  """Of each node how many NaN and how many infinities its value has; None for one that is too large to look at."""
  from teenygrad.tensor import Tensor
  for start in range(0, len(nodes), AT_ONCE):
    some = nodes[start:start + AT_ONCE]
    asked: List[Optional[tuple]] = []
    for n in some:
      x = Tensor(n.value)
      if prod(x.shape) > MOST_ELEMENTS: asked.append(None)
      else: asked.append(_flags(x) if x.dtype.priority >= 9 else ())
    Tensor.corealize([f for flags in asked if flags for f in flags])
    for n, flags in zip(some, asked):
      if flags is None: yield n, None
      elif not flags: yield n, (0, 0)
      else: yield n, (nan := flags[0].item(), flags[1].item() - nan)

def _values(t: Any) -> List[str]:
  """Whether all values are finite, and if not what made the first that is none."""
  from teenygrad.tensor import Tensor
  if t.dtype.priority < 9: return []
  if prod(t.shape) > MOST_ELEMENTS: return [f"Its {prod(t.shape):,} values are too many to be looked at."]
  own = Tensor(t.lazydata)
  nan, bad = (flag.item() for flag in _flags(own))
  if not bad: return ["All its values are finite."]
  if prod(t.shape) == 1: out = [f"Its value is {'NaN' if nan else 'infinite'}."]
  else:
    kinds = [f"{n:.0f} {'are' if n > 1 else 'is'} {what}" for n, what in ((nan, "NaN"), (bad - nan, "infinite")) if n]
    out = [f"Of its {prod(t.shape):,} values {' and '.join(kinds)}."]
  graph = _graph(t)
  counts: Dict[int, Tuple[float, float]] = {}
  for n, found in _counts(graph):
    below = [counts[s] for s in n.sources if s in counts]
    counts[n.id] = found if found is not None else (max((b[0] for b in below), default=0), max((b[1] for b in below), default=0))
  by_id = {n.id: n for n in graph}
  at, want = by_id[_engine.node(t.lazydata)["id"]], 0 if nan else 1  # follow NaN as far as they go, then infinities
  said = False
  while True:
    following = [s for s in at.sources if s in counts and counts[s][want]]
    if following: at = by_id[following[0]]
    elif want == 0 and any(counts[s][1] for s in at.sources if s in counts):
      out += _culprit(at, by_id, counts, "NaN")
      want, said = 1, True
    else: break
  what = "NaN" if want == 0 else "infinity"
  if not at.sources and not at.constant:
    where = _source(at.origin)
    if at.id == _engine.node(t.lazydata)["id"]:
      out.append("What it was computed from is no longer known: compute it within viz.record(keep=True), or ask before backward().")
    else:
      where = f", from {where}" if where else ""
      out.append(f"The {'' if said else 'first '}{what} is in a value at hand of shape {tuple(at.value.shape)}{where}.")
  else: out += _culprit(at, by_id, counts, what)
  return out

def _culprit(n: Node, by_id: Dict[int, Node], counts: Dict[int, Tuple[float, float]], what: str) -> List[str]:
  """What made the first one, of which operands, and where the first is."""
  from teenygrad.tensor import Tensor
  if n.constant: return [f"The {what} is a constant" + (f" of {_source(n.origin)}" if n.origin else "") + "."]
  where = _source(n.origin)
  out = [f"The first {what} comes from {n.op}{' in ' + where if where else f' (of lines that are not known: {NOTED})'}."]
  value = Tensor(n.value).float() if prod(n.value.shape) <= MOST_ELEMENTS else None
  place = None
  if value is not None:
    array = value.numpy()
    hits = np.argwhere(np.isnan(array) if what == "NaN" else np.isinf(array))
    place = tuple(map(int, hits[0])) if len(hits) else None
    if place is not None: out.append(f"  At index {place}" + (f", one of {len(hits):,} places" if len(hits) > 1 else "") + ".")
  for s in dict.fromkeys(n.sources):
    source = by_id.get(s)
    if source is None or prod(source.value.shape) > MOST_ELEMENTS or not prod(source.value.shape): continue
    array = Tensor(source.value).float().numpy()
    if np.isnan(array).all(): continue
    low, high = np.nanmin(array), np.nanmax(array)
    text = f"{low:.6g}" if low == high else f"between {low:.6g} and {high:.6g}"
    out.append(f"  An operand of it, {source.op} of shape {tuple(source.value.shape)}: {text}.")
  return out

# *** the gradient ***

def _gradient(t: Any, loss: Any) -> List[str]:
  if t.grad is not None:
    state = "computed" if t.grad.lazydata.computed else "not computed yet"
    return [f"Its grad is there, {state}."] + ([] if loss is None else _reached(t, loss))
  if t.dtype.priority < 9: return [f"Its grad is None: {t.dtype} is no float, and only floats have gradients."]
  if not t.requires_grad:
    if t.requires_grad is None: why = "nobody asked for one: make it with requires_grad=True, or give it to an optimiser"
    else: why = ("requires_grad is False: it was made so or by detach(), or computed under Tensor.no_grad, "
                 "or from tensors none of which requires a gradient")
    return [f"Its grad is None: {why}.", *_no_grad(Tensor)]
  if loss is not None: return _reached(t, loss)
  if not hasattr(t, "_ctx"):
    return ["Its grad is None, although backward() has passed through it: no gradient reached it, or it was set to None since."]
  return ["Its grad is None: no backward() from a loss that is computed from it has run since it was made, or since zero_grad().",
          "why(loss) tells whether a loss reaches it.", *_no_grad(Tensor)]

def _no_grad(cls: Any) -> List[str]:
  return ["Tensor.no_grad is on: what is computed now has no graph for backward."] if cls.no_grad else []

def _reached(t: Any, loss: Any) -> List[str]:
  """Whether a gradient gets from the loss to the tensor; if not, where the way is cut."""
  seen: Dict[int, Any] = {}
  todo = [loss]
  while todo:
    at = todo.pop()
    if id(at) in seen: continue
    seen[id(at)] = at
    if getattr(at, "_ctx", None) is not None: todo += at._ctx.parents
  if id(t) in seen:
    if not loss.requires_grad: return ["The loss itself requires no gradient."]
    return ["The loss is computed from it: loss.backward() gives it a grad."] if t.requires_grad else []
  if not hasattr(loss, "_ctx"):
    there = "the grad there is came from it, or from another loss" if t.grad is not None else "the tensor has no grad, so it was no part of that"
    return [f"backward() has run through this loss and freed its graph; {there}."]
  own = _engine.node(t.lazydata)["id"]
  for at in seen.values():
    if getattr(at, "_ctx", None) is None and any(n.id == own for n in _graph(at)):
      where = _source(_engine.node(at.lazydata)["origin"])
      return ["The loss depends on its value, but the way back is cut" + (f" at {where}" if where else f" at a tensor of shape {at.shape}")
              + ": by detach(), by Tensor.no_grad, or by an operation without a gradient (a comparison, a cast to integers, an index).",
              *_no_grad(type(loss))]
  if loss._ctx is None: return [f"The loss has no graph: its requires_grad is {loss.requires_grad}.", *_no_grad(type(loss))]
  return ["The loss is not computed from it, as far as its graph is known. Was another tensor used, or a copy of the values (numpy(), assign)?"]
