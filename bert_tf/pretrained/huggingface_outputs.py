"""What transformers computes with a folder, in a process of its own.

    python -m bert_tf.pretrained.huggingface_outputs FOLDER inputs.npz outputs.npz

TensorFlow and PyTorch do not always live in one process (their compilers have the same symbols, and
the second to be loaded may crash), so this module imports no TensorFlow.

inputs.npz      input_ids, input_mask, segment_ids: int [B, L]
outputs.npz     all_layers: float32 [layers + 1, B, L, H], the embeddings first; and what the model
                gives by its class: pooler_output, logits, prediction_logits, start_logits, ...
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping

import numpy as np


def is_installed() -> bool:
    """Whether transformers and PyTorch are."""
    return all(importlib.util.find_spec(name) for name in ("transformers", "torch"))


def outputs_of(folder: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Runs the model of a folder on a batch, see above.

    Raises:
        ValueError: if transformers cannot load it, or starts some of its weights at random.
    """
    with tempfile.TemporaryDirectory() as place:
        paths = [os.path.join(place, name) for name in ("inputs.npz", "outputs.npz")]
        np.savez(paths[0], **inputs)
        run = subprocess.run(
            [sys.executable, "-m", __name__, folder, *paths],
            capture_output=True,
            text=True,
            check=False,
            # transformers 4 would import TensorFlow.
            env={**os.environ, "USE_TORCH": "1", "USE_TF": "0", "HF_HUB_OFFLINE": "1"},
        )
        if run.returncode:
            reason = (run.stderr.strip() or f"status {run.returncode}").splitlines()[-1]
            raise ValueError(f"{folder}: transformers cannot use it: {reason}")
        with np.load(paths[1]) as outputs:
            return dict(outputs)


def main(folder: str, inputs_file: str, outputs_file: str) -> None:
    """Loads the class that config.json names, and runs it."""
    import torch
    import transformers

    config = transformers.AutoConfig.from_pretrained(folder)
    model_class = getattr(transformers, config.architectures[0])
    model, loading = model_class.from_pretrained(folder, output_loading_info=True)
    if loading["missing_keys"]:
        raise ValueError(f"these weights are missing: {sorted(loading['missing_keys'])}")
    inputs = {name: torch.from_numpy(value).long() for name, value in np.load(inputs_file).items()}
    with torch.no_grad():
        outputs = model.eval()(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["input_mask"],
            token_type_ids=inputs["segment_ids"],
            output_hidden_states=True,
        )
    arrays = {k: v.float().numpy() for k, v in outputs.items() if isinstance(v, torch.Tensor)}
    arrays["all_layers"] = torch.stack(outputs["hidden_states"]).float().numpy()
    np.savez(outputs_file, **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
