"""Reads the tensors of a Hugging Face folder from safetensors or PyTorch files.

model.safetensors                    or shards listed in model.safetensors.index.json
pytorch_model.bin                    or shards listed in pytorch_model.bin.index.json
"""

import importlib
import pickle

import ml_dtypes  # noqa: F401 - gives NumPy the type bfloat16
import numpy as np

from bert_tf import files
from bert_tf.config import read_json

SAFETENSORS_NAME = "model.safetensors"
# In order of preference, as in transformers.
_WEIGHTS_NAMES = (
    *(SAFETENSORS_NAME, "model.safetensors.index.json"),
    *("pytorch_model.bin", "pytorch_model.bin.index.json"),
)


def find_weights(path: str) -> str | None:
    """Returns the weights file or shard index that `path` is or contains, or None."""
    name = files.split_path(path)[1]
    if name in _WEIGHTS_NAMES and files.exists(path) and not files.is_directory(path):
        return path
    candidates = [files.join_path(path, name) for name in _WEIGHTS_NAMES]
    return next((file for file in candidates if files.exists(file)), None)


def read_tensors(path: str) -> dict[str, np.ndarray]:
    """Returns the tensors of a file or of an index's shards; floats become float32."""
    if not path.endswith(".index.json"):
        read = _read_safetensors if path.endswith(".safetensors") else _read_pytorch
        return {name: _as_float32(path, name, value) for name, value in read(path).items()}
    weight_map = read_json(path).get("weight_map", {})
    folder = files.split_path(path)[0]
    tensors: dict[str, np.ndarray] = {}
    for name in sorted(set(weight_map.values())):
        tensors |= read_tensors(files.join_path(folder, name))
    missing = sorted(set(weight_map) - set(tensors))
    if missing or not tensors:
        raise ValueError(f"{path}: its files lack {', '.join(missing[:10]) or 'everything'}.")
    return tensors


def write_safetensors(tensors: dict[str, np.ndarray], path: str) -> None:
    """Writes tensors, marked as PyTorch's because transformers requires it."""
    content = _library("safetensors.numpy").save(tensors, metadata={"format": "pt"})
    with files.open_file(path, "wb") as file:
        file.write(content)


def _library(name: str):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ValueError(
            f"{name.partition('.')[0]} is needed for this format, and is not installed "
            f"({error}): pip install 'bert-tf[huggingface]'"
        ) from error


def _read_safetensors(path: str) -> dict[str, np.ndarray]:
    safetensors = _library("safetensors")
    try:
        with safetensors.safe_open(path, "np") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, FileNotFoundError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: cannot be read: {error}") from error


def _read_pytorch(path: str) -> dict[str, np.ndarray]:
    torch = _library("torch")
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
        return {
            name: (value.float() if value.is_floating_point() else value).numpy()
            for name, value in tensors.items()
        }
    except (RuntimeError, EOFError, OSError, AttributeError, pickle.UnpicklingError) as error:
        raise ValueError(f"{path}: no file of PyTorch tensors by name: {error}") from error


def _as_float32(path: str, name: str, value: np.ndarray) -> np.ndarray:
    if value.dtype.name in ("float16", "bfloat16", "float64"):
        return value.astype(np.float32)
    if value.dtype != np.float32 and not np.issubdtype(value.dtype, np.integer):
        raise ValueError(
            f"{path}: {name} is {value.dtype}; weights must be float32, float16 or bfloat16."
        )
    return value
