"""A recording, or what is still to be computed, as one HTML file that needs nothing else: the data as JSON in page.html, which draws them."""
from __future__ import annotations
import html, json, os, platform, re, sys, time
from typing import Any, Dict, List, Optional
from teenygrad import _engine
from teenygrad.arguments import shown
from teenygrad.viz import model
from teenygrad.viz.recording import LINES, Recording, Schedule, join, short, write_file

MOST_SCHEDULES = 40     # on a page, those that took most time
MOST_OPERATIONS = 3000  # of a schedule; one of more shows its kernels only
MOST_LINES = 300        # of a kernel's program
MOST_MOMENTS = 600      # of the time line

class Picture:
  """A page about a recording. `save` writes it, a notebook shows it."""
  def __init__(self, recording: Recording, title: Optional[str] = None, pending: bool = False):
    self.recording, self.title, self.pending = recording, title, pending

  @classmethod
  def of(cls, *tensors: Any) -> Picture:
    """What would compute the tensors; nothing is computed. ValueError if they all are."""
    description = describe(*tensors)
    recording = Recording()
    recording.schedules.append(Schedule(description))
    what = "A tensor" if len(tensors) == 1 else f"{len(tensors)} tensors"
    return cls(recording, title=f"{what}, still to be computed", pending=True)

  def data(self) -> dict:
    """All that the page shows."""
    return page_data(self.recording, self.title, self.pending)
  def html(self) -> str:
    """The page."""
    with open(os.path.join(os.path.dirname(__file__), "page.html"), encoding="utf-8") as f: template = f.read()
    data = self.data()
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    filled = {"title": html.escape(data["title"]), "data": text}
    return re.sub(r"\{\{(title|data)\}\}", lambda match: filled[match[1]], template)
  def save(self, path: str) -> None:
    """Writes the page; the data alone for a name that ends in .json. OSError, and what was there before stays, if that fails."""
    write_file(path, json.dumps(self.data(), allow_nan=False) if str(path).endswith(".json") else self.html())
  def _repr_html_(self) -> str:
    return f'<iframe srcdoc="{html.escape(self.html())}" style="width:100%;height:720px;border:1px solid #8884;border-radius:8px"></iframe>'

def describe(*tensors: Any) -> dict:
  """What would compute the tensors, as the engine tells it, but for the times. ValueError if they all are computed."""
  if not tensors: raise TypeError("a tensor is expected")
  for t in tensors:
    if not hasattr(t, "lazydata") and not isinstance(t, _engine.LazyBuffer): raise TypeError(f"a Tensor is expected, not {shown(t)}")
  description = _engine.explain([getattr(t, "lazydata", t) for t in tensors])
  if description is None or not description["kernels"]: raise ValueError("there is nothing to compute: the value is at hand")
  return {**description, "what": "pending", "targets": len(tensors), "asked": 0., "planned": 0.}

def _number(x: Any) -> Any:
  """A constant as JSON has it."""
  return x if not isinstance(x, float) or x - x == 0 else str(x)

def _operation(op: dict, lines: "_Lines") -> dict:
  args = [{"k": a["kind"][0], "at": _number(a["at"]), "v": a["view"], "s": a["seen"], "sh": list(a["shape"])} for a in op["args"]]
  return {"n": op["node"], "op": op["op"], "dt": op["dtype"], "sh": list(op["shape"]), "ln": lines.use(op["origin"]), "ax": list(op["axes"]),
          "st": op["store"], "t": op["target"], "a": args}

class _Lines:
  """The lines that a page shows, numbered anew from 1."""
  def __init__(self) -> None:
    self.found: Dict[int, int] = {}
    self.data: List[dict] = []
  def use(self, number: int) -> int:
    line = LINES[number] if 0 < number < len(LINES) else None
    if line is None: return 0
    if number not in self.found:
      self.found[number] = len(self.found) + 1
      row: Dict[str, Any] = {"file": short(line.file), "line": line.line, "in": line.function, "code": line.code[:200], "call": line.call, "of": 0}
      self.data.append(row)
      row["of"] = self.use(line.of)
    return self.found[number]

def _kernel(schedule: Schedule, i: int, lines: _Lines, limit: Dict[str, float], whole: bool) -> dict:
  d = schedule.description
  k = d["kernels"][i]
  ops = model.operations(d, i) if whole else []
  program = k["program"] if len(k["program"]) <= MOST_LINES else [*k["program"][:MOST_LINES], f"... and {len(k['program']) - MOST_LINES} lines more"]
  return {"kind": k["kind"], "shape": list(k["shape"]), "reduced": list(k["reduced"]), "dtype": k["dtype"], "text": k["text"],
          "fused": k["text"].partition(": ")[2], "program": program, "reads": k["reads"], "writes": k["writes"], "chain": k["chain"],
          "bytes": k["read"] + k["written"], "read": k["read"], "written": k["written"], "flops": k["flops"], "f64": k["f64"],
          "seconds": schedule.typical(i) if schedule.count else None, "best": schedule.best[i] if schedule.count else None,
          "all": schedule.seconds[i] if schedule.count else None,
          "memory": k.get("memory"), "estimate": model.estimate(k, limit), "bound": model.bound(k, limit), "why": model.reason(d, i),
          "ops": [_operation(op, lines) for op in ops]}

def _schedule(number: int, schedule: Schedule, lines: _Lines, limit: Dict[str, float]) -> dict:
  d = schedule.description
  whole = len(d["nodes"]) <= MOST_OPERATIONS
  nodes = model.slot_nodes(d)
  slots = []
  for i, slot in enumerate(d["slots"]):
    node = nodes.get(i, {"dtype": "", "shape": (), "origin": 0})
    slots.append({"dt": node["dtype"], "sh": list(node["shape"]), "ln": lines.use(node["origin"]), "bytes": slot["bytes"], "w": slot["writer"],
                  "local": slot["local"], "keep": slot["keep"]})
  return {"number": number, "what": d["what"], "targets": d["targets"], "count": schedule.count, "seconds": schedule.total,
          "planning": schedule.planning, "whole": whole, "nodes": len(d["nodes"]), "slots": slots, "chains": d["chains"],
          "asked": lines.use(max((n["origin"] for n in d["nodes"] if n["target"]), default=0)),
          "kernels": [_kernel(schedule, i, lines, limit, whole) for i in range(len(d["kernels"]))]}

def page_data(recording: Recording, title: Optional[str] = None, pending: bool = False) -> dict:
  """What the page shows, as plain data."""
  limit, lines, moments = model.limits(), _Lines(), recording.moments
  shown = sorted(enumerate(recording.schedules, 1), key=lambda pair: -pair[1].total)[:MOST_SCHEDULES]
  left = [s for s in recording.schedules if all(s is not other for _, other in shown)]
  while len(moments) > MOST_MOMENTS: moments = [join(*moments[i:i + 2]) for i in range(0, len(moments), 2)]
  numbers, begin = {id(s): n for n, s in shown}, moments[0].start if moments else 0.
  info = _engine.info()
  return {"title": title or os.path.basename(sys.argv[0] or "python"), "pending": pending, "when": time.strftime("%Y-%m-%d %H:%M"),
          "python": platform.python_version(), "isa": info["isa"], "threads": info["threads"], "limits": limit,
          "schedules": [_schedule(n, s, lines, limit) for n, s in shown], "realizes": recording.realizes, "seconds": recording.seconds,
          "distinct": len(recording.schedules) + recording.dropped[0],
          "left": {"schedules": len(left) + recording.dropped[0], "realizes": sum(s.count for s in left) + recording.dropped[1],
                   "seconds": sum(s.total for s in left) + recording.dropped[2]},
          "moments": [[round(m.start - begin, 6), round(m.stop - begin, 6), m.seconds, m.bytes, m.left, numbers.get(id(m.schedule), 0)]
                      for m in moments],
          "lines": lines.data}
