"""Reads a task's split as a `tf.data.Dataset` for Keras' `fit`."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from bert_tf.config import BertConfig
from bert_tf.data.schema import parse_examples
from bert_tf.finetuning.feature_encoding import FeatureSerializer
from bert_tf.model.feature_model import FeatureModel
from bert_tf.released.find_model import find_model
from bert_tf.released.presets import load_tokenizer_preset
from bert_tf.tasks.task import PURPOSES, Task, find_task
from bert_tf.text.tokenizer import Tokenizer

# Other common names of splits.
_PURPOSES = {"validation": "eval", "dev": "eval", "test": "predict"}
# Label features of the records -> outputs of the model.
_OUTPUTS = {"start_positions": "start_logits", "end_positions": "end_logits"}
_LABEL = "label_ids"


def load_dataset(
    task: str,
    split: str = "train",
    preset: str | None = None,
    batch_size: int = 32,
    sequence_length: int | None = None,
    options: Mapping[str, Any] | None = None,
    tokenizer: Tokenizer | None = None,
    shuffle: bool | None = None,
    seed: int = 0,
) -> tf.data.Dataset:
    """Returns batches of a task's split, for `fit`, `evaluate` and `predict`.

    The features are those of `finetune.py`, held in memory: 12 bytes for each token.

    Args:
        task: a task's name, such as "glue:mrpc", "squad" or "tsv".
        split: `train`, `eval` or `predict` (also `validation`, `dev`, `test`), or one of the task's
            own, such as `eval_mismatched`.
        preset: the model whose tokenizer is used, see `bert_tf.BertEncoder.from_preset`.
        sequence_length: L, tokens of a sequence; by default the task's, or as many as the preset's
            model takes.
        options: the task's options, such as {"data_dir": "glue/MRPC"}.
        tokenizer: instead of a preset.
        shuffle: whether to shuffle in each epoch; by default for `train` only.

    Returns: batches of (inputs, labels). Inputs are a dict of `input_ids`, `input_mask` and
        `segment_ids`, int32 [B, L]. Labels are classes int32 [B], numbers float32 [B], or for spans
        a dict of `start_logits` and `end_logits`, positions int32 [B]. Unlabelled batches are only
        the inputs.

    Raises a ValueError for an unknown task, split or option, and for invalid files.

    Example:

        train = bert_tf.load_dataset(
            "glue:mrpc",
            split="train",
            preset="bert_base_uncased",
            batch_size=32,
            options={"data_dir": "glue/MRPC"},
        )
        model.fit(train, epochs=3)
    """
    if (preset is None) == (tokenizer is None):
        raise ValueError(
            f"load_dataset takes either a preset or a tokenizer. Received: preset={preset!r}, "
            f"tokenizer={tokenizer!r}"
        )
    tokenizer = tokenizer or load_tokenizer_preset(preset)
    chosen = find_task(task, {name: str(value) for name, value in (options or {}).items()})
    purpose = _PURPOSES.get(split, split)
    split = chosen.splits(purpose)[0] if purpose in PURPOSES else split
    length = sequence_length or _default_length(chosen, preset)
    features = chosen.features(split, length)
    serializer = FeatureSerializer(features)
    records = [
        serializer.record(serializer.serialize(row), unique_id=0)
        for example in chosen.read(split)
        for row in chosen.encode(example, split, tokenizer, length)
    ]
    if not records:
        raise ValueError(f"{', '.join(chosen.sources(split))}: there are no examples.")
    arrays = parse_examples(records, features)
    content = {name: arrays[name] for name in FeatureModel.feature_names}
    labels = {_OUTPUTS[name]: arrays[name] for name in _OUTPUTS if name in arrays}
    if labels or _LABEL in arrays:
        content = (content, labels or arrays[_LABEL])
    dataset = tf.data.Dataset.from_tensor_slices(content)
    if shuffle if shuffle is not None else split == "train":
        dataset = dataset.shuffle(len(records), seed=seed)
    return dataset.batch(batch_size).prefetch(tf.data.AUTOTUNE)


def _default_length(task: Task, preset: str | None) -> int:
    if preset is None:
        return task.default_seq_length
    config = BertConfig.from_json_file(find_model(preset).bert_config_file)
    return min(task.default_seq_length, config.longest_sequence)
