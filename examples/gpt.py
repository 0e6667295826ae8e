#!/usr/bin/env python3
"""A character-level GPT (Radford et al., 2018; pre-norm as GPT-2), trained on text files, by default this project's own documentation.

    python examples/gpt.py [--steps 500] [--save gpt.safetensors] [FILE ...]
"""
import argparse, glob, math, os, time
import numpy as np
from teenygrad import Tensor
from teenygrad.nn import Embedding, LayerNorm, Linear
from teenygrad.nn.clip import clip_grad_norm_
from teenygrad.nn.optim import AdamW
from teenygrad.nn.schedule import OneCycleLR
from teenygrad.nn.state import get_parameters, get_state_dict, safe_save

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

class Block:
  """Causal self-attention and a two-layer network, each added to what it reads: (N, length, width) to the same."""
  def __init__(self, width, heads):
    self.heads = heads
    self.norm1, self.norm2 = LayerNorm(width), LayerNorm(width)
    self.attend, self.project = Linear(width, 3 * width), Linear(width, width)
    self.expand, self.contract = Linear(width, 4 * width), Linear(4 * width, width)

  def __call__(self, x):
    N, T, C = x.shape
    qkv = self.attend(self.norm1(x)).reshape(N, T, 3, self.heads, C // self.heads).permute(2, 0, 3, 1, 4)
    seen = qkv[0].scaled_dot_product_attention(qkv[1], qkv[2], is_causal=True)
    x = x + self.project(seen.permute(0, 2, 1, 3).reshape(N, T, C))
    return x + self.contract(self.expand(self.norm2(x)).gelu())

class GPT:
  """Character numbers (N, length <= context) to the logits of the next ones (N, length, characters)."""
  def __init__(self, characters, context, layers, heads, width):
    self.context = context
    self.token, self.position = Embedding(characters, width), Embedding(context, width)
    self.blocks = [Block(width, heads) for _ in range(layers)]
    self.norm, self.head = LayerNorm(width), Linear(width, characters, bias=False)
    for embedding in (self.token, self.position): embedding.weight = Tensor.normal(*embedding.weight.shape, std=0.02)

  def __call__(self, tokens):
    x = self.token(tokens) + self.position(Tensor(np.arange(tokens.shape[1], dtype=np.int32)))
    return self.head(self.norm(x.sequential(self.blocks)))

  def generate(self, start, count, rng):
    """The numbers in `start` and `count` more, drawn from the model's probabilities."""
    tokens = list(start)
    for _ in range(count):
      logits = self(Tensor(np.array([tokens[-self.context:]], dtype=np.int32)))[0, -1]
      probabilities = logits.softmax().numpy().astype(np.float64)
      tokens.append(int(rng.choice(len(probabilities), p=probabilities / probabilities.sum())))
    return tokens

def train(model, text, steps, batch, lr, report=print):
  """Steps of AdamW on random pieces of the text (character numbers). Returns the losses in nats a character."""
  rng = np.random.default_rng(0)
  optimizer = AdamW(get_parameters(model), lr=lr)
  schedule = OneCycleLR(optimizer, max_lr=lr, total_steps=steps)
  losses, start = [], time.perf_counter()
  for step in range(steps):
    at = rng.integers(0, len(text) - model.context, batch)
    pieces = np.stack([text[i:i + model.context + 1] for i in at])
    loss = model(Tensor(pieces[:, :-1])).sparse_categorical_crossentropy(Tensor(pieces[:, 1:]))
    optimizer.zero_grad()
    loss.backward()
    clip_grad_norm_(optimizer.params, 1.0)
    optimizer.step()
    schedule.step()
    losses.append(loss.item())
    if step % 50 == 0 or step == steps - 1:
      report(f"step {step:5}  loss {losses[-1]:.3f}  {(step + 1) * batch * model.context / (time.perf_counter() - start):.0f} characters/s")
  return losses

def read(paths):
  """The texts, one after the other, as character numbers (int32), and the characters."""
  text = "\n".join(open(path, encoding="utf-8").read() for path in paths)
  characters = sorted(set(text))
  number = {c: i for i, c in enumerate(characters)}
  return np.array([number[c] for c in text], dtype=np.int32), characters

if __name__ == "__main__":
  parser = argparse.ArgumentParser(description="trains a character-level GPT")
  parser.add_argument("files", nargs="*", metavar="FILE")
  for name, default in (("steps", 500), ("batch", 32), ("context", 64), ("layers", 3), ("heads", 4), ("width", 128)):
    parser.add_argument(f"--{name}", type=int, default=default)
  parser.add_argument("--lr", type=float, default=3e-3)
  parser.add_argument("--save", metavar="FILE", help="write the parameters in the safetensors format")
  args = parser.parse_args()
  if args.width % args.heads: parser.error(f"a width of {args.width} can't be cut into {args.heads} heads")
  Tensor.manual_seed(0)
  text, characters = read(args.files or [os.path.join(ROOT, "README.md"), *sorted(glob.glob(os.path.join(ROOT, "docs", "*.md")))])
  if len(text) <= args.context + 1: parser.error(f"{len(text)} characters are not enough for a context of {args.context}")
  model = GPT(len(characters), args.context, args.layers, args.heads, args.width)
  count = sum(p.numel() for p in get_parameters(model))
  print(f"{len(text)} characters, {len(characters)} different ones (log: {math.log(len(characters)):.2f} nats); {count} parameters")
  train(model, text, args.steps, args.batch, args.lr)
  print("".join(characters[t] for t in model.generate(text[:8], 400, np.random.default_rng(1))))
  if args.save: safe_save(get_state_dict(model), args.save)
