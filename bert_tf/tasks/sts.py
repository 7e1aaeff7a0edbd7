"""Trains an encoder so that the cosine of two texts' vectors says how similar they are.

    text a --> BERT --> mean of its tokens' vectors --> vector a ┐
    text b --> BERT --> mean of its tokens' vectors --> vector b ┴--> cosine

    --task=sts --data_dir=STS-B                          scored pairs, from 0 to 5

With `loss=in_batch_negatives`, training needs pairs that belong together and no scores: each text a
has to find its b among all those of the batch.

Source: Reimers and Gurevych (2019), Sentence-BERT; Henderson et al. (2017), section 4.4.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bert_tf.data.schema import Feature
from bert_tf.metrics.classification import pearson, spearman
from bert_tf.settings.setting import setting
from bert_tf.tasks.benchmark_reader import BenchmarkReader
from bert_tf.tasks.sts_b_files import STS_B_COLUMNS, STS_B_LAYOUTS
from bert_tf.tasks.tables import TableLayout, is_number, read_records
from bert_tf.tasks.task import (
    Batch,
    Row,
    SplitFiles,
    Task,
    TruncatedRow,
    Windows,
    check_length,
    write_files,
)
from bert_tf.tasks.text_examples import TextExample, original_split, to_number
from bert_tf.text.characters import is_blank
from bert_tf.text.packing import pack_rows
from bert_tf.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    import tensorflow as tf

VARIANTS = ()

_COLLAPSED_CORRELATION = 0.1  # Below, the vectors ignore what the texts say.
_MASKED_LOGIT = -1e9


@dataclasses.dataclass(frozen=True)
class Options(SplitFiles):
    """The options of the task."""

    data_dir: str = setting("", "Folder of the STS benchmark: GLUE's files, or stsb-en-train.csv.")
    text_a_column: str = setting("0", "Your tables' column of the first text: name or number.")
    text_b_column: str = setting("1", "Column of the second text.")
    label_column: str = setting("2", "Column of the score.")
    min_score: float = setting(0.0, "The score of texts that have nothing in common: cosine 0.")
    max_score: float = setting(5.0, "The score of texts that mean the same: cosine 1.")
    pooling: str = setting(
        "mean", "How a vector is made of the tokens' vectors.", choices=("mean", "cls")
    )
    loss: str = setting(
        "cosine",
        "cosine: the squared error of the cosine. in_batch_negatives: each text must find its "
        "partner among those of the batch.",
        choices=("cosine", "in_batch_negatives"),
    )
    temperature: float = setting(
        0.05, "For in_batch_negatives: by which cosines are divided.", interval="(0, inf)"
    )
    train_label_column: str = setting(
        "", "For in_batch_negatives: the training pairs' label; only positive ones are used."
    )
    positive_labels: str = setting(
        "entailment", "For train_label_column: the labels, with commas, of pairs to train on."
    )

    def __post_init__(self):
        super().__post_init__()
        if self.min_score >= self.max_score:
            raise ValueError(
                f"--min_score must be below --max_score. Received: {self.min_score}, "
                f"{self.max_score}"
            )
        if self.train_label_column and self.loss != "in_batch_negatives":
            raise ValueError("--train_label_column is for --loss=in_batch_negatives.")
        if self.has_negatives and self.data_dir and not self.train_file:
            raise ValueError(
                "--loss=in_batch_negatives takes pairs that belong together, not the benchmark's, "
                "many of which do not: give --train_file."
            )

    @property
    def has_negatives(self) -> bool:
        """Whether training pairs need no score."""
        return self.loss == "in_batch_negatives"


def make(variant: None, options: Options, labels: tuple[str, ...] | None) -> "Similarity":
    """Makes the task."""
    return Similarity(options)


@dataclasses.dataclass(frozen=True)
class SimilarityReader:
    """Reads pairs from the STS benchmark's folder or, split by split, from tables."""

    options: Options

    def splits(self, purpose: str) -> tuple[str, ...]:
        is_given = self.options.given_files(purpose)
        return (purpose,) if is_given else self._benchmark.splits(purpose)

    def sources(self, split: str) -> list[str]:
        return self.options.given_files(split) or self._benchmark.sources(split)

    def read(self, split: str) -> list[TextExample]:
        paths = self.options.given_files(split)
        if not paths:
            return self._benchmark.read(split)
        options = self.options
        label = options.label_column
        if split == "predict" or (split == "train" and options.has_negatives):
            label = options.train_label_column if split == "train" else ""
        columns = (options.text_a_column, options.text_b_column, label)
        layout = TableLayout(has_header=not all(map(is_number, filter(None, columns))))
        examples = []
        for path in paths:
            for where, cells in read_records(path, layout, columns):
                guid = f"{original_split(split)}-{len(examples)}"
                text_a, text_b, score = (cell or "" for cell in cells)
                examples.append(TextExample(guid, text_a, text_b, score.strip() or None, where))
        return examples

    @property
    def _benchmark(self) -> BenchmarkReader:
        return BenchmarkReader("sts", self.options.data_dir, STS_B_LAYOUTS, STS_B_COLUMNS, 2, {})


class Similarity(Task):
    """Compares the vectors of two texts. An answer is their cosine, a float."""

    name = "sts"
    kind = "encoder"
    inputs = ("text",)
    labels = ()
    default_seq_length = 128
    metric = "spearman"

    def __init__(self, options: Options):
        self.options = options
        self.reader = SimilarityReader(options)

    @property
    def model_options(self) -> dict[str, Any]:
        """How the trained encoder makes vectors: see `bert_tf.kinds.pooling.Pooling`."""
        return {"modes": (self.options.pooling,), "steps": ("normalize",)}

    def read(self, split: str) -> list[TextExample]:
        """Returns the pairs of a split; their labels are scores, or None."""
        examples = self.reader.read(split)
        options = self.options
        for each in examples:
            if is_blank(each.text_a) or is_blank(each.text_b or ""):
                raise ValueError(
                    f"{each.where}: a pair needs two texts. Fill in or remove the row."
                )
        if split == "train" and options.has_negatives:
            if options.train_label_column:
                positive = [label.strip() for label in options.positive_labels.split(",")]
                examples = [each for each in examples if each.label in positive]
            examples = [dataclasses.replace(each, label=None) for each in examples]
        elif split != "predict":
            examples = [dataclasses.replace(each, label=self._score(each)) for each in examples]
        if not examples:
            remedy = (
                f" with a label {options.positive_labels}" if options.train_label_column else ""
            )
            raise ValueError(f"{', '.join(self.sources(split))}: no pairs{remedy}.")
        return examples

    def _score(self, example: TextExample) -> float:
        low, high = self.options.min_score, self.options.max_score
        score = to_number(example.label or "")
        if not low <= score <= high:
            raise ValueError(
                f"{example.where}: the score must be a number from {low:g} to {high:g}; other "
                f"scales need --min_score and --max_score. Received: {example.label!r}"
            )
        return score

    def features(self, split: str, max_seq_length: int) -> dict[str, Feature]:
        """Returns the features of both texts, [2, L], and of scored pairs the `target` cosine."""
        check_length(max_seq_length, 3, "[CLS], a token and [SEP]")
        names = ("input_ids", "input_mask", "segment_ids")
        # A feature of its own tells pairs for the loss from those that are only evaluated.
        is_pair = split == "train" and self.options.has_negatives
        label = {"is_pair": Feature(())} if is_pair else {"target": Feature((), "float32")}
        return {
            **dict.fromkeys(names, Feature((2, max_seq_length))),
            **({} if split == "predict" else label),
        }

    def encode(
        self, example: TextExample, split: str, tokenizer: Tokenizer, max_seq_length: int
    ) -> list[Row]:
        special = tokenizer.special_ids
        texts = [(tokenizer.encode(text), []) for text in (example.text_a, example.text_b)]
        row, is_cut = pack_rows(texts, special.cls, special.sep, max_seq_length)
        row_type = TruncatedRow if is_cut else dict
        if split == "train" and self.options.has_negatives:
            return [row_type(row, is_pair=[1])]
        if split == "predict":
            return [row_type(row)]
        low, high = self.options.min_score, self.options.max_score
        return [row_type(row, target=[(example.label - low) / (high - low)])]

    def head(self, encoder):
        from bert_tf.model.siamese import SiameseModel

        return SiameseModel(encoder, self.options.pooling)

    def loss(self, batch: Batch, outputs: "tf.Tensor") -> "tf.Tensor":
        """Returns float32 [B], from vectors [B, 2, H]."""
        import tensorflow as tf

        first, second = tf.unstack(tf.cast(outputs, tf.float32), axis=1)  # [B, H]
        if "target" in batch:
            cosines = tf.reduce_sum(first * second, axis=-1)
            return tf.math.squared_difference(cosines, batch["target"])
        logits = tf.matmul(first, second, transpose_b=True) / self.options.temperature  # [B, B]
        # Rows that fill the batch are no candidates, nor is the right answer in another row.
        ids = batch["input_ids"][:, 1]
        is_same = tf.reduce_all(ids[:, tf.newaxis] == ids, axis=-1)
        is_own = tf.eye(tf.shape(ids)[0]) > 0
        is_candidate = is_own | ((batch["is_real_example"] > 0) & ~is_same)
        logits = tf.where(is_candidate, logits, _MASKED_LOGIT)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.range(tf.shape(ids)[0]), logits)

    def predict(
        self, examples: Sequence[TextExample], windows: Windows, tokenizer: Tokenizer
    ) -> list[float]:
        """Returns the cosine of each pair."""
        vectors = np.asarray(windows.outputs, np.float32)  # [N, 2, H]
        return np.sum(vectors[:, 0] * vectors[:, 1], axis=-1).tolist()

    def score(self, examples: Sequence[TextExample], answers: Sequence[float]) -> dict[str, float]:
        gold = [each.label for each in examples]
        if not examples or None in gold:
            return {}
        return {"pearson": pearson(gold, answers), "spearman": spearman(gold, answers)}

    def record(self, example: TextExample, answer: float) -> dict[str, Any]:
        record = {"id": example.guid, "text_a": example.text_a, "text_b": example.text_b}
        if example.label is None:
            return {**record, "cosine": answer}
        error = abs(self._on_scale(answer) - example.label)
        return {**record, "gold": example.label, "cosine": answer, "error": error}

    def is_collapsed(self, examples: Sequence[TextExample], answers: Sequence[float]) -> bool:
        """Returns whether the cosines do not correlate with the scores."""
        gold = [each.label for each in examples]
        if None in gold or len(set(gold)) < 2:
            return False
        return abs(pearson(gold, answers)) < _COLLAPSED_CORRELATION

    def write(
        self, split: str, examples: Sequence[TextExample], answers: Sequence[float], folder: str
    ) -> list[str]:
        """Writes the cosines, and the file for GLUE's server with scores on the scale."""
        scores = (f"{i}\t{self._on_scale(answer):.3f}\n" for i, answer in enumerate(answers))
        contents = {
            "test_results.tsv": "".join(f"{np.float32(answer)}\n" for answer in answers),
            "predictions.jsonl": self.predictions(examples, answers),
            "submission/STS-B.tsv": "".join(("index\tprediction\n", *scores)),
        }
        return write_files(folder, contents)

    def _on_scale(self, cosine: float) -> float:
        low, high = self.options.min_score, self.options.max_score
        return low + min(max(cosine, 0.0), 1.0) * (high - low)
