"""Implements tasks that give each word of a sentence a tag: entities, chunks, parts of speech.

    words, document --> [CLS] context sentence context [SEP] --> BERT --> logits of first pieces
                                                                 [--> CRF] --> a tag for each word

The sentences of the document around a sentence fill the window, half before it and half after it,
if there are so many. A sentence longer than a window is divided, see `bert_tf.spans.words`.

Source: Devlin et al. 2019, section 5.3.
"""

import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bert_tf.data.schema import Feature
from bert_tf.metrics import conlleval
from bert_tf.metrics.conlleval import OUTSIDE
from bert_tf.spans.words import TaggingOptions, word_pieces, word_windows
from bert_tf.tasks.classification import softmax
from bert_tf.tasks.tagged_sentences import Sentence
from bert_tf.tasks.task import Batch, Reader, Row, Task, Windows, check_length, write_files
from bert_tf.text.packing import pack
from bert_tf.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    import tensorflow as tf

logger = logging.getLogger(__name__)

_CRF_BATCH = 64  # Sentences.


class TaggedAnswer(NamedTuple):
    """A tag for each word, with its probability, a fraction."""

    tags: tuple[str, ...]
    probabilities: tuple[float, ...]


Examples = Sequence[Sentence]
Answers = Sequence[TaggedAnswer]


class WordTagging(Task):
    """Tags words.

    Args:
        labels: tags in IOB2, or classes; in the order of the model's outputs.
        reader: of `Sentence`s.
        document_context: whether the sentences around a sentence fill its window.
    """

    kind = "tagging"
    inputs = ("words",)
    default_seq_length = 128

    def __init__(
        self,
        name: str,
        options: TaggingOptions,
        labels: tuple[str, ...],
        reader: Reader,
        document_context: bool,
    ):
        self.name = name
        self.options = options
        self.labels = labels
        self.document_context = document_context
        self.has_entities = any(label.startswith("B-") for label in labels)
        self.metric = "f1" if self.has_entities else "accuracy"
        self.measures_accuracy = not options.crf
        self.reader = reader
        self._ids = {label: number for number, label in enumerate(labels)}

    def read(self, split: str) -> list[Sentence]:
        """Returns the sentences; unknown tags are refused in training, and counted elsewhere."""
        sentences = self.reader.read(split)
        unknown = [
            (sentence, word)
            for sentence in sentences
            for word, tag in enumerate(sentence.tags or ())
            if tag not in self._ids
        ]
        if unknown and split != "predict":
            (sentence, word), known = unknown[0], ", ".join(self.labels[:20])
            problem = f"{sentence.where(word)}: the tag {sentence.tags[word]!r} is not one of"
            if split == "train":
                raise ValueError(f"{problem} {known}. Correct it, or add it to labels.")
            logger.warning(
                "%s the training data's. %d words have such tags, and count as wrong.",
                *(problem, len(unknown)),
            )
        num_words = sum(len(sentence.words) for sentence in sentences)
        num_documents = sum(sentence.starts_document for sentence in sentences)
        numbers = num_documents, len(sentences), num_words
        logger.info("%s, %s: %d documents, %d sentences, %d words", self.name, split, *numbers)
        return sentences

    def features(self, split: str, max_seq_length: int) -> dict[str, Feature]:
        """Returns the model's inputs, `word_starts` (1 at a word's first piece), `label_ids`."""
        check_length(max_seq_length, 3, "[CLS], a token and [SEP]")
        names = ["input_ids", "input_mask", "segment_ids", "word_starts"]
        names += [] if split == "predict" else ["label_ids"]
        return dict.fromkeys(names, Feature((max_seq_length,)))

    def encode(
        self, example: Sentence, split: str, tokenizer: Tokenizer, max_seq_length: int
    ) -> Iterator[Row]:
        """Yields the windows of a sentence; each word is scored in one of them."""
        cls, sep = tokenizer.special_ids.cls, tokenizer.special_ids.sep
        room = max_seq_length - 2
        pieces = word_pieces(tokenizer, example.words)
        tags = iter(example.tags or ())
        for window, firsts in word_windows(pieces, room):
            ids = pieces.ids[window.start : window.start + window.length]
            before: list[int] = []
            if self.document_context and len(pieces.ids) <= room:
                before, after = _context(example, tokenizer, room - len(ids))
                ids = [*before, *ids, *after]
            input_ids, segment_ids = pack(ids, [], cls, sep)
            places = [1 + len(before) + first for first in firsts]
            row = {"input_ids": input_ids, "segment_ids": segment_ids}
            row["word_starts"] = _at(places, [1] * len(places), len(input_ids))
            if split != "predict":
                # The number after the last is that of tags that the model does not have.
                label_ids = [self._ids.get(next(tags), len(self.labels)) for _ in places]
                row["label_ids"] = _at(places, label_ids, len(input_ids))
            yield row

    def loss(self, batch: Batch, outputs: Any) -> "tf.Tensor":
        """Returns the cross entropy of each token [B, L]; with a CRF the mean of the words [B].

        The CRF's is the negative log-likelihood of the window's tags, over their number.
        """
        import tensorflow as tf

        if self.options.crf:
            from bert_tf.model.crf import negative_log_likelihood

            is_word = self._is_trained(batch)
            losses = negative_log_likelihood(
                outputs["logits"], batch["label_ids"], is_word, outputs["transitions"]
            )
            return losses / tf.maximum(self.loss_weights(batch), 1.0)
        label_ids = tf.minimum(batch["label_ids"], len(self.labels) - 1)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(
            label_ids, tf.cast(outputs, tf.float32)
        )

    def loss_weights(self, batch: Batch) -> "tf.Tensor":
        """Returns 1 for words with a known tag; with a CRF the number of them in a window."""
        import tensorflow as tf

        weights = tf.cast(self._is_trained(batch), tf.float32)
        return tf.reduce_sum(weights, axis=1) if self.options.crf else weights

    def _is_trained(self, batch: Batch) -> "tf.Tensor":
        return (batch["word_starts"] > 0) & (batch["label_ids"] < len(self.labels))

    def predict(self, examples: Examples, windows: Windows, tokenizer: Tokenizer) -> Answers:
        """Returns the tags of each sentence; with a CRF the most probable sequence of them."""
        starts = windows.read_features()["word_starts"] > 0
        has_crf = isinstance(windows.outputs, dict)
        logits = np.asarray(windows.outputs["logits"] if has_crf else windows.outputs)
        starts = starts[:, : logits.shape[1]]  # Batches are as long as their longest row.
        of_words = [logits[rows][starts[rows]] for rows in windows.rows_by_example()]
        for example, scores in zip(examples, of_words, strict=True):
            assert len(example.words) == len(scores), example.where()
        if has_crf and of_words:
            found = _decoded(of_words, np.asarray(windows.outputs["transitions"][0]))
        else:
            found = []
            for scores in of_words:
                probabilities = softmax(scores.astype(np.float32))
                found.append((probabilities.argmax(axis=-1), probabilities.max(axis=-1)))
        return [
            TaggedAnswer(tuple(self.labels[each] for each in best), tuple(probabilities.tolist()))
            for best, probabilities in found
        ]

    def score(self, examples: Examples, answers: Answers) -> dict[str, float]:
        """Returns conlleval's figures in percent, strict ones, and those of each type.

        Classes that are no entities have only an accuracy.
        """
        if any(example.tags is None for example in examples):
            return {}
        gold, predicted = [each.tags for each in examples], [each.tags for each in answers]
        figures = conlleval.evaluate(gold, predicted)
        if not self.has_entities:
            return {"accuracy": figures["accuracy"]}
        logger.info("%s", conlleval.report(figures).rstrip())
        names = ("f1", "precision", "recall")
        metrics = {name: figures[name] for name in (*names, "accuracy")}
        strict = conlleval.evaluate(gold, predicted, conlleval.strict_entities)
        metrics |= {f"strict_{name}": strict[name] for name in names}
        for type_, each in figures["types"].items():
            metrics |= {f"{name}_{type_}": each[name] for name in names}
        return metrics

    def record(self, example: Sentence, answer: TaggedAnswer) -> dict[str, Any]:
        record: dict[str, Any] = {"where": example.where(), "tokens": list(example.words)}
        if example.tags is not None:
            record |= {"tags": list(example.tags), "correct": example.tags == answer.tags}
        least = min(answer.probabilities)
        return {**record, "predicted": list(answer.tags), "confidence": round(least, 6)}

    def is_collapsed(self, examples: Examples, answers: Answers) -> bool:
        given = {tag for answer in answers for tag in answer.tags}
        right = {tag for example in examples for tag in example.tags or ()}
        return len(given) == 1 and len(right) > 1

    def write(self, split: str, examples: Examples, answers: Answers, folder: str) -> list[str]:
        """Writes `test_predictions.txt`, the file's columns and the predicted tag, as conlleval
        reads it, and `predictions.jsonl`. Tags have the scheme of the file."""
        lines = itertools.chain.from_iterable(self._lines(examples, answers))
        contents = {
            "test_predictions.txt": "".join(f"{line}\n" for line in lines),
            "predictions.jsonl": self.predictions(examples, answers),
        }
        return write_files(folder, contents)

    def _lines(self, examples: Examples, answers: Answers) -> Iterator[Iterable[str]]:
        schemes = self.reader.schemes("predict")
        for example, answer in zip(examples, answers, strict=True):
            if example.header:
                yield [_with_column(example.header, OUTSIDE), ""]
            scheme, tags = schemes[example.path], answer.tags
            if self.has_entities:
                tags = conlleval.from_iob2(tags, "iob2" if scheme == "none" else scheme)
            yield [*map(_with_column, example.columns, tags), ""]


def _with_column(line: str, value: str) -> str:
    return line + ("\t" if "\t" in line else " ") + value


def _at(places: Sequence[int], values: Sequence[int], length: int) -> list[int]:
    row = [0] * length
    for place, value in zip(places, values, strict=True):
        row[place] = value
    return row


def _context(example: Sentence, tokenizer: Tokenizer, room: int) -> tuple[list[int], list[int]]:
    """Returns pieces of the document before and after a sentence, `room` together at most."""
    before, after = example.document[: example.index], example.document[example.index + 1 :]
    left = _pieces(tokenizer, (words[::-1] for words in before[::-1]), room, is_reversed=True)
    right = _pieces(tokenizer, after, room)
    num_right = min(len(right), max(room - len(left), room - room // 2))
    num_left = min(len(left), room - num_right)
    return left[len(left) - num_left :], right[:num_right]


def _pieces(
    tokenizer: Tokenizer, sentences: Iterable[Sequence[str]], room: int, is_reversed: bool = False
) -> list[int]:
    """Returns the pieces of the words next to a sentence; `is_reversed`: those before it."""
    groups: list[list[int]] = []
    count = 0
    for word in itertools.chain.from_iterable(sentences):
        if count >= room:
            break
        groups.append(word_pieces(tokenizer, [word]).ids)
        count += len(groups[-1])
    ids = list(itertools.chain.from_iterable(groups[::-1] if is_reversed else groups))
    return ids[max(len(ids) - room, 0) :] if is_reversed else ids[:room]


def _decoded(
    of_words: Sequence[np.ndarray], transitions: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns the CRF's best classes of the words of sentences, and their probabilities."""
    from bert_tf.model.crf import best_tags

    found = []
    for start in range(0, len(of_words), _CRF_BATCH):
        group = of_words[start : start + _CRF_BATCH]
        lengths = np.array([len(each) for each in group])
        is_word = np.arange(lengths.max()) < lengths[:, np.newaxis]
        logits = np.zeros((*is_word.shape, transitions.shape[1]), np.float32)
        logits[is_word] = np.concatenate(group)
        tiled = np.tile(transitions, (len(group), 1, 1))
        best, probabilities = map(np.asarray, best_tags(logits, is_word, tiled))
        found += [(best[i, :n], probabilities[i, :n]) for i, n in enumerate(lengths)]
    return found
