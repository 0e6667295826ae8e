#!/usr/bin/env python3
"""Trains a small convolutional network on MNIST for 100 steps and tests it; more than 93 % must be right. With --plot FILE it also draws the
loss, and digits that it gets wrong (needs matplotlib)."""
import argparse, math, os, zlib
import numpy as np
from tqdm import trange
from teenygrad import Tensor
from teenygrad.nn import optim
from teenygrad.helpers import getenv

MNIST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "extra", "datasets", "mnist")

def read_idx(path, ndim):
  """The uint8 array in a gzipped file of the IDX format: bytes 0, 0, 8 (uint8), ndim, then the sizes as big-endian int32, then the data. Ends
  the program, naming the file, if it can't be read or holds anything else."""
  try:
    with open(path, "rb") as f: data = zlib.decompress(f.read(), wbits=31)
  except OSError as e: raise SystemExit(f"{path}: {e.strerror or e}") from e
  except zlib.error as e: raise SystemExit(f"{path}: truncated or corrupt: {e}") from e
  start = 4 + 4 * ndim
  shape = np.frombuffer(data[4:start], ">i4") if data[:4] == bytes((0, 0, 8, ndim)) and len(data) >= start else None
  if shape is None or (shape < 0).any() or len(data) - start != math.prod(shape.tolist()):
    raise SystemExit(f"{path}: not an IDX file of {ndim} axes")
  return np.frombuffer(data, np.uint8, offset=start).reshape(shape)

def fetch_mnist(folder=MNIST):
  """X_train, Y_train, X_test, Y_test: images (N, 784) of 0 ... 255 and labels (N,), all uint8 until they are batched."""
  sets = []
  for name in ("train", "t10k"):
    images, labels = (read_idx(os.path.join(folder, f"{name}-{kind}-idx{ndim}-ubyte.gz"), ndim) for kind, ndim in (("images", 3), ("labels", 1)))
    if images.shape[1:] != (28, 28): raise SystemExit(f"{folder}: images of {name} of the shape {images.shape}, not (N, 28, 28)")
    if len(images) != len(labels): raise SystemExit(f"{folder}: {len(images)} images and {len(labels)} labels of {name}")
    sets += [images.reshape(-1, 28 * 28), labels]
  return sets

def as_float(images): return images.astype(np.float32)

def train(model, X_train, Y_train, optim, steps, BS=128, lossfn=lambda out, y: out.sparse_categorical_crossentropy(y),
          transform=as_float, target_transform=lambda x: x, noloss=False):
  """Takes that many steps on random batches of BS. Returns [losses, accuracies], empty with noloss."""
  Tensor.training = True
  losses, accuracies = [], []
  for _ in (bar := trange(steps, disable=getenv("CI", False))):
    batch = np.random.randint(0, X_train.shape[0], size=BS)
    x, y = Tensor(transform(X_train[batch]), requires_grad=False), Tensor(target_transform(Y_train[batch]))
    out = model.forward(x) if hasattr(model, "forward") else model(x)
    loss = lossfn(out, y)
    optim.zero_grad()
    loss.backward()
    optim.step()
    if noloss: continue
    losses.append(loss.item())
    accuracies.append((out.numpy().argmax(-1) == y.numpy()).mean())
    bar.set_description("loss %.2f accuracy %.2f" % (losses[-1], accuracies[-1]))
  return [losses, accuracies]

def evaluate(model, X_test, Y_test, num_classes=None, BS=128, return_predict=False, transform=as_float, target_transform=lambda y: y):
  """Prints and returns the accuracy, with return_predict also the predicted classes. num_classes: how many outputs count (all)."""
  Tensor.training = False
  predicted = []
  for i in trange((len(Y_test) + BS - 1) // BS, disable=getenv("CI", False)):
    x = Tensor(transform(X_test[i * BS:(i + 1) * BS]), requires_grad=False)
    out = model.forward(x) if hasattr(model, "forward") else model(x)
    predicted.append(out.numpy()[..., :num_classes].argmax(-1))
  predict = np.concatenate(predicted)
  accuracy = (predict == target_transform(Y_test)).mean()
  print("test set accuracy is %f" % accuracy)
  return (accuracy, predict) if return_predict else accuracy

class TinyConvNet:
  """Two convolutions, each with a maximum pool, and a linear layer: (N, 784) to log-probabilities (N, 10)."""
  def __init__(self):
    self.c1 = Tensor.scaled_uniform(8, 1, 3, 3)
    self.c2 = Tensor.scaled_uniform(16, 8, 3, 3)
    self.l1 = Tensor.scaled_uniform(400, 10)

  def forward(self, x):
    x = x.reshape(-1, 1, 28, 28)
    x = x.conv2d(self.c1).relu().max_pool2d()  # 28 -> 26 -> 13
    x = x.conv2d(self.c2).relu().max_pool2d()  # 13 -> 11 -> 5
    return x.reshape(x.shape[0], -1).dot(self.l1).log_softmax()

def plot(path, losses, images, labels, predicted):
  """Draws the loss by step and the first 24 images whose prediction is not their label into a picture file of any format matplotlib knows."""
  import matplotlib
  matplotlib.use("Agg")
  from matplotlib import pyplot
  figure = pyplot.figure(figsize=(12, 5), layout="constrained")
  curve, digits = figure.subfigures(1, 2, width_ratios=(2, 3))
  axes = curve.subplots()
  axes.plot(losses)
  axes.set(xlabel="step", ylabel="loss", ylim=(0, None))
  digits.suptitle(f"{(predicted != labels).sum()} of {len(labels)} are wrong (taken for, instead of)")
  for panel in (panels := digits.subplots(4, 6)).flat: panel.axis("off")
  for panel, i in zip(panels.flat, np.flatnonzero(predicted != labels)):
    panel.imshow(images[i].reshape(28, 28), cmap="gray_r")
    panel.set_title(f"{predicted[i]}, {labels[i]}", fontsize=9)
  figure.savefig(path)
  pyplot.close(figure)

X_train, Y_train, X_test, Y_test = fetch_mnist()

if __name__ == "__main__":
  parser = argparse.ArgumentParser(description="trains a small convolutional network on MNIST")
  parser.add_argument("--plot", metavar="FILE", help="draw the loss and the digits that are wrong into this file")
  args = parser.parse_args()
  np.random.seed(1337)
  model = TinyConvNet()
  losses, _ = train(model, X_train, Y_train, optim.Adam([model.c1, model.c2, model.l1], lr=0.001), steps=100)
  accuracy, predicted = evaluate(model, X_test, Y_test, return_predict=True)
  if args.plot: plot(args.plot, losses, X_test, Y_test, predicted)
  assert accuracy > 0.93
