"""Chrome trace events: what the threads did when, for Perfetto and chrome://tracing.

One row is for each Python thread that computed (planning, then each kernel), one for each of the engine's workers (the loops it had a part in), and
counters show the data there was. Times are microseconds from the first event."""
from __future__ import annotations
import json, os, sys, threading
from typing import TYPE_CHECKING, Any, Dict, List
from teenygrad.viz import model
from teenygrad.viz.recording import line_text
if TYPE_CHECKING: from teenygrad.viz.recording import Recording

WORKERS = 1_000_000  # the row of worker n is this plus n: above the numbers of threads made here

def events_of(description: dict, left: int) -> List[dict]:
  """The events of one realize: dicts with "name", "begin" and "end" in seconds, "row" (a thread's ident or a worker's number) and "args"; counters
  have no row. left: bytes of data there are now."""
  thread, kernels = ("thread", description["thread"], threading.current_thread().name), description["kernels"]
  total = sum(k["seconds"] for k in kernels)
  asked = [line_text(n["origin"]) for n in description["nodes"] if n["target"]]
  events: List[dict] = [
    dict(name=description["what"], begin=description["asked"], end=description["told"], row=thread, cat="realize",
         args={"kernels": len(kernels), "targets": description["targets"], "line": next(filter(None, reversed(asked)), ""),
               "ms in kernels": total * 1e3}),
    dict(name="plan", begin=description["asked"], end=description["planned"], row=thread, cat="engine",
         args={"operations": len(description["nodes"])}),
    dict(name="note", begin=description["planned"], end=description["begun"], row=thread, cat="recording", args={})]
  for i, k in enumerate(kernels):
    seconds, nbytes = max(k["seconds"], 1e-9), k["read"] + k["written"]
    lines = sorted({text for n in description["nodes"] if n["kernel"] == i and (text := line_text(n["origin"]))})
    events.append(dict(name=f"{k['kind']} {model.shape_text(k['shape'])}", begin=k["start"], end=k["start"] + k["seconds"], row=thread, cat="kernel",
                       args={"kernel": i, "what": k["text"], "MB": nbytes / 1e6, "GB/s": nbytes / seconds / 1e9,
                             "GFLOP/s": k["flops"] / seconds / 1e9, "lines": lines, **({} if k["chain"] is None else {"chain": k["chain"]})}))
    events.append(dict(name="memory", begin=k["start"], counter=k["memory"]))
  if kernels: events.append(dict(name="memory", begin=description["done"], counter=left))
  for worker, start, stop, tasks in description["spans"]:
    if worker: events.append(dict(name=_at(kernels, start), begin=start, end=stop, row=("worker", worker, ""), cat="worker", args={"tasks": tasks}))
  return events

def _at(kernels: List[dict], moment: float) -> str:
  """The name of the kernel that ran then."""
  found = [k for k in kernels if k["start"] <= moment <= k["start"] + k["seconds"]]
  if not found: return "loop"
  if found[-1]["chain"] is not None: return f"chain {found[-1]['chain']}"
  return f"{found[-1]['kind']} {model.shape_text(found[-1]['shape'])}"

def trace_json(recording: Recording) -> str:
  """The trace as text."""
  origin = min((e["begin"] for e in recording.events), default=0.)
  rows: Dict[tuple, int] = {}
  pid = os.getpid()
  def row(key: tuple) -> int:
    if key[:2] not in rows: rows[key[:2]] = WORKERS + key[1] if key[0] == "worker" else 1 + sum(k[0] == "thread" for k in rows)
    return rows[key[:2]]
  def microseconds(t: float) -> float: return round((t - origin) * 1e6, 3)
  names: Dict[int, str] = {}
  events: List[Dict[str, Any]] = []
  for e in recording.events:
    at = {"name": e["name"], "ts": max(0., microseconds(e["begin"])), "pid": pid}
    if "counter" in e: events.append({**at, "ph": "C", "tid": 0, "args": {"data, MB": e["counter"] / 1e6}})
    else:
      tid = row(e["row"])
      names[tid] = f"worker {e['row'][1]}" if e["row"][0] == "worker" else f"{e['row'][2]} (computing)"
      events.append({**at, "ph": "X", "dur": max(0., round((e["end"] - e["begin"]) * 1e6, 3)), "tid": tid, "cat": e["cat"], "args": e["args"]})
  events.sort(key=lambda e: (e["ts"], -e.get("dur", 0)))
  labels: List[tuple] = [(0, "process_name", {"name": os.path.basename(sys.argv[0] or "python")})]
  for tid, name in sorted(names.items()): labels += [(tid, "thread_name", {"name": name}), (tid, "thread_sort_index", {"sort_index": tid})]
  meta = [{"name": name, "ph": "M", "pid": pid, "tid": tid, "ts": 0, "args": args} for tid, name, args in labels]
  other = {"realizes": recording.realizes, "realizes left out": recording.dropped_events, "limits": model.limits()}
  return json.dumps({"traceEvents": meta + events, "displayTimeUnit": "ms", "otherData": other}, allow_nan=False)
