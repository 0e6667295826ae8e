"""What run.py measures. An entry has the inputs and, for each implementation, a function of the library (Tensor, torch or
numpy) and the inputs in that library's own type. `both` and `all_three` are for functions that read alike."""
from dataclasses import dataclass
from typing import Any, Callable, Optional, Tuple

@dataclass
class Workload:
  """inputs: functions of a NumPy generator. Each implementation: None (no counterpart), a function whose results are measured and compared, or the
  path of a script whose last word of output is compared.
  tol: results a and b are equal if |a - b| <= tol (|b| + rms(b)).
  backward: the shape of the gradient that the result is given; then the results are the output and the gradients of all float inputs.
  steps: the functions are called once and return the step to be measured.
  flops: float32 operations of a call, for its share of what the processor can do.
  summary: what is compared instead of the results (for random numbers). limit: MiB that ours may take beyond the results in the first call."""
  inputs: Tuple[Callable, ...]
  ours: Any
  torch: Any = None
  numpy: Any = None
  tol: float = 1e-4
  backward: Optional[Tuple[int, ...]] = None
  steps: bool = False
  flops: Optional[float] = None
  summary: Optional[Callable] = None
  limit: Optional[float] = None

def normal(*shape): return lambda rng: rng.standard_normal(shape, "float32")
def small(*shape): return lambda rng: rng.standard_normal(shape, "float32") * 0.1
def integers(high, *shape): return lambda rng: rng.integers(0, high, shape)
def both(f): return {"ours": f, "torch": f}
def all_three(f): return {"ours": f, "torch": f, "numpy": f}
def product(left, right, **kwargs): return Workload((normal(*left), normal(*right)), **all_three(lambda L, a, b: a @ b), **kwargs)

def product_in(dtype, n, tol):
  """The product of matrices converted beforehand."""
  def ours(L, a, b):
    from teenygrad.helpers import dtypes
    a, b = (x.cast(getattr(dtypes, dtype)).realize() for x in (a, b))
    return lambda: (a @ b,)
  def torch(L, a, b):
    a, b = (x.to(getattr(L, dtype)) for x in (a, b))
    return lambda: (a @ b,)
  return Workload((normal(n, n),) * 2, ours, torch, steps=True, tol=tol)

def conv(x, w, backward=None, **kwargs):
  return Workload((normal(*x), normal(*w)), lambda L, x, w: x.conv2d(w, **kwargs), lambda L, x, w: L.conv2d(x, w, **kwargs), backward=backward)
def conv_transposed(x, w, **kwargs):
  return Workload((normal(*x), normal(*w)), lambda L, x, w: x.conv_transpose2d(w, **kwargs), lambda L, x, w: L.conv_transpose2d(x, w, **kwargs))
def pool(kind, backward, *args):
  return Workload((normal(*POOLED),), lambda L, x: getattr(x, kind)(*args), lambda L, x: getattr(L.nn.functional, kind)(x, *args), backward=backward)
def attention(numpy=None, **kwargs):
  return Workload((normal(4, 8, 256, 64),) * 3, lambda L, q, k, v: q.scaled_dot_product_attention(k, v, **kwargs),
                  lambda L, q, k, v: L.nn.functional.scaled_dot_product_attention(q, k, v, **kwargs), numpy)

def chain(L, x):
  for _ in range(50): x = x * 0.99 + 0.1
  return x
def batchnorm(L, x, weight, bias):
  mean = x.mean((0, 2, 3))
  var = (x - mean.reshape(1, -1, 1, 1)).square().mean((0, 2, 3))
  return x.batchnorm(weight, bias, mean, (var + 1e-5).rsqrt())
def upsample(L, x):
  n, c, h, w = x.shape
  return x.reshape(n, c, h, 1, w, 1).expand(n, c, h, 2, w, 2).reshape(n, c, 2*h, 2*w).contiguous()
def softmax_numpy(L, x):
  e = L.exp(x - x.max(-1, keepdims=True))
  return e / e.sum(-1, keepdims=True)
def layernorm_numpy(L, x):
  x = x - x.mean(-1, keepdims=True)
  return x / L.sqrt((x * x).mean(-1, keepdims=True) + 1e-5)
def attention_numpy(L, q, k, v): return softmax_numpy(L, q @ k.swapaxes(-1, -2) * 0.125) @ v  # 64 ** -0.5

def adam(Adam, tensors):
  params, grads = tensors[::2], tensors[1::2]
  for p, g in zip(params, grads): p.grad = g
  optim = Adam(list(params))
  def step(): optim.step(); return params
  return step
def adam_ours(L, *tensors): from teenygrad.nn.optim import Adam; return adam(Adam, tensors)
def adam_torch(L, *tensors): return adam(L.optim.Adam, tensors)

def training(optim, params, forward):
  def step():
    out, loss = forward()
    optim.zero_grad()
    loss.backward()
    optim.step()
    loss.item()
    return loss, out, *[p.grad for p in params]
  return step
def mnist_ours(L, x, y, c1, c2, l1):
  from teenygrad.nn.optim import Adam
  x, y = x.numpy(), y.numpy()
  def forward():
    out = L(x).reshape(-1, 1, 28, 28).conv2d(c1).relu().max_pool2d().conv2d(c2).relu().max_pool2d()
    out = out.reshape(len(x), -1).dot(l1).log_softmax()
    return out, out.sparse_categorical_crossentropy(L(y))
  return training(Adam([c1, c2, l1]), [c1, c2, l1], forward)
def mnist_torch(L, x, y, c1, c2, l1):
  for p in (c1, c2, l1): p.requires_grad_()
  def forward():
    out = L.max_pool2d(L.conv2d(L.max_pool2d(L.conv2d(x.reshape(-1, 1, 28, 28), c1).relu(), 2), c2).relu(), 2)
    out = (out.reshape(len(x), -1) @ l1).log_softmax(-1)
    return out, L.nn.functional.nll_loss(out, y)
  return training(L.optim.Adam([c1, c2, l1]), [c1, c2, l1], forward)
def mnist_step(c):
  weights = small(c, 1, 3, 3), small(2 * c, c, 3, 3), small(50 * c, 10)
  return Workload((normal(128, 784), integers(10, 128), *weights), mnist_ours, mnist_torch, tol=1e-3, steps=True)

IMAGES, POOLED, CHANNELS, BIG = (8, 64, 56, 56), (32, 32, 56, 56), (32, 64, 28, 28), 1 << 22

WORKLOADS = {
  "mnist, whole process": Workload((), "mnist.py", "benchmarks/mnist_torch.py", tol=0.05),
  "mnist step 8/16": mnist_step(8),
  "mnist step 32/64": mnist_step(32),
  **{f"matmul {n}": product((n, n), (n, n), flops=2 * n**3) for n in (128, 512, 1024, 2048)},
  "matmul 512 float16": product_in("float16", 512, 2e-3),
  "matmul 512 bfloat16": product_in("bfloat16", 512, 2e-2),
  "matmul 1021x1019x1013": product((1021, 1019), (1019, 1013)),
  "matmul 127x333x65": product((127, 333), (333, 65)),
  "matmul 1000x17x1000": product((1000, 17), (17, 1000)),
  "matmul 1024 transposed": Workload((normal(1024, 1024),) * 2, **all_three(lambda L, a, b: a.T @ b.T)),
  "matmul 64 of 128": product((64, 128, 128), (64, 128, 128)),
  "matvec 4096": product((4096, 4096), (4096,)),
  "linear relu 256x1024x1024 f+b": Workload((normal(256, 1024), normal(1024, 1024), normal(1024)), lambda L, x, w, b: x.linear(w, b).relu(),
                                            lambda L, x, w, b: L.addmm(b, x, w).relu(), backward=(256, 1024)),
  "conv 3x3 8x64x56x56->64": conv(IMAGES, (64, 64, 3, 3), padding=1),
  "conv 7x7 /2 4x3x224x224->64": conv((4, 3, 224, 224), (64, 3, 7, 7), stride=2, padding=3),
  "conv 1x1 8x64x56x56->64": conv(IMAGES, (64, 64, 1, 1)),
  "conv 1x1 8x256x28x28->128": conv((8, 256, 28, 28), (128, 256, 1, 1)),
  "conv depthwise 8x128x56x56": conv((8, 128, 56, 56), (128, 1, 3, 3), padding=1, groups=128),
  "conv transposed 8x64x56x56->64": conv_transposed(IMAGES, (64, 64, 3, 3), padding=1),
  "conv transposed /2 8x64x28x28->64": conv_transposed((8, 64, 28, 28), (64, 64, 3, 3), stride=2, padding=1, output_padding=1),
  "conv 3x3 32x32x28x28->64 f+b": conv((32, 32, 28, 28), (64, 32, 3, 3), padding=1, backward=(32, 64, 28, 28)),
  "conv 3x3 /2 8x64x56x56->64 f+b": conv(IMAGES, (64, 64, 3, 3), stride=2, padding=1, backward=(8, 64, 28, 28)),
  "max_pool 32x32x56x56 f+b": pool("max_pool2d", (32, 32, 28, 28), 2),
  "max_pool 3x3 /2 32x32x56x56 f+b": pool("max_pool2d", (32, 32, 27, 27), 3, 2),
  "avg_pool 32x32x56x56 f+b": pool("avg_pool2d", (32, 32, 28, 28), 2),
  "relu(2x+1)*y-z 4M": Workload((normal(BIG),) * 3, **both(lambda L, x, y, z: (2 * x + 1).relu() * y - z),
                                numpy=lambda L, x, y, z: L.maximum(2 * x + 1, 0) * y - z),
  "gelu 4M": Workload((normal(BIG),), lambda L, x: x.gelu(), lambda L, x: L.nn.functional.gelu(x, approximate="tanh"),
                      lambda L, x: 0.5 * x * (1 + L.tanh(0.7978845608 * x * (1 + 0.044715 * x * x)))),
  "exp 4M": Workload((normal(BIG),), **both(lambda L, x: x.exp()), numpy=lambda L, x: L.exp(x), tol=1e-6),
  "add 64k": Workload((normal(1 << 16),) * 2, **all_three(lambda L, x, y: x + y), tol=1e-6),
  "sum 4096x4096": Workload((normal(4096, 4096),), **all_three(lambda L, x: x.sum()), tol=1e-3),
  "sum 4096x4096 axis 0": Workload((normal(4096, 4096),), **all_three(lambda L, x: x.sum(0))),
  "sum 4096x4096 axis 1": Workload((normal(4096, 4096),), **all_three(lambda L, x: x.sum(1))),
  "max 4096x4096": Workload((normal(4096, 4096),), **all_three(lambda L, x: x.max()), tol=0),
  "max 4096x4096 axis 1": Workload((normal(4096, 4096),), lambda L, x: x.max(1), lambda L, x: x.amax(1), lambda L, x: x.max(1), tol=0),
  "transposed copy 2048": Workload((normal(2048, 2048),), **both(lambda L, x: x.T.contiguous()), numpy=lambda L, x: L.ascontiguousarray(x.T), tol=0),
  "softmax 2048x2048": Workload((normal(2048, 2048),), **both(lambda L, x: x.softmax(-1)), numpy=softmax_numpy),
  "softmax 2048x2048 f+b": Workload((normal(2048, 2048),), **both(lambda L, x: x.softmax(-1)), backward=(2048, 2048)),
  "layernorm 4096x1024": Workload((normal(4096, 1024),), lambda L, x: x.layernorm(), lambda L, x: L.nn.functional.layer_norm(x, (1024,)),
                                  layernorm_numpy),
  "batchnorm 32x64x28x28": Workload((normal(*CHANNELS), normal(64), normal(64)), batchnorm,
                                    lambda L, x, w, b: L.nn.functional.batch_norm(x, None, None, w, b, training=True)),
  "upsample 2x 32x64x28x28": Workload((normal(*CHANNELS),), upsample, lambda L, x: L.nn.functional.interpolate(x, scale_factor=2),
                                      lambda L, x: x.repeat(2, 2).repeat(2, 3), tol=0),
  "cross-entropy 512x10000 f+b": Workload((normal(512, 10000), integers(10000, 512)), lambda L, x, y: x.sparse_categorical_crossentropy(y),
                                          lambda L, x, y: L.nn.functional.cross_entropy(x, y), backward=()),
  "Adam 1M": Workload((normal(1 << 20),) * 2, adam_ours, adam_torch, steps=True),
  "Adam 100 of 1000": Workload((normal(1000),) * 200, adam_ours, adam_torch, steps=True),
  "cumsum 1024x1024": Workload((normal(1024, 1024),), **all_three(lambda L, x: x.cumsum(1))),
  "gather 512 of 8192x64": Workload((normal(8192, 64), integers(8192, 512)), **all_three(lambda L, x, i: x[i]), tol=0),
  "random 4M": Workload((), **both(lambda L: L.rand(BIG)), numpy=lambda L: L.random.default_rng().random(BIG, L.float32), tol=1e-3,
                        summary=lambda x: [x.min(), x.mean(), (x * x).mean(), x.max(), x.size]),
  "add of one element": Workload((normal(1),) * 2, **all_three(lambda L, x, y: x + y), tol=1e-6),
  "100 ops on 16 floats": Workload((normal(16),), **all_three(chain)),
  "attention 4x8x256x64": attention(attention_numpy),
  "attention 4x8x256x64 causal": attention(is_causal=True),
}

# Done naively, these store windows or the products before a sum: more than the limit.
LIMITED, LIMIT = ("matmul", "matvec", "linear", "conv", "max_pool", "avg_pool", "attention"), 16
for name, workload in WORKLOADS.items():
  if name.split()[0] in LIMITED: workload.limit = LIMIT
