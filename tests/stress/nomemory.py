"""Python itself out of memory: each of its allocations within a program of programs.py fails, once for a moment and once with all after it.

python tests/stress/nomemory.py [NAME...]   of all programs, or of those whose names begin so. Each must end as it does with memory, or with a
MemoryError; the engine then holds no more than before and Python only what its caches grow by. Needs _testcapi, which a Python may lack. Exit
status 1 tells of anything else; what crashes ends the process."""
import faulthandler, gc, sys

try: from _testcapi import remove_mem_hooks, set_nomemory
except ImportError: sys.exit("this Python has no _testcapi: skipped")
from programs import A, LABELS, PROGRAMS, T, outcome
from repeated import held

MOST = 3000  # places in a program

def attempt(program, n, forever):
  """The type of the exception with the n-th allocation failing, or None."""
  set_nomemory(n, 0 if forever else n + 1)
  try: program()
  except BaseException as e:
    remove_mem_hooks()
    return type(e)
  remove_mem_hooks()

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

def singletons(): return [sys.getrefcount(x) for x in (None, True, False, type(T), type(T.lazydata), T.dtype, LABELS.dtype, A, T, T.lazydata)]

def main(prefixes):
  faulthandler.enable()
  failed = total = 0
  for name, program in PROGRAMS.items():
    if prefixes and not name.startswith(tuple(prefixes)): continue
    want = outcome(program)
    each(program, want)  # fills what is filled once
    gc.collect()
    before, blocks, references = held(), sys.getallocatedblocks(), singletons()
    count, wrong = each(program, want)
    after, blocks, references = held(), sys.getallocatedblocks() - blocks, [new - old for new, old in zip(singletons(), references)]
    if after != before: wrong.append((before, after))
    # A leak at one place of the many is one block or one reference.
    if blocks > 0 or max(references) > 0: wrong.append(("blocks", blocks, "references", references))
    total += 2 * count
    failed += bool(wrong)
    print(f"{name:40s} {count:5d} allocations{' of more' if count == MOST else ''}", *wrong[:5], flush=True)
  print(f"{total} allocations of Python have failed; {failed} programs went wrong")
  return failed > 0

if __name__ == "__main__": sys.exit(main(sys.argv[1:]))
