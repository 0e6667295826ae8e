"""The operations the engine knows (its own table makes the enums) and the one device."""
from teenygrad._engine import UnaryOps, MathOps, BinaryOps, ReduceOps, TernaryOps, MovementOps, LoadOps  # noqa: F401

class Device:
  """There is one device, "CPU"; every other name means it, too."""
  DEFAULT: str = "CPU"
  _buffers = ["CPU"]

  @staticmethod
  def canonicalize(device) -> str: "The name of the device that `device` (anything) stands for."; return "CPU"
