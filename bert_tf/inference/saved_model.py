"""SavedModel: runs inference on text with an exported model, through a server's signatures."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from bert_tf import files
from bert_tf.config import read_json
from bert_tf.inference.graph_safety import check_graph
from bert_tf.inference.versions import DESCRIPTION
from bert_tf.kinds.length_runner import IDS, in_batches
from bert_tf.kinds.text_model import TextModel

_FORM = {
    "kind": str,
    "inputs": [str],
    "labels": [str],
    "max_seq_length": int,
    "top_k": int,
    "heads": [str],
    "signatures": {str: {"inputs": dict}},
}


class SavedModel:
    """A SavedModel of `export_saved_model.py`, with the attributes of a `LoadedModel`.

    Raises a ValueError if it was written by something else, is damaged, or could touch files.
    """

    def __init__(self, folder: str, batch_size: int = 32):
        path = files.join_path(folder, DESCRIPTION)
        if not files.exists(path):
            raise ValueError(
                f"{folder}: no {DESCRIPTION}, so the SavedModel was not written by "
                "export_saved_model.py. Call its signatures yourself, with tf.saved_model.load."
            )
        # The graph has its operations. Imported here, as it is slow and other models do without.
        import tensorflow_text  # noqa: F401

        check_graph(folder)
        self._describe(read_json(path, _FORM))
        if self.inputs == IDS:
            raise ValueError(
                f"{folder}: this SavedModel was exported with --only_ids, so it takes no text. "
                "Call its signature `ids` with the ids that the model's tokenizer gives: see "
                "README.md there."
            )
        self._folder = folder
        self._batch_size = batch_size
        with files.naming_damage(folder):
            self._loaded = tf.saved_model.load(folder)

    def _describe(self, description: dict[str, Any]) -> None:
        self.kind: str = description["kind"]
        self.inputs = tuple(description["inputs"])
        self.labels = tuple(description["labels"])
        self.max_seq_length: int = description["max_seq_length"]
        self.has_pooler = "bert/pooler" in description["heads"]
        self.heads = tuple(f"{head}/" for head in description["heads"])
        self._inputs_of = {n: list(s["inputs"]) for n, s in description["signatures"].items()}
        self._top_k: int = description["top_k"]
        # "" is the signature for texts, which may have been exported with another pool.
        has_own = self.kind == "encoder" and description.get("pooling") == ""
        self.default_pool = "" if has_own else "mean"

    def answers(
        self,
        text_model: type[TextModel],
        examples: Sequence[tuple],
        top_k: int | None = None,
        pooling: str = "",
    ) -> list[Any]:
        """Returns the answer to each example, as `text_model` with these arguments does."""
        signature = pooling or text_model.signature
        if top_k is not None and not 1 <= top_k <= self._top_k:
            limit = f"1 to {self._top_k} (exported with --top_k={self._top_k})"
            raise ValueError(f"{self._folder}: top_k must be from {limit}. Received: {top_k}")
        if signature not in self._inputs_of:
            raise ValueError(
                f"{self._folder}: this SavedModel for {self.kind} has no signature {signature}. "
                "Embeddings need an export with --kind=encoder."
            )

        def call(places: list[int]) -> dict[str, tf.Tensor]:
            columns = zip(*(examples[place] for place in places), strict=True)
            texts = dict(zip(self._inputs_of[signature], map(_encoded, columns), strict=True))
            inputs = {name: tf.constant(column) for name, column in texts.items()}
            outputs = self._loaded.signatures[signature](**inputs)
            if top_k is None:
                return outputs
            cut = {name: outputs[name][..., :top_k] for name in ("candidates", "probabilities")}
            return {**outputs, **cut}

        outputs = in_batches([_size(example) for example in examples], self._batch_size, call)
        return [text_model.answer_of(*both) for both in zip(examples, outputs, strict=True)]


def _size(example: tuple) -> tuple[tuple[int, ...], int]:
    """Returns the number of texts in each input, 0 for a single one, and their total length."""
    counts = tuple(0 if isinstance(text, str) else len(text) for text in example)
    return counts, sum(len("".join(text)) for text in example)


def _encoded(texts: str | Sequence) -> bytes | list:
    if isinstance(texts, str):
        return texts.encode("utf-8", "ignore")
    return [_encoded(text) for text in texts]
