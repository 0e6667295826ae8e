"""Schedules of the learning rate by PyTorch's names. A schedule sets its optimiser's lr when it is made and in each step(), to be called after the
optimiser's; all but ReduceLROnPlateau by a formula of the number of steps so far, `last_epoch`, and the optimiser's first rate."""
from __future__ import annotations
import bisect, math
from typing import Any, Sequence
from teenygrad.nn.optim import Optimizer
from teenygrad.tensor import Tensor

def _get(optimizer: Optimizer) -> float: return float(optimizer.lr)
def _set(optimizer: Optimizer, lr: float) -> None: optimizer.lr = Tensor([lr], requires_grad=False)

class LRScheduler:
  """The base of those with a formula: subclasses define rate(), the learning rate after self.last_epoch steps, in terms of self.base_lr."""
  def __init__(self, optimizer: Optimizer):
    self.optimizer, self.base_lr, self.last_epoch = optimizer, _get(optimizer), -1
    self.step()
  def rate(self) -> float: raise NotImplementedError(f"{type(self).__name__} has no rate()")
  def get_last_lr(self) -> float: "The rate that was set last."; return _get(self.optimizer)
  def step(self) -> None:
    """Counts a step and sets the rate."""
    self.last_epoch += 1
    _set(self.optimizer, self.rate())
  def state_dict(self) -> dict: "What load_state_dict takes: all but the optimiser."; return {k: v for k, v in vars(self).items() if k != "optimizer"}
  def load_state_dict(self, state: dict) -> None:
    """Goes on where the schedule of that state was."""
    vars(self).update(state)
    _set(self.optimizer, self.rate())

class StepLR(LRScheduler):
  """base gamma^floor(n / step_size)."""
  def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1):
    if step_size < 1: raise ValueError(f"a step_size of {step_size}")
    self.step_size, self.gamma = step_size, gamma
    super().__init__(optimizer)
  def rate(self) -> float: return self.base_lr * self.gamma ** (self.last_epoch // self.step_size)

class MultiStepLR(LRScheduler):
  """base times gamma for each milestone that has been reached."""
  def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1):
    self.milestones, self.gamma = sorted(milestones), gamma
    super().__init__(optimizer)
  def rate(self) -> float: return self.base_lr * self.gamma ** bisect.bisect_right(self.milestones, self.last_epoch)

class ExponentialLR(LRScheduler):
  """base gamma^n."""
  def __init__(self, optimizer: Optimizer, gamma: float):
    self.gamma = gamma
    super().__init__(optimizer)
  def rate(self) -> float: return self.base_lr * self.gamma ** self.last_epoch

class CosineAnnealingLR(LRScheduler):
  """eta_min + (base - eta_min) (1 + cos(pi n / T_max)) / 2, which rises again after T_max steps (Loshchilov and Hutter, 2017)."""
  def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0):
    if T_max < 1: raise ValueError(f"a T_max of {T_max}")
    self.T_max, self.eta_min = T_max, eta_min
    super().__init__(optimizer)
  def rate(self) -> float: return _cosine(self.base_lr, self.eta_min, self.last_epoch / self.T_max)

def _cosine(start: float, end: float, part: float) -> float: return end + (start - end) * (1 + math.cos(math.pi * part)) / 2
def _linear(start: float, end: float, part: float) -> float: return start + (end - start) * part

class LinearWarmup(LRScheduler):
  """base times a factor that goes from start_factor to end_factor in total_iters steps and stays there: PyTorch's LinearLR."""
  def __init__(self, optimizer: Optimizer, start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5):
    if total_iters < 1: raise ValueError(f"a warmup of {total_iters} steps")
    self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
    super().__init__(optimizer)
  def rate(self) -> float: return self.base_lr * _linear(self.start_factor, self.end_factor, min(1.0, self.last_epoch / self.total_iters))

class OneCycleLR(LRScheduler):
  """From max_lr / div_factor up to max_lr in pct_start of total_steps, then down to that start / final_div_factor at the last of them (Smith and
  Topin, 2019), along a cosine or, with anneal_strategy "linear", lines. RuntimeError for a step beyond. Momentum is left alone."""
  def __init__(self, optimizer: Optimizer, max_lr: float, total_steps: int, pct_start: float = 0.3, anneal_strategy: str = "cos",
               div_factor: float = 25.0, final_div_factor: float = 1e4):
    if total_steps < 1 or not 0 <= pct_start <= 1: raise ValueError(f"a cycle of {total_steps} steps, {pct_start} of which go up")
    if anneal_strategy not in ("cos", "linear"): raise ValueError(f"anneal_strategy is \"cos\" or \"linear\", not {anneal_strategy!r}")
    self.max_lr, self.total_steps, self.pct_start, self.anneal_strategy = max_lr, total_steps, pct_start, anneal_strategy
    self.initial_lr = max_lr / div_factor
    self.min_lr = self.initial_lr / final_div_factor
    super().__init__(optimizer)
  def rate(self) -> float:
    if self.last_epoch > self.total_steps: raise RuntimeError(f"step {self.last_epoch} of a cycle of {self.total_steps} steps")
    anneal, top = _cosine if self.anneal_strategy == "cos" else _linear, self.pct_start * self.total_steps - 1
    if self.last_epoch <= top: return anneal(self.initial_lr, self.max_lr, self.last_epoch / top if top else 1.0)
    return anneal(self.max_lr, self.min_lr, (self.last_epoch - top) / ((self.total_steps - 1 - top) or 1))

class ReduceLROnPlateau:
  """Multiplies the rate by `factor`, not below min_lr, when the metric given to step() has been no better for more than `patience` steps; the
  `cooldown` steps after a cut do not count. Better is below (mode "min") or above ("max") the best by the threshold, a part of it (threshold_mode
  "rel") or a difference ("abs"). A change of the rate by no more than eps is left out."""
  def __init__(self, optimizer: Optimizer, mode: str = "min", factor: float = 0.1, patience: int = 10, threshold: float = 1e-4,
               threshold_mode: str = "rel", cooldown: int = 0, min_lr: float = 0.0, eps: float = 1e-8):
    if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"): raise ValueError(f"mode {mode!r} and threshold_mode {threshold_mode!r}")
    if not factor < 1: raise ValueError(f"a factor of {factor}: it must be below 1")
    self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
    self.threshold, self.threshold_mode, self.cooldown, self.min_lr, self.eps = threshold, threshold_mode, cooldown, min_lr, eps
    self.best, self.bad, self.cooling = math.inf if mode == "min" else -math.inf, 0, 0
  def get_last_lr(self) -> float: "The rate that was set last."; return _get(self.optimizer)
  def _better(self, x: float) -> bool:
    sign = 1 if self.mode == "min" else -1
    return sign * x < sign * self.best * (1 - sign * self.threshold) if self.threshold_mode == "rel" else sign * x < sign * self.best - self.threshold
  def step(self, metric: Any) -> None:
    """Takes a metric, a number or a Tensor of one."""
    if self._better(x := float(metric)): self.best, self.bad = x, 0
    else: self.bad += 1
    if self.cooling: self.cooling, self.bad = self.cooling - 1, 0
    if self.bad <= self.patience: return
    self.cooling, self.bad = self.cooldown, 0
    new = max(_get(self.optimizer) * self.factor, self.min_lr)
    if _get(self.optimizer) - new > self.eps: _set(self.optimizer, new)
