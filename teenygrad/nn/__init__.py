"""Layers, optimisers, schedules of the learning rate, and what reads and writes a model's state."""
from teenygrad.nn import clip, optim, schedule, state  # noqa: F401
from teenygrad.nn.layers import *  # noqa: F403
