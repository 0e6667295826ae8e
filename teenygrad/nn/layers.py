"""Layers by tinygrad's names and arguments. A layer is an object with Tensors for attributes, called on its input; it computes in float32 or wider
and gives the larger of the input's dtype and its parameters'. Parameters have Tensor.default_type and are drawn as PyTorch draws them: weights and
biases uniform in +-1/sqrt(fan in), the inputs of one output (He et al., 2015, with a = sqrt(5)). What fits no layer raises ValueError."""
from __future__ import annotations
from typing import Any, Optional, Sequence, Tuple, Union
from teenygrad import mlops
from teenygrad.arguments import shown
from teenygrad.helpers import dtypes, make_pair, prod
from teenygrad.tensor import Tensor

__all__ = ["Linear", "Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d", "BatchNorm", "BatchNorm2d", "BatchNorm3d", "LayerNorm", "LayerNorm2d",
           "GroupNorm", "InstanceNorm", "RMSNorm", "Embedding"]

def _check(fits: Any, layer: Any, wants: str, x: Tensor) -> None:
  if not isinstance(x, Tensor): raise TypeError(f"{type(layer).__name__} takes a Tensor, not {shown(x)}")
  if not fits: raise ValueError(f"{type(layer).__name__} takes {wants}, not {x.shape}")

def _uniform(fan_in: int, *shape: int) -> Tensor:
  bound = max(1, fan_in) ** -0.5
  return Tensor.uniform(*shape, low=-bound, high=bound)

def _affine(wanted: bool, *shape: int) -> Tuple[Optional[Tensor], Optional[Tensor]]:
  """A weight of ones and a bias of zeros, or none."""
  return (Tensor.ones(*shape), Tensor.zeros(*shape)) if wanted else (None, None)

def _scaled(x: Tensor, like: Tensor, weight: Optional[Tensor], bias: Optional[Tensor]) -> Tensor:
  """x weight + bias, in the dtype of a result of `like` and the weight."""
  if weight is not None: x = x * weight
  if bias is not None: x = x + bias
  return x.cast(like._float().dtype if weight is None else max(like._float().dtype, weight.dtype))

class Linear:
  """x weight^T + bias along the last axis: x (*, in_features), weight (out_features, in_features), bias (out_features) or None."""
  def __init__(self, in_features: int, out_features: int, bias: bool = True):
    self.weight = _uniform(in_features, out_features, in_features)
    self.bias = _uniform(in_features, out_features) if bias else None
  def __call__(self, x: Tensor) -> Tensor:
    _check(x.ndim and x.shape[-1] == self.weight.shape[1], self, f"(*, {self.weight.shape[1]})", x)
    return x.linear(self.weight.transpose(0, 1), self.bias)

class Conv2d:
  """Convolution over as many axes as kernel_size has, an int being two: x (N, in_channels, *in), weight (out_channels, in_channels / groups,
  *kernel_size), bias (out_channels) or None. padding as in Tensor.conv2d, or "same" (stride 1 only): what keeps the sizes, the odd one behind."""
  _axes = 2
  def __init__(self, in_channels: int, out_channels: int, kernel_size: Union[int, Tuple[int, ...]], stride=1,
               padding: Union[int, Tuple[int, ...], str] = 0, dilation=1, groups: int = 1, bias: bool = True):
    if groups < 1 or in_channels % groups or out_channels % groups: raise ValueError(f"{in_channels} to {out_channels} channels in {groups} groups")
    self.kernel_size, self.stride, self.dilation, self.groups = make_pair(kernel_size, self._axes), stride, dilation, groups
    if isinstance(padding, str):
      if padding != "same" or prod(make_pair(stride, 1)) != 1: raise ValueError(f"padding {padding!r} with stride {stride}: there is \"same\" with 1")
      gaps = [d * (k - 1) for d, k in zip(make_pair(dilation, len(self.kernel_size)), self.kernel_size)]
      padding = tuple(side for gap in reversed(gaps) for side in (gap // 2, gap - gap // 2))
    self.padding = padding
    fan_in = in_channels // groups * prod(self.kernel_size)
    self.weight = _uniform(fan_in, out_channels, in_channels // groups, *self.kernel_size)
    self.bias = _uniform(fan_in, out_channels) if bias else None
  def __call__(self, x: Tensor) -> Tensor:
    channels = self.weight.shape[1] * self.groups
    _check(x.ndim == self.weight.ndim and x.shape[1] == channels, self, f"(N, {channels}) and {self.weight.ndim - 2} more axes", x)
    return x.conv2d(self.weight, self.bias, self.groups, self.stride, self.dilation, self.padding)

class Conv1d(Conv2d):
  """Conv2d over one axis."""
  _axes = 1

class ConvTranspose2d:
  """Tensor.conv_transpose2d over as many axes as kernel_size has, an int being two: x (N, in_channels, *in), weight (in_channels, out_channels /
  groups, *kernel_size), bias (out_channels) or None."""
  _axes = 2
  def __init__(self, in_channels: int, out_channels: int, kernel_size: Union[int, Tuple[int, ...]], stride=1, padding=0, output_padding=0,
               dilation=1, groups: int = 1, bias: bool = True):
    if groups < 1 or in_channels % groups or out_channels % groups: raise ValueError(f"{in_channels} to {out_channels} channels in {groups} groups")
    self.kernel_size, self.stride, self.dilation, self.groups = make_pair(kernel_size, self._axes), stride, dilation, groups
    self.padding, self.output_padding = padding, output_padding
    fan_in = out_channels // groups * prod(self.kernel_size)  # as PyTorch counts, by the weight's second axis
    self.weight = _uniform(fan_in, in_channels, out_channels // groups, *self.kernel_size)
    self.bias = _uniform(fan_in, out_channels) if bias else None
  def __call__(self, x: Tensor) -> Tensor:
    channels = self.weight.shape[0]
    _check(x.ndim == self.weight.ndim and x.shape[1] == channels, self, f"(N, {channels}) and {self.weight.ndim - 2} more axes", x)
    return x.conv_transpose2d(self.weight, self.bias, self.groups, self.stride, self.dilation, self.padding, self.output_padding)

class ConvTranspose1d(ConvTranspose2d):
  """ConvTranspose2d over one axis."""
  _axes = 1

class BatchNorm:
  """(x - mean) / sqrt(variance + eps) weight + bias for each channel of x (N, sz, *) (Ioffe and Szegedy, 2015). Mean and variance are those of x
  while Tensor.training, and always with track_running_stats=False; else the running ones. Each call in training moves these by `momentum` of the
  difference (None: to the mean of all calls), the variance being that of n - 1. ValueError for one value a channel in training."""
  def __init__(self, sz: int, eps: float = 1e-5, affine: bool = True, track_running_stats: bool = True, momentum: Optional[float] = 0.1):
    self.sz, self.eps, self.track_running_stats, self.momentum = sz, eps, track_running_stats, momentum
    self.weight, self.bias = _affine(affine, sz)
    if not track_running_stats: return
    self.running_mean, self.running_var = Tensor.zeros(sz, requires_grad=False), Tensor.ones(sz, requires_grad=False)
    self.num_batches_tracked = Tensor.zeros(dtype=dtypes.int64, requires_grad=False)
  def __call__(self, x: Tensor) -> Tensor:
    _check(x.ndim >= 2 and x.shape[1] == self.sz, self, f"(N, {self.sz}, *)", x)
    wide = x._wide()
    mean, var = self._statistics(wide) if Tensor.training or not self.track_running_stats else (self.running_mean, self.running_var)
    out = wide.batchnorm(self.weight, self.bias, mean, (var + self.eps).rsqrt())
    return out.cast(x._float().dtype if self.weight is None else max(x._float().dtype, self.weight.dtype))
  def _statistics(self, x: Tensor) -> Tuple[Tensor, Tensor]:
    """The mean and the variance of each channel, on which the running ones are moved."""
    axes, n = tuple(i for i in range(x.ndim) if i != 1), prod(x.shape) // max(1, self.sz)
    if Tensor.training and n == 1: raise ValueError(f"BatchNorm in training takes more than one value a channel, not {x.shape}")
    mean = x.mean(axes)
    var = (x - mean.reshape(1, -1, *(1,) * (x.ndim - 2))).square().mean(axes)
    if self.track_running_stats and n:
      self.num_batches_tracked.assign(self.num_batches_tracked + 1)
      part = self.num_batches_tracked.float().reciprocal() if self.momentum is None else self.momentum
      for running, new in ((self.running_mean, mean), (self.running_var, var * (n / (n - 1)))):
        running.assign((running + (new.detach() - running) * part).cast(running.dtype))
    return mean, var

BatchNorm2d = BatchNorm3d = BatchNorm

class LayerNorm:
  """(x - mean) / sqrt(variance + eps) weight + bias over the last axes, which are normalized_shape (Ba et al., 2016)."""
  def __init__(self, normalized_shape: Union[int, Sequence[int]], eps: float = 1e-5, elementwise_affine: bool = True):
    self.normalized_shape, self.eps = tuple(make_pair(normalized_shape, 1)), eps  # type: ignore[arg-type]
    self.weight, self.bias = _affine(elementwise_affine, *self.normalized_shape)
  def __call__(self, x: Tensor) -> Tensor:
    n = len(self.normalized_shape)
    _check(x.ndim >= n and x.shape[x.ndim - n:] == self.normalized_shape, self, f"(*, {', '.join(map(str, self.normalized_shape))})", x)
    return _scaled(x._wide().layernorm(tuple(range(-n, 0)), self.eps), x, self.weight, self.bias)

class LayerNorm2d(LayerNorm):
  """LayerNorm over the channels of x (N, C, H, W)."""
  def __call__(self, x: Tensor) -> Tensor:
    _check(x.ndim == 4, self, f"(N, {self.normalized_shape[0]}, H, W)", x)
    return super().__call__(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

class GroupNorm:
  """(x - mean) / sqrt(variance + eps) weight + bias over each of num_groups groups of the channels of x (N, num_channels, *) (Wu and He, 2018)."""
  def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True):
    if num_groups < 1 or num_channels % num_groups: raise ValueError(f"{num_channels} channels in {num_groups} groups")
    self.num_groups, self.num_channels, self.eps = num_groups, num_channels, eps
    self.weight, self.bias = _affine(affine, num_channels)
  def __call__(self, x: Tensor) -> Tensor:
    _check(x.ndim >= 2 and x.shape[1] == self.num_channels, self, f"(N, {self.num_channels}, *)", x)
    size = prod(x.shape[1:]) // self.num_groups
    out = x._wide().reshape(x.shape[0], self.num_groups, size).layernorm(-1, self.eps).reshape(x.shape)
    channels = [None if p is None else p.reshape(-1, *(1,) * (x.ndim - 2)) for p in (self.weight, self.bias)]
    return _scaled(out, x, *channels)

class InstanceNorm(GroupNorm):
  """GroupNorm with a group for each channel (Ulyanov et al., 2016)."""
  def __init__(self, num_features: int, eps: float = 1e-5, affine: bool = True): super().__init__(num_features, num_features, eps, affine)

class RMSNorm:
  """x / sqrt(mean(x^2) + eps) weight along the last axis, of size dim (Zhang and Sennrich, 2019)."""
  def __init__(self, dim: int, eps: float = 1e-6, elementwise_affine: bool = True):
    self.dim, self.eps = dim, eps
    self.weight = Tensor.ones(dim) if elementwise_affine else None
  def __call__(self, x: Tensor) -> Tensor:
    _check(x.ndim and x.shape[-1] == self.dim, self, f"(*, {self.dim})", x)
    wide = x._wide()
    return _scaled(wide * (wide.square().mean(-1, True) + self.eps).rsqrt(), x, self.weight, None)

class Embedding:
  """The rows of weight (vocab_size, embed_size), drawn from the standard normal, that the integers x (*) name: (*, embed_size). TypeError for
  other dtypes; IndexError, when it is computed, for one that is not in -vocab_size ... vocab_size-1 (negative ones count from the end)."""
  def __init__(self, vocab_size: int, embed_size: int):
    self.vocab_size, self.embed_size, self.weight = vocab_size, embed_size, Tensor.randn(vocab_size, embed_size)
  def __call__(self, x: Tensor) -> Tensor:
    _check(True, self, "(*)", x)
    if not dtypes.is_int(x.dtype): raise TypeError(f"Embedding takes integers, not {x.dtype}: numbers are so with dtype=dtypes.int32")
    idx = x.detach().cast(dtypes.int64).reshape(-1, 1).expand(-1, self.embed_size)
    return mlops.Gather.apply(self.weight, idx, axis=0).reshape(*x.shape, self.embed_size)
