"""Pictures of what the library does: the lazy graph, the kernels made of it, and what they took (docs/pictures.md).

`record` and `profile` watch a program and write a page and a trace; `show` and `text` look at tensors that are still to be computed; `why` explains
one. The variables GRAPH and PROFILE, read when the package is imported, do the first two for a whole process. Unless one of them is asked for,
nothing here is loaded, and operations do not note where they come from."""
from __future__ import annotations
import os
from typing import TYPE_CHECKING, Any, Optional
if TYPE_CHECKING:
  from teenygrad.viz.page import Picture
  from teenygrad.viz.recording import Recording

def record(path: Optional[str] = None, keep: bool = False) -> Recording:
  """A context manager that notes all that is realized within it, and the line of the program that asked for each operation. With a path it writes
  a page there in the end (an HTML file, or the same as data for a name that ends in .json). keep: keeps every value, until the next
  recording that does, for `why` to find the first NaN among them. OSError at once if the path can't be written."""
  from teenygrad.viz.recording import Recording
  return Recording(path, keep)

def profile(path: str) -> Recording:
  """As record, but writes Chrome trace events: for Perfetto (ui.perfetto.dev) and chrome://tracing."""
  from teenygrad.viz.recording import Recording
  return Recording(path, write="profile")

def show(*tensors: Any) -> Picture:
  """A picture of the kernels that would compute the tensors together; nothing is computed. A notebook shows it, `save(path)` writes it."""
  from teenygrad.viz.page import Picture
  return Picture.of(*tensors)

def text(*tensors: Any) -> str:
  """The same as plain text, for a terminal."""
  from teenygrad.viz.terminal import schedule_text
  return schedule_text(*tensors)

def why(tensor: Any, loss: Any = None, values: bool = False) -> str:
  """Whether the tensor is computed, what would compute it, where its first NaN comes from, and why its grad is None: `Tensor.why`."""
  from teenygrad.viz.answers import explain
  return explain(tensor, loss, values)

def _start_from_environment() -> None:
  """GRAPH and PROFILE name the files; 1 stands for graph.html and trace.json."""
  asked = [(os.environ.get(name, ""), default) for name, default in (("GRAPH", "graph.html"), ("PROFILE", "trace.json"))]
  if not any(value not in ("", "0") for value, _ in asked): return
  from teenygrad.viz.recording import record_process
  for value, default in asked:
    if value not in ("", "0"): record_process(default if value == "1" else value, "page" if default == "graph.html" else "profile")

_start_from_environment()
