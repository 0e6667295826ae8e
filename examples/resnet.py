#!/usr/bin/env python3
"""A small residual network (He et al., 2016) on MNIST: more than 99 % of the test digits are right after a few epochs.

    python examples/resnet.py [--epochs 3] [--save resnet.safetensors]
"""
import argparse, os, sys, time
import numpy as np
from teenygrad import Tensor
from teenygrad.nn import BatchNorm2d, Conv2d, Linear
from teenygrad.nn.optim import Adam
from teenygrad.nn.schedule import OneCycleLR
from teenygrad.nn.state import get_parameters, get_state_dict, safe_save

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from mnist import fetch_mnist

class Block:
  """relu(x + conv(relu(conv(x)))), each convolution normalised; with a stride, x is brought to the result's shape by one of 1x1."""
  def __init__(self, channels, out, stride=1):
    self.conv1, self.norm1 = Conv2d(channels, out, 3, stride=stride, padding=1, bias=False), BatchNorm2d(out)
    self.conv2, self.norm2 = Conv2d(out, out, 3, padding=1, bias=False), BatchNorm2d(out)
    self.shortcut = [Conv2d(channels, out, 1, stride=stride, bias=False), BatchNorm2d(out)] if stride > 1 or channels != out else []

  def __call__(self, x):
    y = self.norm2(self.conv2(self.norm1(self.conv1(x)).relu()))
    return (y + x.sequential(self.shortcut)).relu()

class ResNet:
  """Images (N, 1, 28, 28) to logits (N, 10)."""
  def __init__(self, width=16):
    self.stem, self.norm = Conv2d(1, width, 3, stride=2, padding=1, bias=False), BatchNorm2d(width)
    self.blocks = [Block(width, width), Block(width, 2 * width, stride=2), Block(2 * width, 4 * width, stride=2)]
    self.head = Linear(4 * width, 10)

  def __call__(self, x):
    x = self.norm(self.stem(x)).relu().sequential(self.blocks)
    return self.head(x.mean((2, 3)))

def as_input(images): return Tensor(images.reshape(-1, 1, 28, 28).astype(np.float32) / 255)

def train(model, X, Y, epochs, batch=128, lr=0.01, seed=0, report=print):
  rng = np.random.default_rng(seed)
  steps = len(X) // batch
  optimizer = Adam([p for p in get_parameters(model) if p.requires_grad is not False], lr=lr)
  schedule = OneCycleLR(optimizer, max_lr=lr, total_steps=epochs * steps)
  with Tensor.train():
    for epoch in range(epochs):
      start, total = time.perf_counter(), 0.0
      order = rng.permutation(len(X))
      for step in range(steps):
        rows = order[step * batch:(step + 1) * batch]
        loss = model(as_input(X[rows])).sparse_categorical_crossentropy(Tensor(Y[rows]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        total += loss.item()
      report(f"epoch {epoch + 1}: mean loss {total / max(1, steps):.4f}, {time.perf_counter() - start:.0f} s")

def accuracy(model, X, Y, batch=500):
  right = sum((model(as_input(X[i:i + batch])).argmax(-1).numpy() == Y[i:i + batch]).sum() for i in range(0, len(X), batch))
  return right / len(X)

if __name__ == "__main__":
  parser = argparse.ArgumentParser(description="trains a residual network on MNIST")
  parser.add_argument("--epochs", type=int, default=3)
  parser.add_argument("--save", metavar="FILE", help="write the parameters and running statistics in the safetensors format")
  args = parser.parse_args()
  Tensor.manual_seed(0)
  X_train, Y_train, X_test, Y_test = fetch_mnist()
  model = ResNet()
  print(f"{sum(p.numel() for p in get_parameters(model))} parameters")
  train(model, X_train, Y_train, args.epochs)
  print(f"test set accuracy is {accuracy(model, X_test, Y_test):.4f}")
  if args.save: safe_save(get_state_dict(model), args.save)
