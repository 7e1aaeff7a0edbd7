"""What transformers computes with a folder, in a process of its own.

    python -m bert_tf.formats.huggingface_outputs FOLDER inputs.npz outputs.npz

TensorFlow and PyTorch do not always live in one process (their compilers have the same symbols, and
the second to be loaded may crash), so this module imports no TensorFlow.

inputs.npz      input_ids, input_mask, segment_ids: int [B, L]
outputs.npz     all_layers: float32 [layers + 1, B, L, H], the embeddings first; pooled_output and
                the scores of the head under their names here, as far as the class gives them
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping

import numpy as np

# What transformers' classes call their scores, and the names of them here.
_SCORES = {
    "BertForPreTraining": {
        "prediction_logits": "masked_lm_logits",
        "seq_relationship_logits": "next_sentence_logits",
    },
    "BertForMaskedLM": {"logits": "masked_lm_logits"},
    "BertForNextSentencePrediction": {"logits": "next_sentence_logits"},
}
_OTHER_NAMES = {
    "logits": "logits",
    "start_logits": "start_logits",
    "end_logits": "end_logits",
    "pooler_output": "pooled_output",
}


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
    name = (config.architectures or ["BertModel"])[0]
    model_class = getattr(transformers, name)
    model, loading = model_class.from_pretrained(folder, output_loading_info=True)
    if loading["missing_keys"]:
        raise ValueError(f"these weights are missing: {sorted(loading['missing_keys'])}")
    inputs = {name: torch.from_numpy(value).long() for name, value in np.load(inputs_file).items()}
    with torch.no_grad():
        outputs = model.float().eval()(  # Files of 16 bits are read as such.
            input_ids=inputs["input_ids"],
            attention_mask=inputs["input_mask"],
            token_type_ids=inputs["segment_ids"],
            output_hidden_states=True,
        )
    ours = _SCORES.get(name, _OTHER_NAMES)
    arrays = {ours[key]: value.numpy() for key, value in outputs.items() if key in ours}
    arrays["all_layers"] = torch.stack(outputs["hidden_states"]).numpy()
    np.savez(outputs_file, **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
