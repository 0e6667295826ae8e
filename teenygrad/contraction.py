"""Einstein's summation. Two operands are multiplied with broadcast axes and summed, which the engine runs as a batched matrix product."""
from __future__ import annotations
import itertools, string
from typing import Any, Dict, List, Set, Tuple
from teenygrad import arguments, mlops
from teenygrad.helpers import prod

Term = Tuple[Any, str]  # a Tensor and a label for each of its axes, none twice

def _labels(term: str, ndim: int, dots: str, subscripts: str) -> str:
  """The labels of an operand's axes; those of an ellipsis are the last of `dots`."""
  before, ellipsis, after = term.partition("...")
  if not (before + after).isascii() or not (before + after + "a").isalpha():
    raise ValueError(f"einsum {subscripts!r}: {term!r} is no list of letters")
  more = ndim - len(before + after)
  if more < 0 or more and not ellipsis: raise ValueError(f"einsum {subscripts!r}: {term!r} doesn't name the {ndim} axes of an operand")
  return before + dots[len(dots) - more:] + after

def _parse(subscripts: str, shapes: List[Tuple[int, ...]]) -> Tuple[List[str], str]:
  """The labels of each operand and of the result. The axes of ellipses are labelled by digits and what follows, so that they sort first."""
  left, arrow, right = subscripts.replace(" ", "").partition("->")
  terms = left.split(",")
  if len(terms) != len(shapes): raise ValueError(f"einsum {subscripts!r} of {len(shapes)} operands")
  most = max((len(shape) - len(term) + 3 for term, shape in zip(terms, shapes) if "..." in term), default=0)
  dots = "".join(chr(ord("\u0100") + i) for i in range(max(0, most)))
  labels = [_labels(term, len(shape), dots, subscripts) for term, shape in zip(terms, shapes)]
  if arrow: return labels, _labels(right, len(right.replace("...", "")) + (len(dots) if "..." in right else 0), dots, subscripts)
  given = "".join(labels)
  return labels, dots + "".join(c for c in string.ascii_uppercase + string.ascii_lowercase if given.count(c) == 1)

def _sizes(subscripts: str, labels: List[str], shapes: List[Tuple[int, ...]], out: str) -> Dict[str, int]:
  sizes: Dict[str, int] = {}
  for c, n in itertools.chain.from_iterable(zip(*pair) for pair in zip(labels, shapes)):
    if sizes.setdefault(c, n) not in (n, 1) and n != 1: raise ValueError(f"einsum {subscripts!r}: an axis has the sizes {sizes[c]} and {n}")
    if sizes[c] == 1: sizes[c] = n
  if len(set(out)) != len(out) or not set(out) <= sizes.keys():
    raise ValueError(f"einsum {subscripts!r}: the result has a letter twice, or one of no operand")
  return sizes

def _reshaped(x: Any, shape: Tuple[int, ...]) -> Any: return x if x.shape == shape else mlops.Reshape.apply(x, shape=shape)

def _own(x: Any, labels: str, sizes: Dict[str, int]) -> Term:
  """Diagonals of what is labelled twice, and no axes of size 1 that others broadcast."""
  for c in dict.fromkeys(labels):
    while labels.count(c) > 1:
      i, j = [k for k, label in enumerate(labels) if label == c][:2]
      n = max(x.shape[i], x.shape[j])
      x = x.expand(tuple(n if k in (i, j) else s for k, s in enumerate(x.shape))).diagonal(0, i, j)
      labels = labels[:i] + labels[i + 1:j] + labels[j + 1:] + c
  keep = [i for i, c in enumerate(labels) if x.shape[i] == sizes[c]]
  return _reshaped(x, tuple(x.shape[i] for i in keep)), "".join(labels[i] for i in keep)

def _sum(x: Any, axes: Tuple[int, ...]) -> Any: return x._reduce(mlops.Sum, axes, False) if axes else x

def _alone(t: Term, needed: Set[str]) -> Term:
  """Summed over what nothing else has."""
  x, labels = t
  return _sum(x, tuple(i for i, c in enumerate(labels) if c not in needed)), "".join(c for c in labels if c in needed)

def _spread(t: Term, labels: str) -> Any:
  """With these labels' axes in their order, of size 1 where it has none."""
  x, own = t
  order = tuple(own.index(c) for c in labels if c in own)
  if order != tuple(range(len(order))): x = mlops.Permute.apply(x, order=order)
  rest = iter(x.shape)
  return _reshaped(x, tuple(next(rest) if c in own else 1 for c in labels))

def _contract(a: Term, b: Term, needed: Set[str]) -> Term:
  """The product of two, summed over what is needed no more."""
  both = [c for c in a[1] if c in b[1]]
  kept = "".join([c for c in both if c in needed] + [c for c in a[1] if c not in both] + [c for c in b[1] if c not in both])
  gone = "".join(c for c in both if c not in needed)
  product = _spread(a, kept + gone) * _spread(b, kept + gone)
  return _sum(product, tuple(range(len(kept), len(kept + gone)))), kept

def einsum(subscripts: str, *operands: Any) -> Any:
  """See Tensor.einsum. Of all pairs that is contracted next whose result is the least larger than the two are."""
  if not operands: raise ValueError("einsum of no operands")
  if len(operands) == 1 and isinstance(operands[0], (list, tuple)): operands = tuple(operands[0])
  if not isinstance(subscripts, str): raise TypeError(f"einsum takes the subscripts first, as a str, not {arguments.shown(subscripts)}")
  operands = tuple(arguments.operand(x, "an operand of einsum") for x in operands)
  dtype = max(x.dtype for x in operands)
  if len(operands) > 2 and dtype.priority == 9: operands = tuple(x.float() for x in operands)  # what lies between is not rounded to 16 bits
  shapes = [x.shape for x in operands]
  labels, out = _parse(subscripts, shapes)
  sizes = _sizes(subscripts, labels, shapes, out)
  terms = [_own(x, c, sizes) for x, c in zip(operands, labels)]
  def needed(*but: int) -> Set[str]: return set(out).union(*(t[1] for i, t in enumerate(terms) if i not in but))
  def size(letters) -> int: return prod(sizes[c] for c in letters)
  for i, t in enumerate(terms): terms[i] = _alone(t, needed(i))
  def growth(pair: Tuple[int, int]) -> Tuple[int, int]:
    a, b = (set(terms[i][1]) for i in pair)
    return size((a | b) & needed(*pair)) - size(a) - size(b), size(a | b)
  while len(terms) > 1:
    i, j = min(itertools.combinations(range(len(terms)), 2), key=growth)
    made = _contract(terms[i], terms[j], needed(i, j))
    terms = [t for k, t in enumerate(terms) if k not in (i, j)] + [made]
  x, have = terms[0]
  return mlops.Permute.apply(x, order=tuple(have.index(c) for c in out)).cast(dtype)  # a new Tensor in any case
