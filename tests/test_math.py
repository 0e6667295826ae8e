"""Functions at the places where a formula of other functions would lose digits or overflow, and their gradients, against PyTorch's in float64."""
import numpy as np
import pytest
import torch

from teenygrad.tensor import Tensor

INF, NAN = float("inf"), float("nan")
SIZES = (0, 1e-45, 1e-40, 1e-30, 1e-8, 1e-6, 1e-3, 0.1, 0.34, 0.5, 0.99, 1, 1.0000001, 1.5, 3, 9, 20, 50, 88.5, 89, 89.41, 1e4, 1e6, 1e10,
         1e19, 1e30, 1.8e38, 3e38, INF, NAN)
X = np.array([s * v for v in SIZES for s in (1, -1)], np.float32)
F = torch.nn.functional
FUNCTIONS = {"softplus": F.softplus, "mish": F.mish, "elu": F.elu, "celu": F.celu, **{name: getattr(torch, name) for name in (
  "exp", "log", "exp2", "log2", "sin", "cos", "tanh", "sinh", "cosh", "asinh", "acosh", "atanh", "sigmoid", "sqrt", "rsqrt")}}

def close(got, want, rtol):
  """Infinities and zeros that float32 makes of float64 numbers are right, and one step of the smallest is near enough."""
  with np.errstate(over="ignore"): want = want.astype(np.float32)
  np.testing.assert_allclose(got, want, rtol=rtol, atol=3e-45)
  zeros = want == 0
  np.testing.assert_array_equal(np.signbit(got[zeros]), np.signbit(want[zeros]))

@pytest.mark.parametrize("name", FUNCTIONS)
def test_values(name):
  close(getattr(Tensor(X), name)().numpy(), FUNCTIONS[name](torch.from_numpy(X).double()).numpy(), 4e-7)

# Not those whose gradient PyTorch, too, computes from a rounded value near 1 (sigmoid, tanh), nor where it is a NaN's (elu, celu).
@pytest.mark.parametrize("name", ["exp", "log", "exp2", "log2", "sin", "cos", "sinh", "cosh", "asinh", "sqrt", "softplus", "mish", "rsqrt"])
def test_gradients(name):
  w, t = Tensor(X, requires_grad=True), torch.from_numpy(X).double().requires_grad_()
  getattr(w, name)().sum().backward()
  FUNCTIONS[name](t).sum().backward()
  with np.errstate(over="ignore"): want = t.grad.numpy().astype(np.float32)
  np.testing.assert_allclose(w.grad.numpy(), want, rtol=1e-6, atol=3e-45)

@pytest.mark.parametrize("call, want", [
  (lambda: Tensor([1e-8, -0.0, INF, -INF]).tanh(), [1e-8, -0.0, 1, -1]), (lambda: Tensor([1e-8]).asinh(), [1e-8]),
  (lambda: Tensor([1e-8]).atanh(), [1e-8]), (lambda: Tensor([1e-6]).sinh(), [1e-6]), (lambda: Tensor([-20.]).softplus(), [2.0611537e-9]),
  (lambda: Tensor([-1e4, -INF]).acosh(), [NAN, NAN]), (lambda: Tensor([3e38]).acosh(), [89.2899]), (lambda: Tensor([3e38]).asinh(), [89.2899]),
  (lambda: Tensor([-0., 1e-40, -INF]).rsqrt(), [-INF, 1e20, NAN]), (lambda: Tensor([-INF, -2.]) ** 1.5, [INF, NAN]),
  (lambda: Tensor([1e6]).cos(), [0.93675214]), (lambda: Tensor([80.]).exp(), [5.5406224e34]),
  (lambda: Tensor([-INF]) ** Tensor([1.7]), [INF]), (lambda: Tensor([-1e20, 0, 1e20]).gelu(), [-0.0, 0, 1e20])])
def test_named_values(call, want):
  got, want = call().numpy(), np.array(want, np.float32)
  np.testing.assert_allclose(got, want, rtol=4e-6)  # 1e-40 is itself only that close to a float32
  np.testing.assert_array_equal(np.signbit(got[want == 0]), np.signbit(want[want == 0]))

def test_gradients_at_extremes():
  def gradient(name, *x):
    w = Tensor(list(x), requires_grad=True)
    getattr(w, name)().sum().backward()
    return w.grad.numpy()
  np.testing.assert_array_equal(gradient("asinh", INF, -INF, 0), [0, 0, 1])
  np.testing.assert_array_equal(gradient("mish", 3e38, -3e38), [1, 0])
  np.testing.assert_array_equal(gradient("softplus", NAN, INF, -INF, 0), [NAN, 1, 0, 0.5])
  np.testing.assert_array_equal(gradient("atanh", 0, 1), [1, INF])
  np.testing.assert_array_equal(gradient("acosh", 1, INF), [INF, 0])
  np.testing.assert_array_equal(gradient("gelu", 1e20, -1e20, 3e38, -3e38, 30, -30), [1, 0, 1, 0, 1, 0])
  np.testing.assert_allclose(gradient("asinh", 1e20, -1e30), [1e-20, 1e-30], rtol=1e-6)
