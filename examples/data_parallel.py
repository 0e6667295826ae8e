#!/usr/bin/env python3
"""Data-parallel training: every process computes the gradient of its part of each batch, MPI adds them up, and all take the same step.

    pip install mpi4py mpich
    mpiexec -n 2 python examples/data_parallel.py [--steps 100]

One process or several come to the same parameters, up to rounding: the parts are equally large, so that the mean of their gradients is the
batch's. Give each process its share of the cores with TEENYGRAD_THREADS.
"""
import argparse, os, sys
import numpy as np
from mpi4py import MPI
from teenygrad import Tensor
from teenygrad.nn import Linear
from teenygrad.nn.optim import Adam
from teenygrad.nn.state import get_parameters

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from mnist import fetch_mnist

class Net:
  """Images (N, 784) to logits (N, 10)."""
  def __init__(self): self.layers = [Linear(784, 128), Tensor.relu, Linear(128, 10)]
  def __call__(self, x): return x.sequential(self.layers)

def average_gradients(parameters, comm):
  """Replaces each gradient by its mean over the processes. No value is copied: MPI reads the gradient where the engine has stored it, and the
  array that it writes becomes a Tensor as it is (nobody else has it, so nobody writes to it any more)."""
  gradients = [p.grad for p in parameters]
  Tensor.corealize(gradients)
  for p, g in zip(parameters, gradients):
    own = np.asarray(g)
    total = np.empty_like(own)  # in the same order in memory, which MPI does not look at
    comm.Allreduce(own, total)
    p.grad = Tensor.from_dlpack(total, copy=False) / comm.size

def train(comm, X, Y, steps, batch=128):
  """The network after that many steps, and the losses of the batches: the same in every process."""
  if batch % comm.size: raise SystemExit(f"a batch of {batch} can't be shared equally by {comm.size} processes")
  Tensor.manual_seed(0)  # the same parameters everywhere
  rng = np.random.default_rng(0)  # and the same batches
  net, losses = Net(), []
  optimizer = Adam(get_parameters(net), lr=0.001)
  for _ in range(steps):
    own = rng.integers(0, len(X), batch)[comm.rank::comm.size]
    loss = net(Tensor(X[own].astype(np.float32) / 255)).sparse_categorical_crossentropy(Tensor(Y[own]))
    optimizer.zero_grad()
    loss.backward()
    average_gradients(optimizer.params, comm)
    optimizer.step()
    losses.append(comm.allreduce(loss.item()) / comm.size)
  return net, losses

if __name__ == "__main__":
  parser = argparse.ArgumentParser(description="trains on MNIST with several processes")
  parser.add_argument("--steps", type=int, default=100)
  parser.add_argument("--save", metavar="FILE", help="write the parameters and losses as an .npz")
  args = parser.parse_args()
  comm = MPI.COMM_WORLD
  X_train, Y_train, X_test, Y_test = fetch_mnist()
  net, losses = train(comm, X_train, Y_train, args.steps)
  if comm.rank == 0:
    right = (net(Tensor(X_test.astype(np.float32) / 255)).numpy().argmax(-1) == Y_test).mean()
    print(f"{comm.size} processes: loss {losses[0]:.3f} -> {losses[-1]:.3f}, test set accuracy {right:.4f}")
    if args.save: np.savez(args.save, losses=losses, **{str(i): p.numpy() for i, p in enumerate(get_parameters(net))})
