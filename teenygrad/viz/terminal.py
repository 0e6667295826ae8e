"""What would compute a tensor, as plain text."""
from __future__ import annotations
import shutil
from typing import Any, List
from teenygrad.viz import model
from teenygrad.viz.page import describe
from teenygrad.viz.recording import LINES, line_text

def schedule_text(*tensors: Any) -> str:
  """The kernels in their order, each with its operations, where they come from, what it has to do and why it is a kernel of its own."""
  d, limit = describe(*tensors), model.limits()
  kernels = d["kernels"]
  total = sum(model.estimate(k, limit) for k in kernels)
  out = [f"{len(kernels)} kernel{'s' * (len(kernels) != 1)}, {model.size_text(sum(k['read'] + k['written'] for k in kernels))}, "
         f"{model.flops_text(sum(k['flops'] for k in kernels))}: at least {model.time_text(total)} by this machine's limits"]
  for chain in d["chains"]: out.append(f"kernels {chain['first']} to {chain['first'] + chain['count'] - 1}: a {chain['text']}")
  for i in range(len(kernels)): out += ["", *_kernel_lines(d, i, limit)]
  return "\n".join(out)

def heading(d: dict, i: int, limit: dict) -> str:
  """A line about a kernel."""
  k = d["kernels"][i]
  joined = "along" if k["kind"] in ("SCAN", "SORT") else "over"
  domain = model.shape_text(k["shape"]) + (f" {joined} {model.shape_text(k['reduced'])}" if k["reduced"] else "")
  return (f"{k['kind']} {domain} {model.short_dtype(k['dtype'])}: {model.size_text(k['read'] + k['written'])}, {model.flops_text(k['flops'])}, "
          f"at least {model.time_text(model.estimate(k, limit))}, bound by {model.bound(k, limit)}")

def _kernel_lines(d: dict, i: int, limit: dict) -> List[str]:
  slots = model.slot_nodes(d)
  def buffer(slot: int) -> str:
    node = slots.get(slot)
    return f"b{slot}" + (f" ({model.shape_text(node['shape'])} {model.short_dtype(node['dtype'])})" if node else "")
  rows, names = [], {}
  for n, op in enumerate(model.operations(d, i)):
    names[op["node"]] = f"%{n}"
    args = []
    for a in op["args"]:
      if a["kind"] == "const": args.append(f"{a['at']:.6g}")
      else: args.append((names[a["at"]] if a["kind"] == "op" else buffer(a["at"])) + (f" {a['seen']}" if a["seen"] else ""))
    over = f" over axis {', '.join(map(str, op['axes']))}" if op["axes"] and op["op"] in ("SUM", "MAX") else ""
    line = LINES[op["origin"]] if op["origin"] < len(LINES) else None
    rows.append((f"%{n} {op['op']}{over}", f"{model.shape_text(op['shape'])} {model.short_dtype(op['dtype'])}", ", ".join(args),
                 (f"{line_text(op['origin'])}  {line.code}" if line else "") + (f"  [gradient of {line_text(line.of)}]" if line and line.of else "")))
    if op["store"] is not None: rows.append(("", "", f"→ {buffer(op['store'])}", ""))
  widths = [min(64, max((len(row[c]) for row in rows), default=0)) for c in range(3)]
  most = max(80, shutil.get_terminal_size((140, 40)).columns)
  lines = [f"{i}  {heading(d, i, limit)}"]
  lines += [("   " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths)) + "  " + row[3]).rstrip()[:most] for row in rows]
  return lines + [f"   a kernel of its own: {model.reason(d, i)}"]
