"""README and docs: examples give what they say, links and names lead somewhere, generated pages are up to date. The conventions are in
CONTRIBUTING.md."""
import contextlib, doctest, gc, importlib.util, io, pathlib, re, warnings
from functools import lru_cache

import numpy as np
import pytest
from teenygrad import Tensor, _engine
from teenygrad.helpers import dtypes

pytestmark = pytest.mark.slow  # what is checked here is text: a sanitizer has nothing to look for

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = sorted(p for pattern in ("*.md", "docs/*.md", "benchmarks/*.md", "examples/*.md") for p in ROOT.glob(pattern))
NAME = r"[\w.-]+"

def each(pages): return pytest.mark.parametrize("page", pages, ids=lambda p: p.relative_to(ROOT).as_posix())

@lru_cache(maxsize=None)
def text(page): return page.read_text(encoding="utf-8")

def blocks(page):
  """(line, what follows the fence, text) of the fenced blocks; the line is that of the text's first."""
  out, lines, start = [], text(page).split("\n"), None
  for i, line in enumerate(lines):
    if not line.startswith("```"): continue
    if start is None: start = i
    else:
      out.append((start + 2, lines[start][3:].strip(), "\n".join(lines[start + 1:i]) + "\n"))
      start = None
  assert start is None, f"{page}: the block from line {start} on has no end"
  return out

def prose(page):
  """The text without fenced blocks."""
  return re.sub(r"^```.*?^```$", "", text(page), flags=re.M | re.S)

# *** examples ***

def alike(said, got, vary):
  """Whether an example gave what is said, but for blanks and, if they vary, figures."""
  said, got = (re.sub(r"\d[\d.]*(e[+-]\d+)?", "N", t) if vary else t for t in (said, got))
  return said.split() == got.split()

class Checker(doctest.OutputChecker):
  def __init__(self, vary): self.vary = vary
  def check_output(self, want, got, flags): return alike(want, got, self.vary)

def run_python(page, line, code, names):
  """The output of a python block."""
  out = io.StringIO()
  with contextlib.redirect_stdout(out): exec(compile("\n" * (line - 1) + code, str(page), "exec"), names)
  return out.getvalue()

def run_session(page, line, info, code, names):
  """A block of >>> lines: each gives what is below it."""
  test = doctest.DocTestParser().get_doctest(code, {}, page.name, str(page), line - 1)
  test.globs = names  # not a copy: the blocks of a page share them
  report = io.StringIO()
  runner = doctest.DocTestRunner(Checker("figures vary" in info), verbose=False)
  runner.run(test, out=report.write, clear_globs=False)
  assert not runner.failures, report.getvalue()

@each([page for page in PAGES if any(info.startswith("python") for _, info, _ in blocks(page))])
def test_examples(page, tmp_path, monkeypatch):
  """In one namespace for each page, which has Tensor, dtypes, np and _engine from the start, and in a folder of their own."""
  monkeypatch.chdir(tmp_path)
  names = {"__name__": "docs", "Tensor": Tensor, "dtypes": dtypes, "np": np, "_engine": _engine}
  debug, output = _engine.set_debug(0), None
  gc.collect()  # what other tests left in cycles would disappear from counts while a page is run
  try:
    with warnings.catch_warnings():
      warnings.simplefilter("error")
      for line, info, code in blocks(page):
        if info.startswith("python") and code.startswith(">>>"): run_session(page, line, info, code, names)
        elif info.startswith("python"): output = run_python(page, line, code, names)
        elif info.startswith("output"):
          assert output is not None, f"{page.name}:{line}: output, but of what?"
          assert alike(code, output, "figures vary" in info), f"{page.name}:{line} says\n{code}but it is\n{output}"
  finally: _engine.set_debug(debug)

X = Tensor(np.arange(24.0, dtype=np.float32).reshape(2, 3, 4))
@pytest.mark.parametrize("claim", [
  "Tensor([1, 2]).dtype == Tensor.arange(3).dtype == dtypes.float32 and Tensor(np.array([1, 2])).dtype == dtypes.int64",
  "X.sum(axis=1).shape == (2, 4) and X.softmax(axis=1).shape == X.shape",
  "X.cat(X, dim=1).shape == Tensor.stack([X, X], dim=3)[..., 0].cat(X, dim=1).shape and len(X.chunk(2, dim=2)) == 2",
  "X.unsqueeze(dim=1).squeeze(dim=1).shape == X.shape and X.gather(Tensor(np.zeros((2, 1, 4), int)), dim=1).shape == (2, 1, 4)",
  "X.max(axis=1).shape == (2, 4) and X.argmax(axis=1).dtype == dtypes.int32",
  "np.allclose(X.std(1, correction=0).numpy(), X.numpy().std(1))",
  "X.linear(Tensor.ones(4, 5)).shape == (2, 3, 5)",
  "X.pad2d((1, 1, 1, 1), -float('inf')).max_pool2d(3, stride=1).shape == X.shape",
  "np.isnan(X.sparse_categorical_crossentropy(Tensor(np.full((2, 3), -1))).item())",
  "X.T.shape == X.transpose().shape == (3, 2, 4)",
  "(Tensor(np.array([7])) / 2).item() == 3 and (Tensor(np.array([7])) / Tensor(np.array([2]))).item() == 3.5",
  "X.cross_entropy(Tensor(np.array([[0, 1, -100, 2]] * 2))).shape == ()",
  "(X.dropout(0.5) == X).min().item()"])
def test_what_readme_says_to_those_who_come_from_pytorch(claim):
  assert eval(claim)

# *** links and names ***

@lru_cache(maxsize=None)
def anchors(page):
  """The headings' names as GitHub makes them: repeated ones are numbered."""
  found, seen = set(), {}
  for title in re.findall(r"^#+ (.*)$", prose(page), flags=re.M):
    name = re.sub(r"[^\w\- ]", "", title.replace("\\", "").lower()).replace(" ", "-")
    seen[name] = n = seen.get(name, -1) + 1
    found.add(f"{name}-{n}" if n else name)
  return found

@each(PAGES)
def test_links(page):
  for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
    if re.match(r"https?:", target): continue
    file, _, anchor = target.partition("#")
    path = (page.parent / file).resolve() if file else page
    assert path.exists(), f"{page.name}: {target} does not exist"
    if anchor: assert anchor in anchors(path), f"{page.name}: {path.name} has no heading #{anchor}"

def test_readme_names_every_page():
  links = re.findall(r"\((docs/\w[\w-]*\.md)\)", text(ROOT / "README.md"))
  assert set(links) == {p.relative_to(ROOT).as_posix() for p in (ROOT / "docs").glob("*.md")}

@lru_cache(maxsize=None)
def files():
  folders = ["csrc", "teenygrad", "tests", "docs", "benchmarks", "extra", "examples", ".ci", ".github"]
  return ["/" + p.relative_to(ROOT).as_posix() for p in [*ROOT.iterdir(), *(q for f in folders for q in (ROOT / f).rglob("*"))]]

@each(PAGES)
def test_files_exist(page):
  """`sched/group.c` may leave out the folders in front."""
  for name in re.findall(rf"`((?:{NAME}/)*{NAME}\.(?:py|pyi|c|h|inc|def|md|toml|sh))`", prose(page)):
    assert name == "Python.h" or any(path.endswith("/" + name) for path in files()), f"{page.name}: there is no {name}"
  for name in re.findall(rf"`((?:csrc|teenygrad|tests|docs|benchmarks)/(?:{NAME}/)*{NAME}/?)`", prose(page)):
    assert (ROOT / name).exists() or name == "teenygrad/_engine", f"{page.name}: there is no {name}"

@each(PAGES)
def test_places_exist(page):
  """`csrc/exec/vm.c`: `evaluate` means that the file has that name in it."""
  for file, more in re.findall(r"`((?:csrc|teenygrad)/[\w./]+)`:((?: `\w+`,?)+)", prose(page)):
    for name in re.findall(r"`(\w+)`", more): assert re.search(rf"\b{name}\b", (ROOT / file).read_text()), f"{page.name}: {file} has no {name}"

@each(PAGES)
def test_tests_exist(page):
  for file, name in re.findall(r"pytest (tests/\w+\.py) -k (\w+)", text(page)) + re.findall(r"`(tests/\w+\.py)` `(\w+)`", text(page)):
    assert re.search(rf"def test_\w*{name}|[\"']{name}[\"']", (ROOT / file).read_text()), f"{page.name}: {file} has no test {name}"

# *** what is written twice ***

def test_generated_pages_are_up_to_date():
  """If not: make docs."""
  spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
  generate = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(generate)
  for name, page in generate.pages().items():
    assert generate.UNKNOWN not in page, f"docs/generate.py needs a description or an example for docs/{name}"
    assert page == text(ROOT / "docs" / name), f"docs/{name} is not what docs/generate.py writes: run it"

def test_settings_are_in_readme():
  table = re.search(r"^## Settings\n(.*?)^## ", text(ROOT / "README.md"), flags=re.M | re.S)[1]
  named = set(re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in table.splitlines() if row.startswith("| `"))))
  sources = [p for folder in ("csrc", "teenygrad") for p in (ROOT / folder).rglob("*") if p.suffix in (".c", ".h", ".py")]
  read = {name for p in [*sources, ROOT / "mnist.py", ROOT / "setup.py"]
          for name in re.findall(r"(?:getenv\(|environ\.get\(|environ\[|setting\()[\"'](\w+)[\"']", text(p))}
  read.update(re.findall(r'\("([A-Z]+)", "[\w.]+"\)', text(ROOT / "teenygrad/viz/__init__.py")))  # there in a loop over (name, default)
  assert named == read
