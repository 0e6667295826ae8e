"""Python itself out of memory: each of its allocations within a program of the engine (programs.py) fails, once for a moment and once with all
after it.

python tests/stress/nomemory.py [NAME...]   of all programs, or of those whose names begin so. Each must end as it does with memory, or with a
MemoryError; the engine then holds no more than before, and Python no more blocks and references. Programs of Tensors are not among them: NumPy's
errstate, which they pass through, and pickled dtypes crash without memory. Needs _testcapi, which a Python may lack. The exit status 1 tells of
anything else; what crashes ends the process."""
import faulthandler, sys, types

try: from _testcapi import remove_mem_hooks, set_nomemory
except ImportError: sys.exit("this Python has no _testcapi: skipped")
from programs import A, ENGINE, X, outcome
from repeated import held

MOST, ROUNDS = 3000, 100  # places in a program; a leak grows in each round, what is filled once does not

def attempt(program, n, forever):
  """The type of the exception with the n-th allocation failing, or None."""
  # The copy's bytecode has not been specialized yet: its calls are those that look whether a function without a result has set an exception.
  program = types.FunctionType(program.__code__.replace(), program.__globals__, closure=program.__closure__)
  set_nomemory(n, 0 if forever else n + 1)
  try: program()
  except BaseException as e:
    remove_mem_hooks()
    return MemoryError if pythons_own(e) else type(e)
  remove_mem_hooks()

def pythons_own(e):
  """Python 3.11 loses the exception when there is no memory for the frame that it leaves: so does `lambda: [].index(3)`. What a function of an
  extension loses reads otherwise: <method ...> or <built-in ...> returned NULL without setting an exception."""
  return isinstance(e, SystemError) and str(e).startswith(("error return without exception set", "<function"))

def each(program, want):
  """Lets each allocation fail; how many there were, and what was wrong."""
  count, wrong = MOST, []
  for forever in (True, False):
    for n in range(1, count + 1):
      got = attempt(program, n, forever)
      if got not in (want, MemoryError): wrong.append((n, forever, got))
      if forever and got is want:
        count = n
        break
  return count, wrong

def state():
  """What must not grow: what the engine holds, blocks of Python, references to what the programs share."""
  shared = (None, True, False, type(X), X, X.dtype, A)
  return {**held(), "python_blocks": sys.getallocatedblocks(), "references": sum(map(sys.getrefcount, shared))}

def main(prefixes):
  faulthandler.enable()
  failed = total = 0
  for name, program in ENGINE.items():
    if prefixes and not name.startswith(tuple(prefixes)): continue
    want = outcome(program)
    for _ in range(ROUNDS):
      before = state()
      count, wrong = each(program, want)
      total += 2 * count
      after = state()
      grown = {key: after[key] - before[key] for key in after if after[key] > before[key]}
      if wrong or not grown: break
    else: wrong.append(grown)
    failed += bool(wrong)
    print(f"{name:40s} {count:5d} allocations{' of more' if count == MOST else ''}", *wrong[:5], flush=True)
  print(f"{total} allocations of Python have failed; {failed} programs went wrong")
  return failed > 0

if __name__ == "__main__": sys.exit(main(sys.argv[1:]))
