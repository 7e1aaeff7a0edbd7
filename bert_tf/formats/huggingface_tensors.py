"""Reads the tensors of a Hugging Face folder from safetensors, PyTorch or HDF5 files.

model.safetensors                    or shards listed in model.safetensors.index.json
pytorch_model.bin                    or shards listed in pytorch_model.bin.index.json
tf_model.h5                          or shards listed in tf_model.h5.index.json: `transformers_h5`
NAME.safetensors, .bin, .pt, .h5, .ckpt     if it is the only one
modules.json                         names the subfolder with these files, in sentence-transformers
"""

import pickle
import re
import zipfile
from collections.abc import Callable
from typing import Any

import ml_dtypes  # noqa: F401 - gives NumPy the type bfloat16
import numpy as np

from bert_tf import files
from bert_tf.config import read_json
from bert_tf.formats import transformers_h5
from bert_tf.formats.source import find_beside

# Where training programs keep the weights beside an optimizer's state, in order of preference.
_STATE_DICTS = ("state_dict", "model_state_dict", "model", "module", "net", "network")
SAFETENSORS_NAME = "model.safetensors"
# In order of preference, as in transformers.
_WEIGHTS_NAMES = (
    *(SAFETENSORS_NAME, "model.safetensors.index.json"),
    *("pytorch_model.bin", "pytorch_model.bin.index.json"),
    *transformers_h5.WEIGHTS_NAMES,
)
# Of files with other names, which are read if there is one; and what else has such endings.
_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")
_NO_WEIGHTS = re.compile("(training_args|optimizer|scheduler|scaler|rng_state|adapter_).*")
# Lists the parts of a sentence-transformers model, the transformer first.
MODULES_NAME = "modules.json"


def find_weights(path: str) -> str | None:
    """Returns the weights file or shard index that `path` is or contains, or None."""
    if not files.is_directory(path):
        name = files.split_path(path)[1]
        is_weights = name in _WEIGHTS_NAMES or _has_weights_ending(name)
        return path if is_weights and files.exists(path) else None
    folder = transformer_folder(path)
    if found := find_beside(folder, *_WEIGHTS_NAMES):
        return found
    named = [name for name in files.list_folder(folder) if _has_weights_ending(name)]
    others = [name for name in named if not _NO_WEIGHTS.match(name)]
    return files.join_path(folder, others[0]) if len(others) == 1 else None


def _has_weights_ending(name: str) -> bool:
    return name.endswith(_SUFFIXES) or transformers_h5.is_h5(name)


def transformer_folder(folder: str) -> str:
    """Returns where the transformer of a sentence-transformers folder lies; or the folder."""
    path = files.join_path(folder, MODULES_NAME)
    modules = read_json(path, [{"path": str}]) if files.exists(path) else []
    return inside(path, folder, modules[0]["path"]) if modules else folder


def inside(path: str, folder: str, name: str) -> str:
    """Returns the path of a file in `folder` that the file `path` names."""
    if name.startswith("/") or ".." in name.split("/"):
        raise ValueError(f"{path}: it names a file outside of its folder, {name!r:.80}.")
    return files.join_path(folder, name) if name else folder


def read_tensors(path: str) -> dict[str, np.ndarray]:
    """Returns the tensors of a file or of an index's shards; floats become float32."""
    if not path.endswith(".index.json"):
        if not files.exists(path):
            raise ValueError(f"{path}: cannot be read: there is no such file.")
        read = _reader_of(path)
        with files.naming_damage(path):
            return {name: _as_float32(path, name, value) for name, value in read(path).items()}
    weight_map = read_json(path, {"weight_map": {str: str}})["weight_map"]
    folder = files.split_path(path)[0]
    tensors: dict[str, np.ndarray] = {}
    for name in sorted(set(weight_map.values())):
        if not _has_weights_ending(name):
            raise ValueError(f"{path}: it names {name!r:.80}, which is no weights file.")
        tensors |= read_tensors(inside(path, folder, name))
    if path.endswith(transformers_h5.INDEX_SUFFIX):  # Its names begin with the class's.
        weight_map = {transformers_h5.torch_name(name.partition("/")[2]) for name in weight_map}
    missing = sorted(set(weight_map) - set(tensors))
    if missing or not tensors:
        raise ValueError(f"{path}: its files lack {files.some(missing) or 'everything'}.")
    return tensors


def _reader_of(path: str) -> Callable[[str], dict[str, np.ndarray]]:
    if transformers_h5.is_h5(path):
        return transformers_h5.read_h5
    files.refuse_other_kinds(path, "tensors")
    kind = files.kind_of(path)
    is_damaged = kind == files.BINARY and path.endswith(".safetensors")
    return _read_safetensors if kind == files.SAFETENSORS or is_damaged else _read_pytorch


def write_safetensors(tensors: dict[str, np.ndarray], path: str) -> None:
    """Writes tensors, marked as PyTorch's because transformers requires it."""
    safetensors = files.optional_module("safetensors.numpy", path)
    content = safetensors.save(tensors, metadata={"format": "pt"})
    with files.open_file(path, "wb") as file:
        file.write(content)


def _read_safetensors(path: str) -> dict[str, np.ndarray]:
    safetensors = files.optional_module("safetensors", path)
    try:
        with safetensors.safe_open(path, "np") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, FileNotFoundError) as error:
        raise ValueError(f"{path}: cannot be read: {error}") from error


def _read_pytorch(path: str) -> dict[str, np.ndarray]:
    torch = files.optional_module("torch", path)
    if zipfile.is_zipfile(path):  # PyTorch does not compare the checksums.
        with zipfile.ZipFile(path) as archive:
            if (altered := archive.testzip()) is not None:
                raise ValueError(f"{path}: damaged: {altered} in it does not fit its checksum.")
    try:
        with files.open_file(path) as file:  # By the path, PyTorch reads some as safetensors.
            content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path}: no file of PyTorch tensors by name: it is damaged, or holds Python objects, "
            "which could run code. If you trust it, load it with PyTorch and save "
            "model.state_dict()."
        ) from error
    except Exception as error:  # Damage may raise any error in PyTorch's unpickler.
        raise ValueError(
            f"{path}: no file of PyTorch tensors by name, or it is damaged: {error}"
        ) from error
    tensors = _tensors_in(path, content, torch.Tensor)
    unlike = [n for n, v in tensors.items() if v.layout != torch.strided or v.is_meta]
    if unlike:
        raise ValueError(
            f"{path}: {files.some(unlike)} are sparse or without values. Save dense ones."
        )
    return {
        name: (value.float() if value.is_floating_point() else value).detach().numpy()
        for name, value in tensors.items()
    }


def _tensors_in(path: str, content: Any, tensor: type) -> dict[str, Any]:
    """Returns the tensors of a state dict, which training programs save inside other dicts."""
    place = ""
    while isinstance(content, dict):
        tensors = {n: v for n, v in content.items() if isinstance(n, str) and isinstance(v, tensor)}
        dicts = {n: v for n, v in content.items() if isinstance(v, dict) and v}
        named = [name for name in _STATE_DICTS if name in dicts]
        if tensors and not named:
            return tensors
        encoders = [name for name in dicts if _holds_embeddings(dicts[name])]
        inner = [name for name in named if name in encoders] or encoders or named or list(dicts)
        if not inner or (len(inner) > 1 and inner[0] not in named):
            found = files.some(map(repr, content)) or "nothing"
            raise ValueError(
                f"{path}: no tensors by name were found{place}. Found: {found}. Save the model's "
                "state_dict() alone."
            )
        content, place = dicts[inner[0]], f"{place or ' in'} {inner[0]!r}"
    raise ValueError(f"{path}: no dict of PyTorch tensors by name, but {type(content).__name__}.")


def _holds_embeddings(content: Any) -> bool:
    """Returns whether a dict, or one in it, has the name of an encoder's embeddings."""
    return isinstance(content, dict) and any(
        str(name).endswith(("word_embeddings.weight", "position_embeddings.weight"))
        or _holds_embeddings(value)
        for name, value in content.items()
    )


def _as_float32(path: str, name: str, value: np.ndarray) -> np.ndarray:
    if value.dtype.name in ("float16", "bfloat16", "float64"):
        return value.astype(np.float32)
    if value.dtype != np.float32 and not np.issubdtype(value.dtype, np.integer):
        raise ValueError(
            f"{path}: {name} is {value.dtype}; weights must be float32, float16 or bfloat16."
        )
    return value
