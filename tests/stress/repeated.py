"""What the plugins of this folder share: running a pytest test once more, in the same state, and telling what threads and processes it makes."""
import gc, os, threading

import numpy as np

from teenygrad import Tensor, _engine

class Watch:
  """Whether anything has started threads or forked since the last look."""
  def __init__(self):
    self.seen, start = False, threading.Thread.start
    def note(*_): self.seen = True
    def watched(thread):
      note()
      start(thread)
    threading.Thread.start = watched  # type: ignore[method-assign]
    os.register_at_fork(before=note)

  def look(self):
    seen, self.seen = self.seen, False
    return seen

def again(item):
  """A function that runs the body of the test, with the random numbers of conftest.py."""
  arguments = {name: item.funcargs[name] for name in item._fixtureinfo.argnames}
  def run():
    np.random.seed(1337)
    Tensor.manual_seed(1337)
    item.obj(**arguments)
  return run

def held():
  """What the engine holds once Python has let go of what it can."""
  gc.collect()
  memory = _engine.memory()
  return {"objects": memory["objects"], "blocks": memory["blocks"], "block_bytes": memory["block_bytes"], "pending": _engine.pending()["nodes"]}

def summary(terminalreporter, title):
  """Adds up what tests have put into their properties under `title`: on the process that reports, whichever ran them."""
  total = {}
  for reports in terminalreporter.stats.values():
    for report in reports:
      if getattr(report, "when", "") != "call": continue
      for name, counts in report.user_properties:
        if name == title: total.update({key: total.get(key, 0) + n for key, n in counts.items()})
  terminalreporter.write_line(f"{title}: {total}")
