"""Coreference: which spans of a document mention the same thing: `--task=coref`.

    data_dir/train*conll, dev*conll, test*conll    documents in CoNLL-2012's columns, or LitBank's
    --task_options=train_file=a.conll,b.conll.gz   or any files and patterns
    --task_options=dev_file=gap-development.tsv    GAP, for evaluation and prediction

The metrics are CoNLL's, with entities of one mention as they are in the data, and without them on
both sides (`no_singletons_...`): the model never finds such entities, so that the former depend on
whether the data have them. The best model is chosen by the latter.

Source: Joshi et al. 2019, BERT for Coreference Resolution; mandarjoshi90/coref, independent.py.
"""

import dataclasses
import functools
import itertools
import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bert_tf import files
from bert_tf.data.schema import Feature
from bert_tf.metrics import coreference as metrics
from bert_tf.metrics import gap
from bert_tf.settings.setting import setting
from bert_tf.spans.coreference import (
    SPECIAL_SPEAKER,
    CoreferenceOptions,
    PieceDocument,
    genre_number,
    predicted_clusters,
    speaker_numbers,
)
from bert_tf.tasks.coreference_files import Document, Mention, conll_text, read_conll
from bert_tf.tasks.gap_files import GapDocument, read_gap
from bert_tf.tasks.task import Batch, Row, SplitFiles, Task, Windows, write_files
from bert_tf.tasks.text_examples import original_split
from bert_tf.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    import tensorflow as tf

logger = logging.getLogger(__name__)

VARIANTS = ()

_WORD_AS_IS = {"/.": ".", "/?": "?"}  # OntoNotes' spelling of final punctuation in speech.

Clusters = list[list[Mention]]


@dataclasses.dataclass(frozen=True)
class Options(CoreferenceOptions, SplitFiles):
    """The options of the task, and of its model."""

    data_dir: str = setting("", "Folder with train*conll, dev*conll and test*conll.")
    dev_file: str = setting("", "The same to evaluate on: CoNLL or, ending in .tsv, GAP.")
    max_segments: int = setting(64, "Segments of a document at most.", at_least=1)
    max_mentions: int = setting(1000, "Known mentions of a document at most.", at_least=1)


def make(variant: None, options: Options, labels: tuple[str, ...] | None) -> "Coreference":
    """Makes the task."""
    return Coreference(options)


class Coreference(Task):
    """Finds the mentions in documents, and groups those of the same entity."""

    name = "coref"
    kind = "coreference"
    inputs = ("text",)
    labels = ()
    default_seq_length = 128

    def __init__(self, options: Options):
        self.options = options
        self.metric = "f1" if self._is_gap("eval") else "no_singletons_conll_f1"

    def splits(self, purpose: str) -> tuple[str, ...]:
        if not self.sources(purpose):
            name = original_split(purpose)
            raise ValueError(
                f"There is no {name}*conll in data_dir={self.options.data_dir!r}. Give another "
                f"one, or {name}_file in --task_options."
            )
        return (purpose,)

    def sources(self, split: str) -> list[str]:
        if given := self.options.given_files(split):
            return given
        if not self.options.data_dir:
            return []
        pattern = files.join_path(self.options.data_dir, f"{original_split(split)}*conll")
        return [*files.glob_files(pattern), *files.glob_files(f"{pattern}.gz")]

    def read(self, split: str) -> list[Document | GapDocument]:
        paths, is_gap = self.sources(split), self._is_gap(split)
        found = (read_gap(p, split != "predict") if is_gap else read_conll(p) for p in paths)
        return list(itertools.chain.from_iterable(found))

    def _is_gap(self, split: str) -> bool:
        names = getattr(self.options, f"{original_split(split)}_file").split(",")
        return all(name.removesuffix(".gz").endswith(".tsv") for name in names)

    def _has_mentions(self, split: str) -> bool:
        return split != "predict" and not self._is_gap(split)

    def features(self, split: str, max_seq_length: int) -> dict[str, Feature]:
        """Returns the features of a document in S segments, and of its M mentions.

        `entities` are numbered from 1; 0 fills.
        """
        segments, mentions = (self.options.max_segments, max_seq_length), self.options.max_mentions
        of_tokens = ("input_ids", "input_mask", "segment_ids", "sentence_map", "speaker_ids")
        of_mentions = ("gold_starts", "gold_ends", "gold_entities")
        return {
            **dict.fromkeys(of_tokens, Feature(segments)),
            "genre": Feature((1,)),
            **dict.fromkeys(of_mentions if self._has_mentions(split) else (), Feature((mentions,))),
        }

    def encode(
        self, example: Document, split: str, tokenizer: Tokenizer, max_seq_length: int
    ) -> Iterator[Row]:
        """Yields the document, which is never truncated; nothing if it has no word pieces."""
        document = self._pieces(example, tokenizer, max_seq_length)
        if not document.ids:
            return
        count, most = len(document.segments), self.options.max_segments
        if count > most:
            raise ValueError(
                f"{example.where}: the document has {count} segments of up to {max_seq_length} "
                f"tokens, and max_segments is {most}. Give --task_options=max_segments={count}, or "
                "a larger --max_seq_length."
            )
        cls, sep = tokenizer.special_ids.cls, tokenizer.special_ids.sep
        of_words = speaker_numbers(by for said in example.speakers for by in said)
        rows: dict[str, list[int]] = {
            name: [] for name in ("input_ids", "input_mask", "sentence_map", "speaker_ids")
        }
        for (start, end), sentences in zip(
            document.segments, document.sentence_maps(), strict=True
        ):
            said = [of_words[word] for word in document.words[start:end]]
            segment = {
                "input_ids": [cls, *document.ids[start:end], sep],
                "input_mask": [1] * (end - start + 2),
                "sentence_map": sentences,
                "speaker_ids": [SPECIAL_SPEAKER, *said, SPECIAL_SPEAKER],
            }
            for name, values in segment.items():
                rows[name] += [*values, *([0] * (max_seq_length - len(values)))]
        row = {
            **rows,
            "segment_ids": [0] * len(rows["input_ids"]),
            "genre": [genre_number(example.name)],
        }
        if self._has_mentions(split):
            row |= self._mentions(example, document)
        yield row

    def _pieces(
        self, example: Document, tokenizer: Tokenizer, max_seq_length: int
    ) -> PieceDocument:
        encode = functools.lru_cache(maxsize=None)(tokenizer.encode)
        sentences = (
            [encode(tokenizer.word_prefix + _WORD_AS_IS.get(word, word)) for word in sentence]
            for sentence in example.sentences
        )
        try:
            return PieceDocument.of_words(sentences, max_seq_length)
        except ValueError as error:
            raise ValueError(f"{example.where}: {error}") from error

    def _mentions(self, example: Document, document: PieceDocument) -> dict[str, list[int]]:
        """Returns the first and last token and the entity of each mention that has word pieces."""
        first: dict[int, int] = {}
        last: dict[int, int] = {}
        for word, token in zip(document.words, document.token_of_piece(), strict=True):
            first.setdefault(word, token)
            last[word] = token
        found = [
            (first[start], last[end], number)
            for number, mentions in enumerate(example.clusters, start=1)
            for start, end in mentions
            if start in first and end in last
        ]
        if len(found) > self.options.max_mentions:
            raise ValueError(
                f"{example.where}: the document has {len(found)} mentions, and max_mentions is "
                f"{self.options.max_mentions}. Give --task_options=max_mentions={len(found)}."
            )
        names = ("gold_starts", "gold_ends", "gold_entities")
        return {name: [mention[i] for mention in found] for i, name in enumerate(names)}

    def loss(self, batch: Batch, outputs: Batch) -> "tf.Tensor":
        """Returns float32 [B]: the sum of the losses of the document's spans."""
        import tensorflow as tf

        from bert_tf.model.coreference import antecedent_loss, entities_of_spans

        spans = (outputs[name] for name in ("span_starts", "span_ends"))
        gold = (batch[name] for name in ("gold_starts", "gold_ends", "gold_entities"))
        antecedents = tf.cast(outputs["antecedents"], tf.int32)
        entities = entities_of_spans(*spans, *gold)
        losses = antecedent_loss(outputs["antecedent_scores"], antecedents, entities)
        return tf.reduce_sum(losses, axis=1)

    def predict(
        self, examples: Sequence[Document], windows: Windows, tokenizer: Tokenizer
    ) -> list[Clusters]:
        """Returns the clusters of each document, of first and last words."""
        names = ("span_starts", "span_ends", "antecedents", "antecedent_scores")
        outputs = [np.asarray(windows.outputs[name]) for name in names]
        answers: list[Clusters] = []
        # The segments are as long as in the features.
        length = windows.read_features()["input_ids"].shape[-1]
        for example, rows in zip(examples, windows.rows_by_example(), strict=True):
            if rows.start == rows.stop:
                answers.append([])
                continue
            document = self._pieces(example, tokenizer, length)
            words = document.word_of_token()
            clusters = predicted_clusters(*(output[rows.start] for output in outputs))
            answers.append(
                [[(words[start], words[end]) for start, end in cluster] for cluster in clusters]
            )
        return [_of_words(clusters) for clusters in answers]

    def score(
        self, examples: Sequence[Document | GapDocument], answers: Sequence[Clusters]
    ) -> dict[str, float]:
        if examples and isinstance(examples[0], GapDocument):
            gold = {each.row.id: (each.row.pronoun, *each.row.coreferent) for each in examples}
            decided = {
                each.row.id: each.decisions(clusters)
                for each, clusters in zip(examples, answers, strict=True)
            }
            return gap.evaluate(gold, decided)
        keys = [example.clusters for example in examples]
        found = metrics.percentages(metrics.evaluate(zip(keys, answers, strict=True)))
        without = [list(map(metrics.without_singletons, side)) for side in (keys, answers)]
        others = metrics.percentages(metrics.evaluate(zip(*without, strict=True)))
        num_entities = sum(map(len, keys))
        return {
            **found,
            **{f"no_singletons_{name}": value for name, value in others.items()},
            "key_entities": num_entities,
            "key_singletons": num_entities - sum(map(len, without[0])),
        }

    def record(self, example: Document, answer: Clusters) -> dict[str, Any]:
        words = example.words
        names = [[" ".join(words[start : end + 1]) for start, end in c] for c in answer]
        return {"id": example.id, "clusters": answer, "mentions": names}

    def is_collapsed(self, examples: Sequence[Document], answers: Sequence[Clusters]) -> bool:
        """Returns whether nothing was found in any document."""
        return len(answers) > 1 and not any(answers)

    def write(
        self, split: str, examples: Sequence[Any], answers: Sequence[Clusters], folder: str
    ) -> list[str]:
        """Writes `predictions.conll`, which the scorer reads; for GAP, `predictions.tsv`."""
        both = list(zip(examples, answers, strict=True))
        if examples and isinstance(examples[0], GapDocument):
            decided = ((each.row.id, *each.decisions(clusters)) for each, clusters in both)
            lines = [
                "\t".join((row, str(a).upper(), str(b).upper())) + "\n" for row, a, b in decided
            ]
            return write_files(folder, {"predictions.tsv": "".join(lines)})
        return write_files(folder, {"predictions.conll": conll_text(both)})


def _of_words(clusters: Clusters) -> Clusters:
    """Returns clusters whose mentions are all different, of different clusters, too.

    Spans of pieces may be the same words; the first stays, and a cluster needs two.
    """
    seen: set[Mention] = set()
    found = []
    for cluster in clusters:
        mentions = [m for m in dict.fromkeys(cluster) if m not in seen]
        if len(mentions) > 1:
            seen.update(mentions)
            found.append(sorted(mentions))
    return found
