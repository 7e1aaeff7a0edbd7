"""Downloads a model of the Hugging Face Hub: `hf://OWNER/NAME`, or `hf://OWNER/NAME@REVISION`.

Configuration, tokenizer and weights are fetched into `hub/OWNER/NAME` of the cache, by the package
huggingface_hub, which resumes and checks sizes. It asks $HF_ENDPOINT if that is set, sends
$HF_TOKEN, and with HF_HUB_OFFLINE=1 takes what is there.
"""

import logging
import re
from pathlib import Path

from bert_tf import files
from bert_tf.released.cache import cache_folder

logger = logging.getLogger(__name__)

PREFIX = "hf://"
_NAME = re.compile(r"hf://([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")
_FILES = ("*.json", "*.txt", "*.model")
# Weights as they are looked for. The same ones may be there in several formats.
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin", "tf_model*.h5")
_OTHER_FORMATS = ("onnx/*", "openvino/*", "coreml/*", "*.msgpack")


def download_from_hub(name: str, cache_dir: str | None = None) -> str:
    """Returns the folder of a model, after downloading what is not there yet.

    Raises:
        ValueError: if the name is malformed, there is no such model, revision or weights, or
            huggingface_hub is not installed.
        OSError: if it cannot be downloaded or written.
    """
    match = _NAME.fullmatch(name)
    if not match:
        raise ValueError(f"A model of the Hub is named hf://OWNER/NAME. Received: {name!r}")
    huggingface_hub = files.optional_module("huggingface_hub", name)
    errors = files.optional_module("huggingface_hub.errors", name)
    repository, revision = match.groups()
    folder = cache_folder(cache_dir) / "hub" / repository
    if revision:
        folder = folder.with_name(f"{folder.name}@{revision.replace('/', '_')}")

    def fetch(*patterns: str) -> None:
        huggingface_hub.snapshot_download(
            repository,
            revision=revision,
            local_dir=folder,
            allow_patterns=list(patterns),
            ignore_patterns=list(_OTHER_FORMATS),
        )

    logger.info("Looking for %s in the Hub; its files go to %s", name, folder)
    try:
        for weights in _WEIGHTS:
            fetch(*_FILES, weights)
            if any(folder.glob(weights)):
                return str(folder)
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"{name} is not in the Hub, or needs a token: {reason}") from None
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError) as error:
        raise ConnectionError(f"{name} cannot be downloaded: {error}") from error
    raise ValueError(
        f"{name} has no weights in safetensors, of PyTorch or of TensorFlow: {_listed(folder)}"
    )


def _listed(folder: Path) -> str:
    names = sorted(path.name for path in folder.glob("*") if path.is_file())
    return f"there are {', '.join(names)}" if names else "it has no file of a model"
