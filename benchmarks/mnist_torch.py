#!/usr/bin/env python3
"""mnist.py with PyTorch: the same data, net, optimiser, bookkeeping and test."""
import gzip, os
import torch

MNIST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "extra", "datasets", "mnist")

def read(name, header):
  with gzip.open(os.path.join(MNIST, name)) as f: return torch.frombuffer(bytearray(f.read()), dtype=torch.uint8)[header:]

def scaled_uniform(*shape):
  weight = torch.rand(shape) * 2 - 1
  return (weight * weight.numel() ** -0.5).requires_grad_()

def forward(x, c1, c2, l1):
  x = torch.max_pool2d(torch.conv2d(x.reshape(-1, 1, 28, 28), c1).relu(), 2)
  x = torch.max_pool2d(torch.conv2d(x, c2).relu(), 2)
  return (x.reshape(len(x), -1) @ l1).log_softmax(-1)

if __name__ == "__main__":
  X_train, X_test = (read(f"{name}-images-idx3-ubyte.gz", 16).reshape(-1, 784).float() for name in ("train", "t10k"))
  Y_train, Y_test = (read(f"{name}-labels-idx1-ubyte.gz", 8).long() for name in ("train", "t10k"))
  params = [scaled_uniform(8, 1, 3, 3), scaled_uniform(16, 8, 3, 3), scaled_uniform(400, 10)]
  optim = torch.optim.Adam(params, lr=0.001)
  losses, accuracies = [], []
  for _ in range(100):
    batch = torch.randint(len(X_train), (128,))
    y = Y_train[batch]
    out = forward(X_train[batch], *params)
    loss = torch.nn.functional.nll_loss(out, y)
    optim.zero_grad()
    loss.backward()
    optim.step()
    losses.append(loss.item())
    accuracies.append((out.argmax(-1) == y).float().mean().item())
  with torch.no_grad(): predicted = torch.cat([forward(x, *params).argmax(-1) for x in X_test.split(128)])
  accuracy = (predicted == Y_test).float().mean().item()
  print("test set accuracy is %f" % accuracy)
  assert accuracy > 0.93
