"""The source tree's own promises, read off the files."""
import ast, pathlib, re

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
CSRC = ROOT / "csrc"
C_FILES = sorted(p for p in CSRC.rglob("*") if p.suffix in (".c", ".h", ".inc", ".def"))
LAYERS = ("base", "graph", "kernels", "sched", "exec", "py")
# Which layers a layer may include from, besides itself.
BENEATH = {"base": set(), "graph": {"base"}, "kernels": {"base", "graph"}, "sched": {"base", "graph"},
           "exec": {"base", "graph", "kernels", "sched"}, "py": {"base", "graph", "kernels", "sched", "exec"}}

def each(files): return pytest.mark.parametrize("path", files, ids=lambda p: p.relative_to(ROOT).as_posix())

def code(path):
  """The text without comments and strings; lines keep their numbers."""
  def blank(match): return re.sub(r"[^\n]", " ", match[0])
  return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, path.read_text(), flags=re.DOTALL)

def includes(path): return re.findall(r'^\s*#\s*include\s*(["<])([^">]+)[">]', path.read_text(), flags=re.MULTILINE)

def test_there_are_sources():
  assert {p.relative_to(CSRC).parts[0] for p in C_FILES} == set(LAYERS)

@each(C_FILES)
def test_includes_point_downwards(path):
  layer = path.relative_to(CSRC).parts[0]
  for quote, name in includes(path):
    if quote == "<":
      if re.match(r"Python\.h|numpy/|structmember\.h", name): assert layer == "py", f"{name} belongs to py/"
      continue
    assert (CSRC / name).is_file(), f"{name}: includes are written from csrc/"
    target = name.split("/")[0]
    assert target in BENEATH[layer] | {layer}, f"{layer} must not include {name}"
    if target == "kernels" and layer != "kernels": assert name == "kernels/kernels.h", "kernels are reached through their table"

@each([p for p in C_FILES if p.suffix == ".c" and p.with_suffix(".h").exists()])
def test_own_header_comes_first(path):
  assert includes(path)[0] == ('"', path.with_suffix(".h").relative_to(CSRC).as_posix())

# simd.h is a body: each isa_*.c includes it inside its own target region.
@each([p for p in C_FILES if p.suffix == ".h" and p.name != "simd.h"])
def test_header_guard(path):
  guard = "TG_" + re.sub(r"\W", "_", path.relative_to(CSRC).as_posix()).upper()
  assert re.findall(r"^#(?:ifndef|define) (TG_\w+_H)$", path.read_text(), flags=re.MULTILINE)[:2] == [guard, guard]

@each(C_FILES)
def test_layout(path):
  text = path.read_text()
  lines = text.split("\n")
  assert text.startswith("/* ") and lines[-1] == "" and lines[-2] != ""
  assert len(lines) <= 900
  for number, line in enumerate(lines, 1):
    assert len(line) <= 120, f"line {number} is too long"
    assert "\t" not in line and line == line.rstrip(), f"line {number} has tabs or trailing blanks"

@each([p for p in C_FILES if p.relative_to(CSRC).as_posix() != "base/alloc.c"])
def test_only_the_allocator_allocates(path):
  assert not re.findall(r"\b(?:malloc|calloc|realloc|free|strdup|posix_memalign|aligned_alloc|mmap|alloca)\s*\(", code(path))

@each(C_FILES)
def test_never_gives_up(path):
  assert not re.findall(r"\b(?:abort|exit|_exit|assert|__builtin_trap|Py_FatalError)\s*\(", code(path))

@each([p for p in C_FILES if p.relative_to(CSRC).parts[0] != "py"])
def test_only_py_knows_python(path):
  assert not re.findall(r"\b_?Py[A-Z]?\w*_\w+", code(path))

def project_files():
  folders = ["csrc", "teenygrad", "tests", "docs", "benchmarks", "extra", ".ci"]
  inside = [p for folder in folders for p in (ROOT / folder).rglob("*")
            if not any(part.startswith(".") for part in p.relative_to(ROOT / folder).parts)]
  return sorted(p for p in [*ROOT.iterdir(), *inside] if p.is_file() and p.suffix in
                (".c", ".h", ".inc", ".def", ".py", ".pyi", ".md", ".toml", ".ini", ".in", "") and "__pycache__" not in p.parts)

@each(project_files())
def test_no_paths_of_one_machine(path):
  home = "|".join(("root", "home", "Users", "work", "tmp"))
  found = re.findall(rf"(?<![\w.~/])/(?:{home})/\w+", path.read_text())
  assert not found

def test_build_lists_every_file():
  """What setup.py and MANIFEST.in take by pattern is what there is."""
  endings = set(re.findall(r'"(\.\w+)"', "".join(re.findall(r"sources\((.*?)\)", (ROOT / "setup.py").read_text()))))
  assert endings == {p.suffix for p in CSRC.rglob("*") if p.is_file()}
  assert "graft csrc" in (ROOT / "MANIFEST.in").read_text()

def test_packages_are_listed():
  folders = {p.parent.relative_to(ROOT).as_posix().replace("/", ".") for p in (ROOT / "teenygrad").rglob("*.py")}
  listed = re.search(r"^packages = (\[.*\])$", (ROOT / "pyproject.toml").read_text(), flags=re.MULTILINE)
  assert listed and folders == set(ast.literal_eval(listed[1]))

def test_readme_has_the_two_commands():
  """One line each; .ci/run takes them from here."""
  text = (ROOT / "README.md").read_text()
  for extra, command in (("mnist", "python mnist.py"), ("testing", "python -m pytest")):
    lines = [line for line in text.splitlines() if f"pip install '.[{extra}]'" in line]
    assert len(lines) == 1
    assert lines[0].startswith("python3 -m venv .venv && ") and lines[0].endswith(f".venv/bin/{command}")
