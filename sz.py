#!/usr/bin/env python3
"""Counts the project: Python files by lines and tokens per line, C by folder. Comments and docstrings do not count.
Fails if the files that the original teenygrad has, too, reach 1000 lines together: that is the promise."""
import ast, glob, io, os, re, token, tokenize

KINDS = (token.OP, token.NAME, token.NUMBER, token.STRING)
SHARED = {f"teenygrad/{name}.py" for name in ("__init__", "helpers", "lazy", "mlops", "nn/__init__", "nn/optim", "ops", "realize", "shape/symbolic",
                                              "tensor")}
LIMIT = 1000

def count_python(text):
  """(lines, tokens): a line counts if an operator, name, number or string other than a docstring starts on it."""
  first = [node.body[0] for node in ast.walk(ast.parse(text)) if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and node.body]
  docs = {(x.lineno, x.col_offset) for x in first if isinstance(x, ast.Expr) and isinstance(getattr(x.value, "value", None), str)}
  code = [t for t in tokenize.generate_tokens(io.StringIO(text).readline) if t.type in KINDS and t.start not in docs]
  return len({t.start[0] for t in code}), len(code)

def count_c(text):
  """Lines with anything but comments and blanks."""
  text = re.sub(r'"(?:\\.|[^"\\\n])*"|/\*.*?\*/|//[^\n]*', lambda m: m[0] if m[0][0] == '"' else "\n" * m[0].count("\n"), text, flags=re.S)
  return sum(bool(line.strip()) for line in text.splitlines())

def read(path):
  with open(path, encoding="utf-8") as f: return f.read()

def main():
  rows = sorted(((path.replace(os.sep, "/"), *count_python(read(path))) for path in glob.glob("teenygrad/**/*.py", recursive=True)),
                key=lambda row: (-row[1], row[0]))
  width = max((len(path) for path, *_ in rows), default=4)
  print(f"{'Name':{width}}    Lines    Tokens/Line\n{'-' * width}  -------  -------------")
  for path, lines, tokens in rows: print(f"{path:{width}}  {lines:7}  {tokens / max(1, lines):13.1f}")
  print()
  for folder in sorted({os.path.dirname(path) for path, *_ in rows}):
    print(f"{folder:30} : {sum(lines for path, lines, _ in rows if os.path.dirname(path) == folder):6}")
  total = sum(lines for path, lines, _ in rows if path in SHARED)
  print(f"\ntotal line count: {total}")

  folders = {}
  for path in glob.glob("csrc/**/*.*", recursive=True):
    if path.endswith((".c", ".h", ".inc", ".def")): folders.setdefault(os.path.dirname(path), []).append(count_c(read(path)))
  print()
  for folder, counts in sorted(folders.items()): print(f"{folder:30} : {sum(counts):6} in {len(counts)} files")
  print(f"{'C':30} : {sum(map(sum, folders.values())):6}")
  if total >= LIMIT: raise SystemExit(f"the files that the original has count {total} lines: {LIMIT - 1} are the limit")

if __name__ == "__main__": main()
