"""A model's Tensors by name, and files of them in the safetensors format."""
from __future__ import annotations
import os, types
from typing import Any, Dict, List, Mapping, Optional
import numpy as np
from teenygrad.arguments import shown
from teenygrad.helpers import DType, dtypes
from teenygrad.tensor import Tensor

def get_state_dict(obj: Any, prefix: str = "", tensor_type: Any = Tensor) -> Dict[str, Any]:
  """The Tensors (or what else tensor_type is) in an object by name, in the order of attributes: attributes are joined by dots, elements of lists and
  tuples go by their numbers, those of dicts by their keys. One that has several names has them all; an object within itself is left out."""
  found: Dict[str, Any] = {}
  _collect(obj, prefix, tensor_type, found, set())
  return found

def _collect(obj: Any, prefix: str, tensor_type: Any, found: Dict[str, Any], above: set) -> None:
  if isinstance(obj, tensor_type): found[prefix.strip(".")] = obj
  elif not isinstance(obj, types.ModuleType) and id(obj) not in above:
    parts = obj._asdict() if hasattr(obj, "_asdict") else dict(enumerate(obj)) if isinstance(obj, (list, tuple)) else obj
    if not isinstance(parts, dict): parts = getattr(obj, "__dict__", None)
    if not isinstance(parts, dict): return  # a number, a class
    for name, x in parts.items(): _collect(x, f"{prefix}{name}.", tensor_type, found, above | {id(obj)})

def get_parameters(obj: Any) -> List[Tensor]:
  """The Tensors of get_state_dict, for an optimiser, which leaves out repeats and those that require no gradient."""
  return list(get_state_dict(obj).values())

def _check_dict(x: Any) -> None:
  if not isinstance(x, Mapping): raise TypeError(f"a dict of Tensors by name is expected, such as get_state_dict(model) gives, not {shown(x)}")

def load_state_dict(model: Any, state_dict: Dict[str, Any], strict: bool = True, verbose: bool = True) -> None:
  """Gives the model's Tensors the values of those (Tensors or arrays) of the same names, in the model's dtypes. KeyError if one is missing and
  strict; ValueError for another shape; TypeError if state_dict is none. Nothing is changed then. Prints, if verbose, which names are not used or
  missing."""
  _check_dict(state_dict)
  own = get_state_dict(model)
  missing, unused = [k for k in own if k not in state_dict], [k for k in state_dict if k not in own]
  if strict and missing: raise KeyError(f"the state has no {', '.join(missing)}")
  new = {k: v if isinstance(v := state_dict[k], Tensor) else Tensor(np.asarray(v)) for k in own if k in state_dict}
  for k, v in new.items():
    if v.shape != own[k].shape: raise ValueError(f"{k} has the shape {own[k].shape}, but {v.shape} in the state")
  if verbose and unused: print(f"load_state_dict: not used: {', '.join(unused)}")
  if verbose and missing: print(f"load_state_dict: missing, left as they are: {', '.join(missing)}")
  for k, v in new.items(): own[k].assign(v.detach().cast(own[k].dtype))
  Tensor.corealize([own[k] for k in new])

# *** files ***

SAFE_DTYPES: Dict[str, DType] = {
  "BOOL": dtypes.bool, "I8": dtypes.int8, "U8": dtypes.uint8, "I16": dtypes.int16, "U16": dtypes.uint16, "I32": dtypes.int32, "U32": dtypes.uint32,
  "I64": dtypes.int64, "U64": dtypes.uint64, "F16": dtypes.float16, "BF16": dtypes.bfloat16, "F32": dtypes.float32, "F64": dtypes.float64}

def _safetensors() -> Any:
  try: import safetensors
  except ImportError as e: raise ImportError("safe_save and safe_load need the package safetensors: pip install 'teenygrad-c[safetensors]'") from e
  if not hasattr(safetensors, "TensorSpec"): raise ImportError(f"safetensors {safetensors.__version__} is too old: pip install -U 'safetensors>=0.8'")
  return safetensors

def safe_save(tensors: Dict[str, Tensor], fn: Any, metadata: Optional[Dict[str, str]] = None) -> None:
  """Writes Tensors by name into a file of that path, as a whole: if it fails, what was there before is still there. TypeError for what is no Tensor,
  ValueError for the name __metadata__; OSError if the file can't be written; ImportError without the package safetensors."""
  safetensors = _safetensors()
  _check_dict(tensors)
  for name, t in tensors.items():
    if not isinstance(t, Tensor): raise TypeError(f"{name} is no Tensor, but of {type(t)}")
  if "__metadata__" in tensors: raise ValueError("__metadata__ is no name of a Tensor: the format keeps it for the metadata")
  data = {name: (t.detach().bitcast(dtypes.uint16) if t.dtype == dtypes.bfloat16 else t).numpy() for name, t in tensors.items()}
  specs = {name: safetensors.TensorSpec(dtype="bfloat16" if tensors[name].dtype == dtypes.bfloat16 else x.dtype.name, shape=list(x.shape),
                                        data_ptr=x.ctypes.data, data_len=x.nbytes) for name, x in data.items()}
  _replace(os.fspath(fn), safetensors.serialize(specs, metadata=metadata))

def _replace(path: str, content: bytes) -> None:
  """Writes a file beside the path and, once it is on the disk, moves it there. A device or a pipe is written to."""
  if os.path.exists(path) and not os.path.isfile(path):
    with open(path, "wb") as f: f.write(content)
    return
  path = os.path.realpath(path)
  beside = f"{path}.{os.getpid()}.{os.urandom(4).hex()}.part"
  try:
    with open(beside, "xb") as f:
      f.write(content)
      f.flush()
      os.fsync(f.fileno())
    os.replace(beside, path)
  except BaseException:
    if os.path.exists(beside): os.remove(beside)
    raise
  folder = os.open(os.path.dirname(path), os.O_RDONLY)
  try: os.fsync(folder)
  finally: os.close(folder)

def safe_load(fn: Any) -> Dict[str, Tensor]:
  """The Tensors by name that the file of that path holds. ValueError for a file that is none of safetensors, damaged, cut short or too long, or has
  a dtype that there is not here; OSError if it can't be read; ImportError without the package safetensors."""
  safetensors = _safetensors()
  with open(fn, "rb") as f: content = f.read()
  try: parts = safetensors.deserialize(content)
  except safetensors.SafetensorError as e: raise ValueError(f"{os.fspath(fn)} is no safetensors file, or damaged: {e}") from e
  loaded = {}
  for name, part in parts:
    if (dtype := SAFE_DTYPES.get(part["dtype"])) is None: raise ValueError(f"{os.fspath(fn)}: {name} has elements of {part['dtype']}")
    x = np.frombuffer(part["data"], np.uint16 if dtype == dtypes.bfloat16 else dtype.np).reshape(part["shape"])
    loaded[name] = Tensor(x).bitcast(dtype) if dtype == dtypes.bfloat16 else Tensor(x)
  return loaded
