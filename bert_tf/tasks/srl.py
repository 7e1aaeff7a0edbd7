"""Semantic role labelling: the roles of each predicate's arguments, as in PropBank. `--task=srl`.

    He    ate   the    apple          predicate: ate
    B-A0  B-V   B-A1   I-A1           spans (CoNLL-2005, CoNLL-2012)
    A0                 A1             heads (CoNLL-2009, Universal Propositions)

Each predicate of a sentence is an example. The options choose the model of Shi and Lin (2019) or
the plain one; `spans/predicates.py` draws their inputs.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bert_tf.data.schema import Feature
from bert_tf.metrics import semantic_roles as metrics
from bert_tf.metrics.semantic_roles import Predicate
from bert_tf.spans.bio import (
    OUTSIDE,
    PREDICATE_ROLE,
    RoleSpan,
    role_spans,
    tags_of_pieces,
    tags_of_spans,
    viterbi,
)
from bert_tf.spans.predicates import SENSE, PackedPredicate, pack_predicate, split_labels
from bert_tf.spans.words import word_pieces
from bert_tf.tasks.role_examples import Options, SrlExample, SrlFiles
from bert_tf.tasks.role_files import FORMATS, Sentence, props_lines
from bert_tf.tasks.task import Batch, Row, Task, TruncatedRow, Windows, check_length, write_files
from bert_tf.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    import tensorflow as tf

VARIANTS = ()


class SrlAnswer(NamedTuple):
    """What the model found."""

    roles: tuple[RoleSpan, ...] = ()
    sense: str = ""  # Such as 01; "" if it predicts none.
    confidence: float = 0.0  # The mean probability of the words' tags.


Examples = Sequence[SrlExample]
Answers = Sequence[SrlAnswer]


def make(variant: None, options: Options, labels: tuple[str, ...] | None) -> "SemanticRoles":
    """Makes the task. With a trained model's labels, the training sentences are not read."""
    return SemanticRoles(options, labels or _labels_in(SrlFiles(options)))


def _labels_in(reader: "SrlFiles") -> tuple[str, ...]:
    """Returns the tags of the training files in BIO or as they are, then the predicates' senses."""
    reader.splits("train")
    has_spans = reader.has_spans("train")
    predicates = [p for s in reader.sentences("train") for p in s.predicates]
    roles = sorted({span.role for each in predicates for span in each.roles})
    if not roles:
        raise ValueError(
            f"{', '.join(reader.sources('train'))}: there are no roles to learn in what was read "
            f"as {reader.format('train')}. If the files are of another format, give --format."
        )
    tags = [f"{letter}-{role}" for role in roles for letter in "BI"] if has_spans else roles
    senses = sorted({_sense(each.sense) for each in predicates} - {""})
    return (OUTSIDE, *tags, *(SENSE + sense for sense in senses if reader.options.senses))


class SemanticRoles(Task):
    """Labels the words of a sentence with their roles for a predicate, and the predicate's sense.

    Args:
        labels: tags of words, and senses of predicates.
    """

    name = "srl"
    kind = "roles"
    inputs = ("sentence", "predicate")
    default_seq_length = 128

    def __init__(self, options: Options, labels: tuple[str, ...]):
        self.options = options
        self.labels = labels
        self.tags, self.senses = split_labels(labels)
        self.has_spans = any(tag.startswith("B-") for tag in self.tags)
        self.metric = "f1" if self.has_spans or not self.senses else "labeled_f1"
        self.reader = SrlFiles(options)
        self._numbers = {label: number for number, label in enumerate(labels, start=1)}

    def splits(self, purpose: str) -> tuple[str, ...]:
        splits = self.reader.splits(purpose)
        if self.reader.has_spans(purpose) != self.has_spans:
            what = "spans" if self.has_spans else "heads"
            raise ValueError(
                f"{', '.join(self.sources(purpose))}: the model labels {what}, and the format "
                f"{self.reader.format(purpose)} has the other kind of roles."
            )
        return splits

    def features(self, split: str, max_seq_length: int) -> dict[str, Feature]:
        """Returns the model's inputs and, of labelled splits, what it learns.

        `word_numbers` is 1, 2, ... at the first pieces of the words, and 0 elsewhere. `tag_numbers`
        and `sense_number` are 1 for the first label, and 0 for what is not learned.
        """
        check_length(max_seq_length, 8, "[CLS], two [SEP], parts of the sentence and the predicate")
        names = ["input_ids", "input_mask", "segment_ids", "predicate_mask", "word_numbers"]
        features = dict.fromkeys(names, Feature((max_seq_length,)))
        if split != "predict":
            features |= {"tag_numbers": Feature((max_seq_length,)), "sense_number": Feature(())}
        return features

    def encode(
        self, example: SrlExample, split: str, tokenizer: Tokenizer, max_seq_length: int
    ) -> Iterator[Row]:
        """Yields one window; none for a sentence without predicates."""
        if example.number is None:
            return
        words, predicate = example.sentence.words, example.predicate
        pieces = word_pieces(tokenizer, words)
        counts = np.diff([*pieces.first, len(pieces.ids)]).tolist()
        packed = pack_predicate(
            pieces.ids,
            pieces.first[predicate.position],
            counts[predicate.position],
            tokenizer.special_ids,
            max_seq_length,
            self.options.variant,
        )
        numbers = [n for n, count in enumerate(counts, 1) for n in (n, *[0] * (count - 1))]
        row = {
            "input_ids": packed.input_ids,
            "segment_ids": packed.segment_ids,
            "predicate_mask": packed.predicate_mask,
            "word_numbers": _in_window(numbers, packed),
        }
        if split != "predict":
            row["tag_numbers"] = self._tag_numbers(example, counts, packed)
            row["sense_number"] = [self._numbers.get(SENSE + _sense(predicate.sense), 0)]
        yield TruncatedRow(row) if packed.is_truncated else row

    def _tag_numbers(
        self, example: SrlExample, counts: list[int], packed: PackedPredicate
    ) -> list[int]:
        roles, size = example.predicate.roles, len(counts)
        if self.has_spans:
            tags = tags_of_pieces(tags_of_spans(roles, size), counts)
            numbers = [self._numbers.get(tag, 0) for tag in tags]
            outside = self._numbers[OUTSIDE]
            return [outside, *_in_window(numbers, packed)[1:], outside]
        tags = [OUTSIDE] * size
        for role, place, _ in reversed(roles):  # Of two roles of a word, the first is learned.
            tags[place] = role
        numbers = [
            number
            for tag, count in zip(tags, counts, strict=True)
            for number in (self._numbers.get(tag, 0), *[0] * (count - 1))
        ]
        return _in_window(numbers, packed)

    def loss(self, batch: Batch, outputs: "tf.Tensor") -> "tf.Tensor":
        """Returns float32 [B, L + 1]: of the tags and, in the last column, of the sense."""
        import tensorflow as tf

        logits = tf.cast(outputs, tf.float32)
        tags, senses = tf.split(logits, [len(self.tags), len(self.senses)], axis=-1)
        loss_of = tf.nn.sparse_softmax_cross_entropy_with_logits
        losses = loss_of(tf.maximum(batch["tag_numbers"] - 1, 0), tags)
        if not self.senses:
            return tf.pad(losses, [[0, 0], [0, 1]])
        place = tf.argmax(batch["predicate_mask"], axis=1, output_type=tf.int32)
        sense = tf.maximum(batch["sense_number"] - 1 - len(self.tags), 0)
        sense_losses = loss_of(sense, tf.gather(senses, place, batch_dims=1))
        return tf.concat([losses, sense_losses[:, tf.newaxis]], axis=1)

    def loss_weights(self, batch: Batch) -> "tf.Tensor":
        import tensorflow as tf

        numbers = [batch["tag_numbers"], batch["sense_number"][:, tf.newaxis]]
        return tf.cast(tf.concat(numbers, axis=1) > 0, tf.float32)

    def predict(self, examples: Examples, windows: Windows, tokenizer: Tokenizer) -> Answers:
        """Returns the roles of each predicate, from the tags of the words' first pieces."""
        features = windows.read_features()
        answers: list[SrlAnswer] = []
        for example, rows in zip(examples, windows.rows_by_example(), strict=True):
            if rows.start == rows.stop:
                answers.append(SrlAnswer())
                continue
            word_numbers = features["word_numbers"][rows.start]
            places = np.flatnonzero(word_numbers)
            logits = np.asarray(windows.outputs[rows.start], np.float32)
            scores = _log_softmax(logits[places, : len(self.tags)])
            path = viterbi(scores, self.tags)[0] if self.options.constrained else scores.argmax(1)
            tags = [OUTSIDE] * len(example.sentence.words)
            for number, tag in zip(word_numbers[places], path, strict=True):
                tags[number - 1] = self.tags[tag]
            sense = ""
            if self.senses:
                place = int(np.argmax(features["predicate_mask"][rows.start]))
                sense = self.senses[int(logits[place, len(self.tags) :].argmax())]
            probability = float(np.exp(scores[np.arange(len(path)), path]).mean())
            answers.append(SrlAnswer(tuple(role_spans(tags)), sense, probability))
        return answers

    def score(self, examples: Examples, answers: Answers) -> dict[str, float]:
        """Returns the official figures in percent: of srl-eval.pl for spans, eval09.pl for heads.

        `f1_ROLE` is that of a role. For heads, `labeled_f1` counts senses and arguments together,
        as CoNLL-2009 does, and `f1` the arguments alone.
        """
        predicted = self._predicted(examples, answers)
        sides = [[s.predicates for s, _ in predicted], [p for _, p in predicted]]
        if self.has_spans:
            found = metrics.score_spans(*sides)
            total, results = found.overall, {"perfect_propositions": found.propositions.recall}
        else:
            found = metrics.score_dependencies(*sides)
            total = found.labeled_arguments
            results = {"unlabeled_arguments_f1": found.unlabeled_arguments.f1}
            if self.senses:
                results["labeled_f1"] = found.labeled.f1
                results["unlabeled_f1"] = found.unlabeled.f1
        if self.senses:
            pairs = zip(examples, answers, strict=True)
            right = [
                _sense(e.predicate.sense) == a.sense
                for e, a in pairs
                if e.number is not None and e.predicate.sense
            ]
            results["sense_accuracy"] = 100.0 * sum(right) / max(len(right), 1)
        scores = {"f1": total.f1, "precision": total.precision, "recall": total.recall, **results}
        return scores | {f"f1_{role}": counts.f1 for role, counts in found.roles.items()}

    def _predicted(
        self, examples: Examples, answers: Answers
    ) -> list[tuple[Sentence, list[Predicate]]]:
        """Returns each sentence with its predicates as predicted."""
        sentences: list[tuple[Sentence, list[Predicate]]] = []
        for example, answer in zip(examples, answers, strict=True):
            if not example.number:
                sentences.append((example.sentence, []))
            if example.number is not None:
                gold = example.predicate
                sense = f"{gold.lemma}.{answer.sense}" if answer.sense else gold.sense
                sentences[-1][1].append(gold._replace(roles=answer.roles, sense=sense))
        return sentences

    def record(self, example: SrlExample, answer: SrlAnswer) -> dict[str, Any]:
        words = example.sentence.words
        record = {"id": example.id, "sentence": " ".join(words)}
        if example.number is None:
            return {**record, "predicate": None, "correct": True, "confidence": 0.0}
        predicate = example.predicate
        sides = [_readable(words, roles) for roles in (predicate.roles, answer.roles)]
        return {
            **record,
            "predicate": words[predicate.position],
            "gold_roles": sides[0],
            "roles": sides[1],
            **(
                {"gold_sense": _sense(predicate.sense), "sense": answer.sense}
                if self.senses
                else {}
            ),
            "correct": sides[0] == sides[1],
            "confidence": answer.confidence,
        }

    def fold_group(self, example: SrlExample) -> str:
        """Returns the place of the sentence, whose predicates are scored together."""
        return example.sentence.where

    def is_collapsed(self, examples: Examples, answers: Answers) -> bool:
        """Returns whether no predicate has arguments, though some should have."""
        predicates = [each.predicate for each in examples if each.number is not None]
        return not any(_arguments(each.roles) for each in answers) and any(
            _arguments(each.roles) for each in predicates
        )

    def write(self, split: str, examples: Examples, answers: Answers, folder: str) -> list[str]:
        """Writes the file that was read, with the predicted roles and senses.

        Spans are also written as the propositions that `srl-eval.pl` takes.
        """
        form = FORMATS[self.reader.format(split)]
        predicted = self._predicted(examples, answers)
        name = self.reader.format(split)
        names = {f"{split}_predictions.{'conllu' if name == 'up' else name}": form.write}
        if self.has_spans:
            names[f"{split}_predictions.props"] = props_lines
        return write_files(folder, {n: _blocks(w, predicted) for n, w in names.items()})


def _blocks(write, predicted: Sequence[tuple[Sentence, list[Predicate]]]) -> str:
    return "".join("\n".join(write(*sentence)) + "\n\n" for sentence in predicted)


def _in_window(values: Sequence[int], packed: PackedPredicate) -> list[int]:
    """Returns 0 for [CLS] and the values of the pieces in a row."""
    return [0, *values[packed.start : packed.start + packed.length]]


def _sense(sense: str) -> str:
    return sense.rpartition(".")[2]


def _arguments(roles: Sequence[RoleSpan]) -> list[RoleSpan]:
    return [span for span in roles if span.role != PREDICATE_ROLE]


def _readable(words: Sequence[str], roles: Sequence[RoleSpan]) -> list[list[str]]:
    return [[s.role, " ".join(words[s.first : s.last + 1])] for s in _arguments(roles)]


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=-1, keepdims=True, initial=-np.inf)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
