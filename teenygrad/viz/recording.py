"""Watching a program: where each operation comes from, and what each realize ran."""
from __future__ import annotations
import atexit, contextlib, linecache, os, statistics, sys, tempfile, threading, warnings
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple
from teenygrad import _engine

MOST_SCHEDULES = 200   # distinct ones kept whole while recording; of the others the count and the time
MOST_SAMPLES = 256     # of a schedule's times, for the median
MOST_MOMENTS = 4096    # of the time line, then neighbours are joined
MOST_EVENTS = 300_000  # of a trace, about 200 MB

# *** the program's lines ***

class Line(NamedTuple):
  """Where an operation comes from: the innermost line outside of this package, the function of the package that it called, and for a gradient
  the line (its number) of what it is the gradient of."""
  file: str
  line: int
  function: str
  code: str
  call: str
  of: int

LINES: List[Optional[Line]] = [None]  # by number; 0: not known
_numbers: Dict[tuple, int] = {}
_lock = threading.RLock()

def line_text(number: int) -> str:
  """'mnist.py:54', or '' for none that is known."""
  line = LINES[number] if 0 < number < len(LINES) else None
  return f"{short(line.file)}:{line.line}" if line else ""

def short(file: str) -> str:
  """A path as one would name it from here."""
  if file.startswith("<"): return file
  try: path = os.path.relpath(file)
  except ValueError: return file
  return file if path.startswith(".." + os.sep + "..") else path

def _note_line(code: Any, number: int, call: str, of: int) -> int:
  key = code.co_filename, number, call, of
  found = _numbers.get(key)
  if found is not None: return found
  with _lock:
    if key not in _numbers:
      LINES.append(Line(code.co_filename, number, code.co_name, linecache.getline(code.co_filename, number).strip(), call, of))
      _numbers[key] = len(LINES) - 1
    return _numbers[key]

def _origin(buffer: Any) -> int:
  """The number of the line that asks for an operation right now: the engine calls this for each."""
  if _looking.depth: return 0
  frame, call, of = sys._getframe().f_back, "", 0
  while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
    call = getattr(frame.f_code, "co_qualname", frame.f_code.co_name)
    if frame.f_code.co_name == "backward" and "order" in frame.f_code.co_varnames: of = _line_of(frame.f_locals.get("t"))
    frame = frame.f_back
  number = _note_line(frame.f_code, frame.f_lineno, call, of) if frame is not None else 0
  for recording in _active:
    if recording.kept is not None: recording.keep(buffer, number)
  return number

PACKAGE = os.path.dirname(os.path.dirname(_origin.__code__.co_filename)) + os.sep  # as code of it names its files

def _line_of(tensor: Any) -> int:
  """The line that a tensor's value comes from; that of its own value if it is a gradient itself."""
  number = _engine.node(tensor.lazydata)["origin"] if hasattr(tensor, "lazydata") else 0
  line = LINES[number] if number < len(LINES) else None
  return line.of if line and line.of else number

# *** what ran ***

class Schedule:
  """All realizes that ran the same kernels from the same lines: the first one's description and what they took together."""
  def __init__(self, description: dict):
    self.description, self.count, self.planning = description, 0, 0.
    self.seconds = [0.] * len(description["kernels"])  # in all
    self.best = [float("inf")] * len(description["kernels"])
    self._samples: List[tuple] = []  # the times of every _step-th realize
    self._step = 1

  @property
  def total(self) -> float: "Seconds in kernels."; return sum(self.seconds)

  def typical(self, kernel: int) -> float:
    """The median of a kernel's times: one that had to wait for another program's does not count."""
    return statistics.median(sample[kernel] for sample in self._samples)

  def add(self, description: dict) -> None:
    if self.count % self._step == 0: self._samples.append(tuple(kernel["seconds"] for kernel in description["kernels"]))
    if len(self._samples) > MOST_SAMPLES: self._samples, self._step = self._samples[::2], 2 * self._step
    self.count += 1
    self.planning += description["planned"] - description["asked"]
    for i, kernel in enumerate(description["kernels"]):
      self.seconds[i] += kernel["seconds"]
      self.best[i] = min(self.best[i], kernel["seconds"])

def _key(description: dict) -> tuple:
  return (description["what"], tuple(kernel["text"] for kernel in description["kernels"]),
          tuple((n["op"], n["shape"], n["kernel"], n["origin"]) for n in description["nodes"]))

class Moment(NamedTuple):
  """A realize on the time line: when, how long in kernels, the most data there was while it ran and what is left, and which schedule."""
  start: float
  stop: float
  seconds: float
  bytes: int
  left: int
  schedule: Optional[Schedule]

class Recording:
  """A context manager that notes all realizes, of all threads. `schedules`: the distinct ones. Leaving it writes the file, if there is one to
  write; should that fail, OSError is raised (or, if an exception is leaving it, a warning given), nothing is lost, and `save` can be called with
  another path. It can be entered again."""
  def __init__(self, path: Optional[str] = None, keep: bool = False, write: str = "page"):
    if path is not None and not isinstance(path, (str, os.PathLike)): raise TypeError(f"a path is expected, not {path!r}")
    self.path, self.write = None if path is None else os.path.abspath(path), write
    if self.path: check_writable(self.path)
    self.kept: Optional[Dict[int, dict]] = {} if keep else None
    self.schedules: List[Schedule] = []
    self.moments: List[Moment] = []
    self.events: List[dict] = []  # of a trace
    self.realizes, self.seconds, self.dropped_events = 0, 0., 0
    self.dropped = [0, 0, 0.]     # distinct schedules left out, their realizes, their seconds
    self._by_key: Dict[tuple, Schedule] = {}
    if write == "profile":
      from teenygrad.viz.chrome import events_of  # now: a signal's handler that computes must not find half of it
      self._events_of = events_of

  def __enter__(self) -> Recording: start(self); return self
  def __exit__(self, exc_type, exc_value, traceback) -> None:
    stop(self)
    if not self.path: return
    try: self.save(self.path)
    except OSError as e:
      if exc_type is None: raise
      warnings.warn(str(e), RuntimeWarning, stacklevel=2)  # what the program raised must get through

  def keep(self, buffer: Any, number: int) -> None:
    node = _engine.node(buffer)
    assert self.kept is not None
    self.kept[node["id"]] = {**node, "origin": number}
    for source in node["sources"]:  # constants have no call of their own
      if (below := _engine.node(source))["id"] not in self.kept: self.kept[below["id"]] = below

  def add(self, description: dict) -> None:
    """What the engine tells of a realize."""
    with _lock:
      seconds = sum(kernel["seconds"] for kernel in description["kernels"])
      self.realizes, self.seconds = self.realizes + 1, self.seconds + seconds
      if self.write == "profile":
        if len(self.events) < MOST_EVENTS: self.events += self._events_of(description, _engine.memory()["block_bytes"])
        else: self.dropped_events += 1
        return
      key = _key(description)
      schedule = self._by_key.get(key)
      if schedule is None:
        schedule = self._by_key[key] = Schedule(description)
        self.schedules.append(schedule)
      schedule.add(description)
      if len(self.schedules) > MOST_SCHEDULES: self._drop()
      memory = max((kernel["memory"] for kernel in description["kernels"]), default=0)
      self.moments.append(Moment(description["asked"], description["done"], seconds, memory, _engine.memory()["block_bytes"], schedule))
      if len(self.moments) > MOST_MOMENTS: self.moments = [join(*self.moments[i:i + 2]) for i in range(0, len(self.moments), 2)]

  def _drop(self) -> None:
    """Forgets the half that took least time."""
    kept = sorted(self.schedules, key=lambda s: s.total)[MOST_SCHEDULES // 2:]
    for s in self.schedules:
      if s in kept: continue
      self.dropped = [self.dropped[0] + 1, self.dropped[1] + s.count, self.dropped[2] + s.total]
    self.schedules = [s for s in self.schedules if s in kept]
    self._by_key = {key: s for key, s in self._by_key.items() if s in kept}
    self.moments = [m if m.schedule in kept else m._replace(schedule=None) for m in self.moments]

  def save(self, path: str) -> None:
    """Writes the page (or data, for a name that ends in .json; or the trace). OSError, and what was there before stays, if that fails."""
    if self.write == "profile":
      from teenygrad.viz.chrome import trace_json
      write_file(path, trace_json(self))
    else:
      from teenygrad.viz.page import Picture
      Picture(self).save(path)

  def _repr_html_(self) -> str:
    from teenygrad.viz.page import Picture
    return Picture(self)._repr_html_()

def join(first: Moment, second: Optional[Moment] = None) -> Moment:
  """Two moments as one."""
  if second is None: return first
  return Moment(first.start, second.stop, first.seconds + second.seconds, max(first.bytes, second.bytes), second.left,
                first.schedule if first.seconds >= second.seconds else second.schedule)

# *** who is watching ***

_active: Tuple[Recording, ...] = ()

class _Looking(threading.local):
  """How many of the tools are at work in this thread: what they compute is not the program's."""
  depth = 0

_looking = _Looking()

def _told(description: dict) -> None:
  if _looking.depth: return
  for recording in _active: recording.add(description)

def start(recording: Recording) -> None:
  """The engine's operations and realizes are noted from now on. RuntimeError if they are already."""
  global _active, _last_keeping
  with _lock:
    if recording in _active: raise RuntimeError("this recording has been started already")
    _active += (recording,)
    if recording.kept is not None: _last_keeping = recording
    _engine.set_recorder(_origin)
    _engine.set_tracer(_told)

def stop(recording: Recording) -> None:
  """No longer."""
  global _active
  with _lock:
    _active = tuple(r for r in _active if r is not recording)
    if not _active:
      _engine.set_recorder(None)
      _engine.set_tracer(None)

_last_keeping: Optional[Recording] = None

def kept_nodes() -> Dict[int, dict]:
  """What the last recording that keeps values has kept, by the ids of the nodes."""
  return _last_keeping.kept or {} if _last_keeping else {}

@contextlib.contextmanager
def paused() -> Iterator[None]:
  """Nothing is noted within by this thread; others go on being watched."""
  _looking.depth += 1
  try: yield
  finally: _looking.depth -= 1

def _forget() -> None:
  """A child process has its own work; its parent writes the files. Another thread may have held the lock."""
  global _active, _lock
  _active, _lock = (), threading.RLock()
  _engine.set_recorder(None)
  _engine.set_tracer(None)

os.register_at_fork(after_in_child=_forget)

# *** files ***

def is_special(path: str) -> bool:
  """Whether it is a device or a pipe, which nothing is to be put in the place of."""
  return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)

def check_writable(path: str) -> None:
  """OSError unless a file can be put there."""
  folder = os.path.dirname(os.path.abspath(path))
  if os.path.isdir(path): raise IsADirectoryError(f"{path} is a folder, no file to write")
  if is_special(path): return
  if not os.path.isdir(folder): raise FileNotFoundError(f"no folder {folder} to write {os.path.basename(path)} into")
  if not os.access(folder, os.W_OK): raise PermissionError(f"no permission to write {os.path.basename(path)} into {folder}")

def write_file(path: str, content: str) -> None:
  """All of it or nothing: written beside the file, then moved there; a device or a pipe is written to. OSError says which file."""
  check_writable(path)
  temporary, special = "", is_special(path)
  path = os.path.abspath(path) if special else os.path.realpath(path)  # a link stays one; /dev/stdout has no other name
  try:
    if special:
      with open(path, "w", encoding="utf-8", errors="backslashreplace") as f: f.write(content)
      return
    handle, temporary = tempfile.mkstemp(prefix=os.path.basename(path) + ".", suffix=".new", dir=os.path.dirname(path))
    with open(handle, "w", encoding="utf-8", errors="backslashreplace") as f: f.write(content)
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(temporary, 0o666 & ~umask)
    os.replace(temporary, path)
  except BaseException as e:
    if temporary and os.path.exists(temporary): os.unlink(temporary)
    if isinstance(e, OSError): raise OSError(e.errno, f"can't write {path}: {e.strerror or e}") from e
    raise

def record_process(path: str, write: str) -> None:
  """Records from now to the end of the process, and then writes the file; if that can't be, into the folder for temporary files. %p in the path
  is the process's number. Child processes that multiprocessing started record with a %p only, as they would overwrite the parent's file."""
  try: check_writable(path)
  except OSError as e:
    warnings.warn(f"{'PROFILE' if write == 'profile' else 'GRAPH'}='{path}' is ignored: {e}", RuntimeWarning, stacklevel=2)
    return
  child = "multiprocessing.process" in sys.modules and sys.modules["multiprocessing.process"].parent_process() is not None
  if child and "%p" not in path: return
  recording = Recording(path.replace("%p", str(os.getpid())), write=write)
  start(recording)
  pid = os.getpid()
  def finish() -> None:
    stop(recording)
    if os.getpid() != pid or not recording.realizes: return
    assert recording.path
    try: recording.save(recording.path)
    except OSError as e:
      spare = os.path.join(tempfile.gettempdir(), f"{pid}-{os.path.basename(recording.path)}")
      try: recording.save(spare)
      except OSError as again: print(f"{e}\n{again}", file=sys.stderr)
      else: print(f"{e}; it is {spare} instead", file=sys.stderr)
  atexit.register(finish)
