"""The page, the trace, the texts and Tensor.why: that they say what the engine did, for every operation and kernel, and nothing that it did not."""
import gc, html.parser, json, os, pathlib, re, shutil, signal, subprocess, sys, threading

import numpy as np
import pytest
from teenygrad import Tensor, _engine, viz
from teenygrad.helpers import dtypes
from teenygrad.nn import optim
from teenygrad.viz import model, recording
from teenygrad.viz.page import MOST_SCHEDULES, Picture

ROOT = pathlib.Path(_engine.__file__).parent.parent

def tensor(*shape, **kwargs): return Tensor(np.random.default_rng(0).standard_normal(shape).astype(np.float32), **kwargs)
def here(): return sys._getframe(1).f_lineno

class Network:
  """Small, with convolutions, pooling and a linear layer, as mnist.py has them."""
  def __init__(self):
    self.c1, self.c2, self.l1 = tensor(4, 1, 3, 3), tensor(8, 4, 3, 3), tensor(200, 10)
    self.optim = optim.Adam([self.c1, self.c2, self.l1])
  def forward(self, x):
    x = x.conv2d(self.c1).relu().max_pool2d()
    x = x.conv2d(self.c2).relu().max_pool2d()
    return x.reshape(x.shape[0], -1).dot(self.l1).log_softmax()
  def step(self):
    loss = self.forward(tensor(8, 1, 28, 28)).sparse_categorical_crossentropy(Tensor([1] * 8))
    self.optim.zero_grad()
    loss.backward()
    self.optim.step()
    return loss.item()

def linear():
  x, w, b = tensor(64, 128), tensor(128, 32, requires_grad=True), tensor(32, requires_grad=True)
  return (x.dot(w) + b).relu().softmax()

def attention():
  q, k, v = (tensor(2, 4, 64, 32) for _ in range(3))
  return q.scaled_dot_product_attention(k, v)

def training():
  network = Network()
  for _ in range(6): network.step()

EXAMPLES = {"linear": lambda: linear().realize(), "attention": lambda: attention().realize(), "training": training}

@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
  """The pages of all examples: name -> (recording, path)."""
  folder, made = tmp_path_factory.mktemp("pages"), {}
  for name, run in EXAMPLES.items():
    path = folder / f"{name}.html"
    with viz.record(str(path)) as r: run()
    made[name] = r, path
  return made

class Reader(html.parser.HTMLParser):
  """Checks that tags are balanced, and collects what refers to somewhere else."""
  VOID = {"meta", "link", "br", "img", "input", "hr"}
  def __init__(self):
    super().__init__()
    self.open, self.away, self.data, self.inside = [], [], "", None
  def handle_starttag(self, tag, attrs):
    attrs = dict(attrs)
    if tag not in self.VOID: self.open.append(tag)
    self.away += [value for key, value in attrs.items() if key in ("src", "href")]
    self.inside = attrs.get("id")
  def handle_endtag(self, tag):
    assert self.open.pop() == tag
    self.inside = None
  def handle_data(self, data):
    if self.inside == "data": self.data += data

def page_of(path):
  text = path.read_text()
  reader = Reader()
  reader.feed(text)
  assert not reader.open and not reader.away
  assert set(re.findall(r"https?://[^\s\"'`)]+", text)) == {"http://www.w3.org/2000/svg"}  # a namespace, nothing that is loaded
  assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|import\(", text)
  return json.loads(reader.data)

class TestData:
  """What the engine tells."""
  def test_explain_has_the_schedules_kernels(self):
    y = linear()
    d, items = _engine.explain([y.lazydata]), y.lazydata.schedule()
    assert [k["text"] for k in d["kernels"]] == [item.text for item in items] and not y.lazydata.computed
    assert [k["kind"] for k in d["kernels"]] == ["CONTRACT", "ROWS"] and d["kernels"][0]["reads"] == [0, 1]
    assert _engine.explain([tensor(3).lazydata]) is None

  def test_every_operation_is_in_a_kernel(self):
    d = _engine.explain([linear().lazydata])
    ops = [[op["op"] for op in model.operations(d, k)] for k in range(2)]
    assert ops == [["MUL", "SUM"], ["ADD", "MAX", "MAX", "SUB", "EXP", "SUM", "DIV"]]
    sources = [(i, at) for i, n in enumerate(d["nodes"]) for at, _, _ in n["sources"]]
    assert sources and all(at < i for i, at in sources)

  def test_what_several_kernels_compute_is_shown_in_each(self):
    a = tensor(2000)
    b = a * 2  # cheap: computed again by both
    d = _engine.explain([b.reshape(40, 50).sum(1).lazydata, b.reshape(50, 40).max(1).lazydata])
    assert len(d["kernels"]) == 2 and all("MUL" in [op["op"] for op in model.operations(d, k)] for k in range(2))

  def test_a_sort_has_a_name(self):
    d = _engine.explain([tensor(5, 6).argsort(1).lazydata])
    (op,) = [op for k in range(len(d["kernels"])) for op in model.operations(d, k) if op["op"] != "RANDOM"]
    assert op["op"] == "SORT" and None not in [n["kind"] for n in d["nodes"]]
    text = viz.text(tensor(5, 6).sort(1)[0] + 1)
    assert "SORT 5 along 6" in text and "a sort needs a loop of its own" in text

  def test_views_have_formulas(self):
    d = _engine.explain([(tensor(6, 8).pad(((1, 0), (0, 2))).permute(1, 0) + 1).lazydata])
    (op,) = model.operations(d, 0)
    view, constant = op["args"]
    assert view["view"].startswith("[i0 + 8*i1 - 8] where ") and "0 <= i1 - 1 < 6" in view["view"] and view["seen"] == "masked"
    assert constant["kind"] == "const" and constant["at"] == 1

  def test_a_realize_tells_what_it_ran(self):
    told = []
    before = _engine.set_tracer(told.append)
    try: linear().realize()
    finally: assert _engine.set_tracer(before) == told.append
    (d,) = told
    assert d["what"] == "realize" and d["targets"] == 1 and d["thread"] == threading.get_ident()
    assert d["asked"] <= d["planned"] <= d["begun"] <= d["kernels"][0]["start"] <= d["kernels"][1]["start"] <= d["done"] <= d["told"]
    assert all(k["seconds"] > 0 and k["memory"] > 0 for k in d["kernels"])
    for worker, start, stop, tasks in d["spans"]: assert d["begun"] <= start <= stop <= d["done"] and tasks > 0 and 0 <= worker < 256

  def test_origins_stay_with_their_nodes(self):
    numbers = iter(range(1, 99))
    before = _engine.set_recorder(lambda buffer: next(numbers))
    try:
      x = tensor(4).lazydata
      y = x * 2
    finally: _engine.set_recorder(before)
    z = y * 3
    assert [_engine.node(b)["origin"] for b in (x, y, z)] == [1, 2, 0]
    y.realized  # noqa: B018
    assert _engine.node(y)["origin"] == 2 and _engine.node(y)["kind"] == "BUFFER"

  @pytest.mark.parametrize("function", [lambda b: 1 / 0, lambda b: "no number", lambda b: -1, lambda b: 1 << 32, lambda b: 1 << 70, lambda: 1])
  def test_what_a_recorder_raises_is_the_operations_outcome(self, function):
    x = tensor(4)
    before = _engine.set_recorder(function)
    try:
      with pytest.raises((ZeroDivisionError, TypeError, OverflowError, ValueError)): x * 2
    finally: _engine.set_recorder(before)
    np.testing.assert_array_equal((x * 2).numpy(), 2 * x.numpy())

  def test_what_a_tracer_raises_leaves_the_value(self):
    x = tensor(4) * 2
    before = _engine.set_tracer(lambda d: 1 / 0)
    try:
      with pytest.raises(ZeroDivisionError): x.realize()
    finally: _engine.set_tracer(before)
    assert x.lazydata.computed
    with pytest.raises(TypeError): _engine.set_tracer(3)
    with pytest.raises(TypeError): _engine.set_recorder("f")
    with pytest.raises(TypeError): _engine.node(3)
    with pytest.raises(TypeError): _engine.explain([3])

  def test_callbacks_may_compute(self):
    told = []
    def tracer(d):
      told.append(d)
      if len(told) < 3: (tensor(3) + 1).realize()
    before = _engine.set_tracer(tracer)
    try: (tensor(3) * 2).realize()
    finally: _engine.set_tracer(before)
    assert len(told) == 3

  def test_a_signals_handler_computes_while_workers_are_watched(self):
    done = []
    def handler(signum, frame): done.append((tensor(50, 50) * 2).sum().item())
    x, before = tensor(700, 700).realize(), signal.signal(signal.SIGALRM, handler)
    try:
      with recording.Recording(write="profile") as r:
        signal.setitimer(signal.ITIMER_REAL, .005, .005)
        while len(done) < 10: x.dot(x).exp().sum(1).realize()
    finally:
      signal.setitimer(signal.ITIMER_REAL, 0)
      signal.signal(signal.SIGALRM, before)
    assert r.realizes > 10 and all(e["end"] >= e["begin"] for e in r.events if "end" in e)

  def test_failing_allocations(self):
    def attempt():
      with viz.record() as r:
        y = linear()
        y.realize()
      return r.realizes
    wanted = attempt()
    for n in range(1, 400, 7):
      before = _engine.set_recorder(None), _engine.set_tracer(None)
      _engine.set_recorder(before[0]), _engine.set_tracer(before[1])
      _engine.fail_at(n)
      try: attempt()
      except MemoryError: pass
      finally: _engine.fail_at(0)
      assert before == (None, None) and not recording._active
    assert attempt() == wanted

  def test_nothing_is_kept(self):
    def run():
      with viz.record(): linear().realize()
      linear().why()
    def live():
      gc.collect()
      return _engine.memory()["objects"], _engine.memory()["blocks"]
    run()
    before = live()
    for _ in range(3): run()
    assert live() == before

class TestRecording:
  def test_lines_are_those_that_asked(self):
    with viz.record() as r:
      x, w = tensor(8, 8), tensor(8, 8, requires_grad=True)
      product, line_of_product = x.dot(w), here()
      loss, line_of_loss = product.sin().sum(), here()
      loss.backward(); line_of_backward = here()
      Tensor.corealize([loss, w.grad])
    (s,) = r.schedules
    lines = {op["op"]: recording.LINES[op["origin"]] for k in range(len(s.description["kernels"])) for op in model.operations(s.description, k)}
    assert lines["SIN"].line == line_of_loss and lines["SIN"].call.endswith("sin") and lines["SIN"].code.startswith("loss, line_of_loss")
    assert os.path.samefile(lines["SIN"].file, __file__) and lines["SIN"].function == "test_lines_are_those_that_asked"
    of = {(line.line, recording.LINES[line.of].line) for n in s.description["nodes"] if (line := recording.LINES[n["origin"]]) and line.of}
    assert of == {(line_of_backward, line_of_product), (line_of_backward, line_of_loss)}

  def test_the_same_schedule_counts(self):
    network = Network()
    with viz.record() as r:
      for _ in range(5): network.step()
    most = max(r.schedules, key=lambda s: s.count)
    assert r.realizes == sum(s.count for s in r.schedules) and most.count >= 4 and len(r.schedules) <= 4
    assert r.seconds == pytest.approx(sum(s.total for s in r.schedules))

  def test_distinct_schedules_are_bounded(self, monkeypatch):
    monkeypatch.setattr(recording, "MOST_SCHEDULES", 6)
    monkeypatch.setattr(recording, "MOST_MOMENTS", 10)
    with viz.record() as r:
      for n in range(1, 40): (tensor(n) + 1).realize()
    assert len(r.schedules) <= 6 and len(r.moments) <= 10 and r.realizes == 39
    assert sum(s.count for s in r.schedules) + r.dropped[1] == 39
    data = Picture(r).data()
    assert data["distinct"] == 39 and data["left"]["realizes"] == r.dropped[1] and data["realizes"] == 39

  def test_recordings_nest_and_end(self):
    with viz.record() as outer:
      (tensor(3) + 1).realize()
      with viz.record() as inner: (tensor(3) + 2).realize()
      with pytest.raises(RuntimeError): outer.__enter__()
    (tensor(3) + 3).realize()
    assert (outer.realizes, inner.realizes) == (2, 1)
    assert _engine.set_tracer(None) is None and _engine.set_recorder(None) is None

  def test_all_threads_are_noted(self):
    def work():
      for _ in range(10): (tensor(50) * 2).realize()
    with viz.record() as r:
      threads = [threading.Thread(target=work) for _ in range(4)]
      for t in threads: t.start()
      for t in threads: t.join()
    assert r.realizes == 40 and not [n for s in r.schedules for n in s.description["nodes"] if not n["origin"]]

  def test_why_in_one_thread_leaves_the_others_watched(self):
    asked, told = threading.Event(), threading.Event()
    def work():
      asked.wait()
      for _ in range(10): (tensor(50) * 2).realize()
      told.set()
    with viz.record() as r:
      thread = threading.Thread(target=work)
      thread.start()
      with recording.paused():
        (tensor(3) + 1).realize()  # not noted
        asked.set()
        told.wait()
      thread.join()
      assert "4 B" in tensor(1).why()
    assert r.realizes == 10 and not [n for s in r.schedules for n in s.description["nodes"] if not n["origin"]]
    assert _engine.set_tracer(None) is None and _engine.set_recorder(None) is None

  def test_a_forked_child_does_not_record(self):
    with viz.record() as r:
      pid = os.fork()
      if not pid:
        try:
          (tensor(3) + 1).realize()
          os._exit(r.realizes)
        except BaseException: os._exit(9)
      assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
      (tensor(3) + 1).realize()
    assert r.realizes == 1

class TestPage:
  @pytest.mark.parametrize("name", EXAMPLES)
  def test_it_has_every_kernel_and_operation(self, recorded, name):
    r, path = recorded[name]
    data = page_of(path)
    by_number = {s["number"]: s for s in data["schedules"]}
    assert len(by_number) == len(r.schedules) <= MOST_SCHEDULES and path.stat().st_size < 400_000
    for number, s in enumerate(r.schedules, 1):
      shown = by_number[number]
      assert [k["text"] for k in shown["kernels"]] == [k["text"] for k in s.description["kernels"]] and shown["count"] == s.count
      for i, k in enumerate(shown["kernels"]):
        assert [op["n"] for op in k["ops"]] == [op["node"] for op in model.operations(s.description, i)]
        assert k["program"] == s.description["kernels"][i]["program"] and k["all"] == pytest.approx(s.seconds[i])
        assert 0 < k["best"] <= k["seconds"] <= k["all"] + 1e-12
        assert k["why"] and k["estimate"] > 0
      computed = {i for i, n in enumerate(s.description["nodes"]) if n["kernel"] is not None}
      assert computed == {op["n"] for k in shown["kernels"] for op in k["ops"]} & computed
    assert data["realizes"] == r.realizes and len(data["moments"]) == r.realizes

  def test_source_lines(self, recorded):
    data = page_of(recorded["linear"][1])
    codes = {line["code"] for line in data["lines"]}
    assert "return (x.dot(w) + b).relu().softmax()" in codes and all(line["file"].endswith("test_viz.py") for line in data["lines"])

  def test_nothing_in_the_data_ends_the_script(self, tmp_path):
    exec(compile("def f(x):\n  return x + 1  # </script><b>\u2028{{title}}\n", "</script><script>alert(1)</script>", "exec"), scope := {})
    with viz.record(str(tmp_path / "page.html")): scope["f"](tensor(3)).realize()
    text = (tmp_path / "page.html").read_text()
    assert "</script><" not in text.replace("</script>\n<", "") and "alert(1)</script>" not in text
    assert any("alert" in line["file"] for line in page_of(tmp_path / "page.html")["lines"])

  def test_what_is_pending_is_shown_without_computing_it(self, tmp_path):
    y = linear()
    picture = viz.show(y, y.sum())
    picture.save(str(tmp_path / "pending.html"))
    data = page_of(tmp_path / "pending.html")
    assert data["pending"] and data["title"].startswith("2 tensors") and data["schedules"][0]["kernels"][0]["seconds"] is None
    assert not y.lazydata.computed and _engine.set_tracer(None) is None
    shown = picture._repr_html_()
    assert shown.startswith("<iframe srcdoc=") and shown.count("<") == 2
    picture.save(str(tmp_path / "pending.json"))
    assert json.loads((tmp_path / "pending.json").read_text())["schedules"] == data["schedules"]
    with pytest.raises(ValueError, match="nothing to compute"): viz.show(tensor(3))
    with pytest.raises(TypeError): viz.show()

  def test_an_empty_recording(self, tmp_path):
    with viz.record(str(tmp_path / "empty.html")) as r: pass
    assert page_of(tmp_path / "empty.html")["schedules"] == [] and r._repr_html_()

  def test_numbers_that_json_lacks(self):
    with viz.record() as r: (tensor(3) * float("inf") + float("nan")).realize()
    json.loads(json.dumps(Picture(r).data(), allow_nan=False))

  def test_large_schedules_show_their_kernels_only(self, monkeypatch):
    monkeypatch.setattr("teenygrad.viz.page.MOST_OPERATIONS", 5)
    with viz.record() as r: linear().realize()
    (s,) = Picture(r).data()["schedules"]
    assert not s["whole"] and len(s["kernels"]) == 2 and not s["kernels"][0]["ops"]

class TestFiles:
  def test_folders_that_are_not_there_are_known_at_once(self, tmp_path):
    for path, error in ((tmp_path / "none" / "x.html", FileNotFoundError), (tmp_path, IsADirectoryError)):
      with pytest.raises(error, match=str(path.name) if error is IsADirectoryError else "no folder"): viz.record(str(path))
      with pytest.raises(error): viz.profile(str(path))
    with pytest.raises(TypeError): viz.record(3)

  def test_a_failed_write_keeps_the_old_file_and_the_recording(self, tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("old")
    def full(*args): raise OSError(28, "No space left on device")
    with monkeypatch.context() as patch:
      patch.setattr(os, "replace", full)
      with pytest.raises(OSError, match=r"can't write .*page\.html: No space"):
        with viz.record(str(path)) as r: linear().realize()
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["page.html"]
    r.save(str(path))
    assert page_of(path)["realizes"] == 1

  def test_what_the_program_raised_gets_through(self, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.warns(RuntimeWarning, match="no folder"), pytest.raises(KeyError):
      with viz.record(str(folder / "page.html")):
        folder.rmdir()
        raise KeyError("of the program")

  def test_links_and_pipes_stay_what_they_are(self, tmp_path):
    (tmp_path / "page.html").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "page.html")
    with viz.record(str(tmp_path / "link")): linear().realize()
    assert os.path.islink(tmp_path / "link") and page_of(tmp_path / "page.html")["realizes"] == 1
    os.mkfifo(tmp_path / "pipe")
    read = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_text()))
    reader.start()
    with viz.profile(str(tmp_path / "pipe")): linear().realize()
    reader.join()
    assert json.loads(read[0])["traceEvents"] and sorted(os.listdir(tmp_path)) == ["link", "page.html", "pipe"]

  def run(self, code, folder, **env):
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True,
                          env={**{k: v for k, v in os.environ.items() if k not in ("GRAPH", "PROFILE", "DEBUG")}, "PYTHONPATH": str(ROOT), **env})
    return done

  CODE = "from teenygrad import Tensor\nx = Tensor([1., 2.])\n(x * 2).realize()\n"

  def test_variables(self, tmp_path):
    done = self.run(self.CODE, tmp_path, GRAPH="page.html", PROFILE="trace-%p.json")
    assert done.returncode == 0 and not done.stderr, done.stderr
    names = sorted(os.listdir(tmp_path))
    assert len(names) == 2 and names[0] == "page.html" and re.fullmatch(r"trace-\d+\.json", names[1])
    assert page_of(tmp_path / "page.html")["realizes"] == 1 and json.loads((tmp_path / names[1]).read_text())["traceEvents"]

  def test_also_after_an_exception_and_under_their_own_names(self, tmp_path):
    done = self.run(self.CODE + "1 / 0", tmp_path, GRAPH="1", PROFILE="1")
    assert done.returncode == 1 and "ZeroDivisionError" in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["graph.html", "trace.json"]

  def test_off(self, tmp_path):
    assert self.run(self.CODE + "import sys; assert 'teenygrad.viz.recording' not in sys.modules", tmp_path, GRAPH="0", PROFILE="").returncode == 0
    assert not os.listdir(tmp_path)

  def test_a_folder_that_vanishes(self, tmp_path):
    folder, spare = tmp_path / "folder", tmp_path / "spare"
    folder.mkdir(), spare.mkdir()
    done = self.run(self.CODE + f"import os; os.rmdir({str(folder)!r})", tmp_path, GRAPH=str(folder / "page.html"), TMPDIR=str(spare))
    assert "no folder" in done.stderr and "it is" in done.stderr and len(os.listdir(spare)) == 1
    done = self.run(self.CODE, tmp_path, GRAPH=str(folder / "page.html"))
    assert done.returncode == 0 and "is ignored: no folder" in done.stderr

  def test_children_leave_the_parents_file_alone(self, tmp_path):
    code = self.CODE + "import os\npid = os.fork()\n(x * 3).realize()\nif pid: os.waitpid(pid, 0); (x * 4).realize()\n"
    assert self.run(code, tmp_path, GRAPH="page.html").returncode == 0
    assert page_of(tmp_path / "page.html")["realizes"] == 3

def check_trace(trace):
  """What the format asks for: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU."""
  assert isinstance(trace["traceEvents"], list) and trace["displayTimeUnit"] in ("ms", "ns")
  rows = {}
  for e in trace["traceEvents"]:
    assert isinstance(e["name"], str) and e["name"] and e["ph"] in "XCM" and isinstance(e["pid"], int) and isinstance(e["tid"], int)
    assert isinstance(e["ts"], (int, float)) and e["ts"] >= 0 and isinstance(e["args"], dict)
    if e["ph"] == "X":
      assert isinstance(e["dur"], (int, float)) and e["dur"] >= 0
      rows.setdefault(e["tid"], []).append(e)
    if e["ph"] == "C": assert all(isinstance(value, (int, float)) for value in e["args"].values())
    if e["ph"] == "M": assert e["name"] in ("process_name", "thread_name", "thread_sort_index")
  named = {e["tid"] for e in trace["traceEvents"] if e["name"] == "thread_name"}
  assert set(rows) == named
  for events in rows.values():  # events of a row lie within or beside each other
    stack = []
    for e in sorted(events, key=lambda e: (e["ts"], -e["dur"])):
      while stack and stack[-1] <= e["ts"] + .002: stack.pop()
      assert not stack or e["ts"] + e["dur"] <= stack[-1] + .002, e
      stack.append(e["ts"] + e["dur"])
  return rows

class TestTrace:
  def test_format_and_content(self, tmp_path):
    network = Network()
    told = []
    with viz.profile(str(tmp_path / "trace.json")) as r:
      for _ in range(3): network.step()
      with viz.record() as other: network.step()
    trace = json.loads((tmp_path / "trace.json").read_text())
    rows = check_trace(trace)
    events = [e for row in rows.values() for e in row]
    assert sum(e["cat"] == "realize" for e in events) == r.realizes == sum(e["cat"] == "engine" for e in events)
    kernels = [e for e in events if e["cat"] == "kernel"]
    last = [k["text"] for s in other.schedules for k in s.description["kernels"]]
    assert {e["args"]["what"] for e in kernels} >= set(last) and sum(e["dur"] for e in kernels) == pytest.approx(r.seconds * 1e6, rel=.01, abs=5)
    assert any("test_viz.py" in line for e in kernels for line in e["args"]["lines"])
    counters = [e for e in trace["traceEvents"] if e["ph"] == "C"]
    assert len(counters) >= len(kernels) and all(e["args"]["data, MB"] > 0 for e in counters)
    assert told == [] and trace["otherData"]["realizes left out"] == 0

  def test_workers_have_rows_of_their_own(self, tmp_path):
    if _engine.info()["threads"] < 2: pytest.skip("one thread")
    x, y = tensor(1000, 1000).realize(), tensor(512, 512).realize()
    with viz.profile(str(tmp_path / "trace.json")):
      for _ in range(20): Tensor.corealize([x.exp().sum(1), y.dot(y)])
    trace = json.loads((tmp_path / "trace.json").read_text())
    check_trace(trace)
    workers = [e for e in trace["traceEvents"] if e.get("cat") == "worker"]
    assert workers and all(e["args"]["tasks"] > 0 for e in workers)
    assert {e["name"] for e in workers} <= {e["name"] for e in trace["traceEvents"] if e.get("cat") == "kernel"} | {"loop"}

  def test_what_is_too_much_is_counted(self, monkeypatch):
    monkeypatch.setattr(recording, "MOST_EVENTS", 20)
    r = recording.Recording(write="profile")
    with r:
      for _ in range(30): (tensor(3) + 1).realize()
    assert len(r.events) < 30 and r.realizes == 30 and r.dropped_events > 20

class TestText:
  def test_it_has_every_kernel_operation_and_line(self, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with viz.record(): y = linear()
    text = viz.text(y)
    for item in y.lazydata.schedule(): assert f"  {item.kind} " in text
    assert re.search(r"^2 kernels, .* by this machine's limits$", text, re.M)
    for line in (r"%0 MUL +64×32×128 f32 +b0 \(64×128 f32\) repeated, b1 \(128×32 f32\) repeated +\S*test_viz.py:\d+  return", r"%1 SUM over axis 2",
                 r"→ b2 \(64×32×1 f32\)", r"%1 MAX +64×32 f32 +%0, 0 ", r"%6 DIV"): assert re.search(line, text), line
    assert not y.lazydata.computed
    with pytest.raises(ValueError): viz.text(tensor(2))

  @pytest.mark.parametrize("make", [
    attention, lambda: tensor(6, 8).cumsum(1) + 1, lambda: tensor(5, 4)[Tensor(np.array([1, 2]))] * 2, lambda: Tensor.rand(3, 4),
    lambda: tensor(4, 6).half().sum(0), lambda: (tensor(3) > 0).where(1., 2.), lambda: Tensor.arange(5).cast(dtypes.int8) + 1,
    lambda: tensor(2, 3, 8, 8).max_pool2d().exp(), lambda: tensor(4).bitcast(dtypes.int32) + 1])
  def test_every_kind(self, make):
    y = make()
    assert viz.text(y).count("a kernel of its own: ") == len(y.lazydata.schedule()) and viz.show(y).html() and y.why()

  def test_reasons(self):
    y = tensor(64, 64).exp().dot(tensor(64, 64))
    z = y.cumsum(1)
    text = viz.text((z / z.sum()).dot(y))
    assert "as a factor of a product" in text and "running sum needs a loop of its own" in text and "its result is what was asked for" in text

class TestWhy:
  def test_pending(self):
    with viz.record(): y = linear()
    text = y.why()
    assert "Reading it runs 2 kernels of at least" in text and "runs over another domain" in text and "return (x.dot(w) + b).relu().softmax()" in text
    assert not y.lazydata.computed and repr(text) == str(text)
    assert "lines are not known" in linear().why()

  def test_only_tensors_are_explained(self):
    for call in (lambda: tensor(3).why("loss"), lambda: viz.why(3), lambda: viz.text(tensor(3) + 1, 3), lambda: viz.show(None)):
      with pytest.raises(TypeError, match="a Tensor is expected, not "): call()

  def test_computed(self):
    assert "It is computed: 12 B." in tensor(3).why() and "All its values are finite." in tensor(3).why()
    assert "a constant" in Tensor(2.).why() and "finite" in Tensor(2.).why()

  def first_nan(self, text): return re.search(r"The first (NaN|infinity) comes from (\w+) in \S*test_viz\.py:(\d+)", text).groups()

  def test_the_first_nan_of_a_kept_graph(self):
    x = Tensor([[1., 2.], [3., 0.5]])
    with viz.record(keep=True) as r:
      shifted = x - 1
      logs = shifted.log(); line = here()
      total = (logs * 2).exp().softmax().sum()
      assert np.isnan(total.item())
    text = total.why()
    assert self.first_nan(text) == ("NaN", "LOG", str(line)) and "Its value is NaN." in text
    assert "At index (1, 1)" in text and "between -0.5 and 2" in text
    assert r.realizes == 1  # looking is not recorded

  def test_the_first_nan_of_a_pending_graph(self):
    with viz.record():
      a = Tensor([1e30, 1.])
      b = a * a; line = here()
      c = b - b
    assert "NaN" not in c.why()
    text = c.why(values=True)
    assert "The first NaN comes from SUB" in text and f":{line}" in text.split("The first infinity comes from MUL")[1]

  def test_the_first_nan_along_the_autograd_graph(self):
    w = Tensor([1., 0., 2.], requires_grad=True)
    out = (1 / (w * 2)).sum().realize()
    text = out.why()
    assert re.search(r"The first infinity comes from (Div|DIV) \(of lines that are not known", text)
    assert re.search(r"(Mul|MUL) of shape \(3,\): between 0 and 4", text)

  def test_what_is_no_tensor_or_can_not_be_computed(self):
    for wrong in (lambda: viz.why(3), lambda: viz.why(None), lambda: tensor(3).why(3), lambda: viz.text("x"), lambda: viz.show(tensor(3) + 1, 2)):
      with pytest.raises(TypeError): wrong()
    outside = Tensor(tensor(3).lazydata.gather(Tensor(np.array([7])).lazydata, 0))  # Tensor.gather itself would refuse it
    assert "can't be looked at: IndexError" in outside.why(values=True)
    assert "Reading it runs 1 kernel" in (tensor(0, 3) + 1).why(values=True)

  def test_masks_are_no_culprits(self):
    with viz.record(keep=True):
      x = Tensor([[1., -1.]])
      masked = Tensor([[True, False]]).cast(dtypes.bool).where(x, float("-inf"))
      y = masked.max(1) + Tensor([-1.]).sqrt(); line = here()
      y.realize()
    assert self.first_nan(y.why()) == ("NaN", "SQRT", str(line))

  def test_what_can_no_longer_be_known(self):
    with viz.record(keep=True): pass  # the last one is what counts
    y = (Tensor([0.]) / Tensor([0.])).realize()
    assert "no longer known: compute it within viz.record(keep=True)" in y.why()
    z = (y + 1).why(values=True)
    assert "The first NaN is in a value at hand of shape (1,)" in z

  def test_why_there_is_no_grad(self):
    x, w = tensor(3), tensor(3, requires_grad=True)
    assert "nobody asked for one" in x.why() and "no backward()" in w.why()
    assert "only floats have gradients" in Tensor([1, 2], dtype=dtypes.int32).why()
    assert "requires_grad is False" in w.detach().why()
    loss = (x * w).sum()
    assert "loss.backward() gives it a grad" in w.why(loss)
    Tensor.no_grad = True
    assert "Tensor.no_grad is on" in w.why() and "Tensor.no_grad is on" in w.why(w * 2)
    Tensor.no_grad = False
    other = tensor(3, requires_grad=True)
    assert "is not computed from it" in other.why(loss)
    loss.backward()
    assert "Its grad is there" in w.why() and "freed its graph" in w.why(loss) and "was no part of that" in other.why(loss)

  def test_where_the_way_back_is_cut(self):
    w, v = tensor(3, requires_grad=True), tensor(3, requires_grad=True)
    with viz.record():
      cut = (w * 2).detach() * 3; line = here()
      loss = (cut * v).sum()
    assert re.search(rf"the way back is cut at \S*test_viz.py:{line} ", w.why(loss))

# ---- in a browser ----

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

@pytest.fixture
def browse(tmp_path):
  """browse(path, fragment): the document after its script ran, and a screenshot."""
  def run(path, fragment=""):
    shot = tmp_path / "shot.png"
    flags = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1500,1600",
             f"--user-data-dir={tmp_path / 'profile'}"]
    url = f"file://{path}{fragment}"
    dom = subprocess.run([*flags, "--virtual-time-budget=20000", "--dump-dom", url], capture_output=True, text=True, timeout=120).stdout
    subprocess.run([*flags, f"--screenshot={shot}", url], capture_output=True, timeout=120)
    return dom, shot
  return run

@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="no Chromium here")
@pytest.mark.parametrize("name, fragment", [("linear", ""), ("attention", "#theme=dark"), ("training", ""), ("training", "#open=all&kernel=1")])
def test_the_page_runs(recorded, browse, name, fragment):
  r, path = recorded[name]
  dom, shot = browse(path, fragment)
  assert 'data-ready="yes"' in dom and "data-error" not in dom
  first = Picture(r).data()["schedules"][0]
  assert len(re.findall(r'<g class="kernel pickable', dom)) == len(first["kernels"])
  for k in first["kernels"]: assert f"kernel {first['kernels'].index(k)}, {k['text']}".replace("&", "&amp;") in dom
  everything = sum(len(k["ops"]) for k in first["kernels"])
  shown = len(re.findall(r'<g class="opbox pickable', dom))
  assert shown == (everything if everything <= 60 or "open=all" in fragment else 0)
  assert ("<p>A kernel of its own: " in dom) == ("kernel=" in fragment)
  assert shot.read_bytes().startswith(b"\x89PNG") and shot.stat().st_size > 20_000
  box = r'<g class="kernel[^>]*translate\(([\d.-]+) ([\d.-]+)\)"[^>]*><rect class="box" width="([\d.]+)" height="([\d.]+)"'
  boxes = [tuple(map(float, m)) for m in re.findall(box, dom)]
  assert len(boxes) == len(first["kernels"])
  for i, (x, y, w, h) in enumerate(boxes):  # none lies on another one
    assert all(x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y for x2, y2, w2, h2 in boxes[:i])
