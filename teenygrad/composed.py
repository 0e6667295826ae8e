"""Methods of a Tensor beyond the original's, made of those in tensor.py or of functions of their own."""
from __future__ import annotations

class Composed:
  """The base of Tensor with the methods that others, too, have come to expect of a tensor."""
  __slots__ = ()
