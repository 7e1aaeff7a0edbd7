"""Runs a Hugging Face model with transformers, in a separate process.

    python -m bert_tf.formats.huggingface_outputs FOLDER inputs.npz outputs.npz

inputs.npz      input_ids, input_mask, segment_ids: int [B, L]
outputs.npz     all_layers: float32 [layers + 1, B, L, H], the embeddings first; and, if the class
                has them, pooled_output and the head's logits

The process imports no TensorFlow, whose symbols clash with PyTorch's.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping

import numpy as np

# End of a class's name -> its output names -> ours.
_SCORES = {
    "ForPreTraining": {
        "prediction_logits": "masked_lm_logits",
        "seq_relationship_logits": "next_sentence_logits",
        "sop_logits": "next_sentence_logits",  # ALBERT's.
        "logits": "logits",  # ELECTRA's discriminator.
    },
    "ForMaskedLM": {"logits": "masked_lm_logits"},
    "ForNextSentencePrediction": {"logits": "next_sentence_logits"},
}
_OTHER_NAMES = {"pooler_output": "pooled_output"} | {
    name: name for name in ("logits", "start_logits", "end_logits")
}


def is_installed() -> bool:
    """Returns whether transformers and PyTorch are installed."""
    return all(importlib.util.find_spec(name) for name in ("transformers", "torch"))


def outputs_of(folder: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the outputs of the model in a Hugging Face folder; the module says which."""
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
    """Loads the class that config.json names and runs it."""
    import torch
    import transformers

    config = transformers.AutoConfig.from_pretrained(folder)
    name = (config.architectures or ["AutoModel"])[0]
    model_class = getattr(transformers, name)
    model, loading = model_class.from_pretrained(folder, output_loading_info=True)
    if loading["missing_keys"]:
        raise ValueError(f"these weights are missing: {sorted(loading['missing_keys'])}")
    inputs = {name: torch.from_numpy(value).long() for name, value in np.load(inputs_file).items()}
    segments = {"token_type_ids": inputs["segment_ids"]}
    with torch.no_grad():
        outputs = model.float().eval()(  # 16-bit files stay 16-bit otherwise.
            input_ids=inputs["input_ids"],
            attention_mask=inputs["input_mask"],
            **(segments if getattr(config, "type_vocab_size", 0) else {}),
            output_hidden_states=True,
        )
    ours = next((_SCORES[end] for end in _SCORES if name.endswith(end)), _OTHER_NAMES)
    arrays = {ours[key]: value.numpy() for key, value in outputs.items() if key in ours}
    arrays["all_layers"] = torch.stack(outputs["hidden_states"]).numpy()
    np.savez(outputs_file, **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
