"""Methods of a Tensor beyond the original's, made of those in tensor.py or of functions of their own."""
from __future__ import annotations
from typing import Any

class Composed:
  """The base of Tensor with the methods that others, too, have come to expect of a tensor."""
  __slots__ = ()

  def why(self: Any, loss: Any = None, values: bool = False) -> str:
    """A text: whether self is computed or what would compute it, where the first NaN or infinity among its values comes from, and why its grad is
    None; with a loss, whether and how far backward gets from it to self. values: looks for NaN also in what is still to be computed, computing it.
    The program's lines are known of what is made within viz.record() or with GRAPH; viz.record(keep=True) keeps all that a value is made from."""
    from teenygrad import viz
    return viz.why(self, loss, values)
