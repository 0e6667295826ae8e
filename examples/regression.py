#!/usr/bin/env python3
"""Fits a noisy curve with a small network: the shortest whole program there is.

    python examples/regression.py [--steps 1000] [--plot curve.png]      (the plot needs matplotlib)
"""
import argparse
import numpy as np
from teenygrad import Tensor
from teenygrad.nn import Linear
from teenygrad.nn.optim import Adam
from teenygrad.nn.state import get_parameters

class Net:
  """(N, 1) to (N, 1) through two hidden layers."""
  def __init__(self, width=64):
    self.layers = [Linear(1, width), Tensor.tanh, Linear(width, width), Tensor.tanh, Linear(width, 1)]
  def __call__(self, x): return x.sequential(self.layers)

def curve(x): return np.sin(3 * x) + 0.3 * x * x

def fit(steps, seed=0):
  """The network after so many steps on 256 noisy points, those points, and the loss before each step."""
  Tensor.manual_seed(seed)
  rng = np.random.default_rng(seed)
  x = rng.uniform(-2, 2, (256, 1)).astype(np.float32)
  y = (curve(x) + rng.normal(0, 0.1, x.shape)).astype(np.float32)
  net = Net()
  optimizer = Adam(get_parameters(net), lr=0.01)
  inputs, targets, losses = Tensor(x), Tensor(y), []
  for _ in range(steps):
    loss = (net(inputs) - targets).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
  return net, x, y, losses

def plot(path, net, x, y, losses):
  import matplotlib
  matplotlib.use("Agg")
  from matplotlib import pyplot
  figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
  grid = np.linspace(-2, 2, 400, dtype=np.float32).reshape(-1, 1)
  left.plot(x, y, ".", alpha=0.4, label="data")
  left.plot(grid, curve(grid), "--", label="curve")
  left.plot(grid, net(Tensor(grid)).numpy(), label="network")
  left.legend()
  right.semilogy(losses)
  right.set(xlabel="step", ylabel="mean squared error")
  figure.savefig(path)

if __name__ == "__main__":
  parser = argparse.ArgumentParser(description="fits a noisy curve")
  parser.add_argument("--steps", type=int, default=1000)
  parser.add_argument("--plot", metavar="FILE", help="draw the data, the fit and the loss into it")
  args = parser.parse_args()
  net, x, y, losses = fit(args.steps)
  grid = np.linspace(-2, 2, 400, dtype=np.float32).reshape(-1, 1)
  error = np.abs(net(Tensor(grid)).numpy() - curve(grid)).max()
  print(f"loss {losses[0]:.4f} -> {losses[-1]:.4f} (the noise alone: 0.01), largest error of the curve {error:.3f}")
  if args.plot: plot(args.plot, net, x, y, losses)
