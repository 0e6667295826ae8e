"""Running a schedule by hand; `Tensor.realize` and `Tensor.corealize` do it all in one."""
from teenygrad import _engine

def run_schedule(schedule: list, disable_logging: bool = False) -> None:
  """Computes the targets of the items that `LazyBuffer.schedule` gave, all together."""
  _engine.realize([item.target for item in schedule])
