"""What pages, texts and explanations have in common: the operations of each kernel, and what it takes by the machine's limits."""
from __future__ import annotations
import math
from typing import Any, Dict, List, Optional
from teenygrad import _engine

LAUNCH = 3e-6  # seconds that a kernel takes however little it does, about
SHORT = {"float16": "f16", "bfloat16": "bf16", "float32": "f32", "float64": "f64"}

def short_dtype(name: str) -> str: "As in f32."; return SHORT.get(name, name)
def shape_text(shape: Any) -> str: "As in 64×32, or scalar."; return "×".join(map(str, shape)) if shape else "scalar"

def size_text(n: float) -> str:
  """Bytes in the unit that suits them."""
  for unit in ("B", "KB", "MB"):
    if n < 999.5: return f"{n:.0f} {unit}" if n >= 99.5 or unit == "B" else f"{n:.3g} {unit}"
    n /= 1000
  return f"{n:.3g} GB"

def flops_text(n: float) -> str:
  """Operations in the unit that suits them."""
  for unit in ("FLOP", "kFLOP", "MFLOP"):
    if n < 999.5: return f"{n:.3g} {unit}"
    n /= 1000
  return f"{n:.3g} GFLOP"

def time_text(seconds: float) -> str:
  """Seconds in the unit that suits them."""
  for unit, scale in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
    if seconds * scale >= 0.9995 or unit == "µs": return f"{seconds * scale:.3g} {unit}"
  return ""

def limits() -> Dict[str, float]:
  """What the machine can do in a second, measured; zeros where there is no memory to measure it."""
  try: return _engine.limits()
  except MemoryError: return {"bytes": 0., "flops_f32": 0., "flops_f64": 0.}

def estimate(kernel: dict, limit: Dict[str, float]) -> float:
  """The least time that a kernel takes by the machine's limits, in seconds."""
  peak = limit["flops_f64" if kernel["f64"] else "flops_f32"]
  memory = (kernel["read"] + kernel["written"]) / limit["bytes"] if limit["bytes"] else 0.
  return max(memory, kernel["flops"] / peak if peak else 0.) + LAUNCH

def bound(kernel: dict, limit: Dict[str, float]) -> str:
  """Which of the limits is the nearer one."""
  peak = limit["flops_f64" if kernel["f64"] else "flops_f32"]
  if not limit["bytes"] or not peak: return "unknown"
  memory, compute = (kernel["read"] + kernel["written"]) / limit["bytes"], kernel["flops"] / peak
  return "overhead" if max(memory, compute) < LAUNCH else "memory" if memory >= compute else "arithmetic"

def seen_as(source: dict, shape: Any, formula: Optional[str]) -> str:
  """A word for what a view does: repeated, masked, part, reordered; '' for what is seen as it is."""
  if formula is None: return ""
  if " where " in formula: return "masked"
  before, after = math.prod(source["shape"]), math.prod(shape)
  return "repeated" if after > before else "part" if after < before else "reordered" if "*" in formula or "+" in formula else "reshaped"

def operations(description: dict, kernel: int) -> List[dict]:
  """The operations of a kernel, sources first, those included that are computed by several kernels. Each has "node" (its place in the description),
  "op", "dtype", "shape", "origin", "axes", "store" (a slot or None) and "args": dicts of "kind" (op, slot or const), "at" (the node, slot or value),
  "view", "seen" and "shape"."""
  nodes = description["nodes"]
  todo = [i for i, n in enumerate(nodes) if n["kernel"] == kernel and n["stored"]]
  found: Dict[int, dict] = {}
  while todo:
    i = todo.pop()
    if i in found: continue
    n = nodes[i]
    args = []
    for at, shape, view in n["sources"]:
      source = nodes[at]
      arg = {"kind": "op", "at": at, "view": view, "seen": seen_as(source, shape, view), "shape": shape}
      if source["kind"] == "CONST": arg.update(kind="const", at=source["value"])
      elif source["slot"] is not None and source["kernel"] != kernel: arg.update(kind="slot", at=source["slot"])
      else: todo.append(at)
      args.append(arg)
    found[i] = {"node": i, "args": args, "store": n["slot"] if n["stored"] and n["kernel"] == kernel else None,
                **{key: n[key] for key in ("op", "dtype", "shape", "origin", "axes", "target")}}
  return [found[i] for i in sorted(found)]

def slot_nodes(description: dict) -> Dict[int, dict]:
  """The node whose value each slot holds."""
  return {n["slot"]: n for n in description["nodes"] if n["slot"] is not None}

def reason(description: dict, kernel: int) -> str:
  """Why a kernel ends where it does: what keeps its result from being computed along with what reads it."""
  kernels, this = description["kernels"], description["kernels"][kernel]
  stored = [n for n in description["nodes"] if n["kernel"] == kernel and n["stored"]]
  readers = [i for i, k in enumerate(kernels) if i != kernel and set(k["reads"]) & set(this["writes"])]
  if not readers: return "its result is what was asked for" if any(n["target"] for n in stored) else "no other kernel reads it"
  names = f"kernel {readers[0]}" if len(readers) == 1 else f"kernels {', '.join(map(str, readers[:-1]))} and {readers[-1]}"
  first = kernels[readers[0]]
  also = " (and was asked for)" if any(n["target"] for n in stored) else ""
  if what := {"SCAN": "running sum", "SORT": "sort", "SCATTER": "scattered addition"}.get(this["kind"]):
    return f"a {what} needs a loop of its own; {names} read{'s' * (len(readers) == 1)} it{also}"
  if any(n["required"] for n in stored) and first["kind"] == "CONTRACT":
    return f"{names} read{'s' * (len(readers) == 1)} it as a factor of a product, which packs it from memory many times{also}"
  if any(n["required"] for n in stored): return f"{names} look{'s' * (len(readers) == 1)} for it at computed positions or reads its bytes{also}"
  if len(readers) > 1: return f"{names} read it: storing it is cheaper than computing it {len(readers)} times{also}"
  if any(n["kind"] in ("REDUCE",) for n in stored) or this["kind"] in ("CONTRACT", "REDUCE", "ROWS"):
    domain = f"{tuple(first['shape'])} over {tuple(first['reduced'])}" if first["reduced"] else f"{tuple(first['shape'])}"
    return f"{names} runs over another domain, {domain}: each point of it would sum all anew{also}"
  return f"{names} sees it in another order or more than once: storing it is cheaper than computing it again{also}"
