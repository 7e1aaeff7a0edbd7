"""Implements tasks where the answer to a question is a span of a passage, or "no answer".

    question, passage --> [CLS] question [SEP] window [SEP] --> BERT --> two logits per token:
                          one or several windows                         starts, ends here

A task is defined by a data set: its reader, official metrics and prediction files. `bert_tf.spans`
divides passages into windows and searches for the answer.

Source: google-research/bert, run_squad.py.
"""

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bert_tf.data.schema import Feature
from bert_tf.metrics.squad import normalize_answer
from bert_tf.spans.answers import PassageText, QuestionScores, SpanAnswer, find_answer
from bert_tf.spans.options import SpanOptions
from bert_tf.spans.windows import answer_tokens, divide_passage, passage_tokenizer
from bert_tf.tasks.task import Batch, Reader, Row, Task, TruncatedRow, Windows
from bert_tf.text.packing import Window, num_between, pack
from bert_tf.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    import tensorflow as tf

logger = logging.getLogger(__name__)

TRAIN = "train"  # The split whose features have the position of the answer.
_NUM_SPECIAL_TOKENS = 3  # [CLS] question [SEP] passage [SEP]
_MASKED_LOGIT = -1e4  # Masks padding: its softmax is 0.


class SpanExample(NamedTuple):
    """A question about a passage. The questions about one passage share its string."""

    id: str
    question: str
    context: str
    answers: tuple[str, ...] | None  # The correct answers, () for "no answer"; None if unknown.
    is_impossible: bool | None = None  # None if unknown.
    first_word: int = -1  # The answer's words in the context, for training; -1 for "no answer".
    last_word: int = -1
    language: str = ""  # Where the metrics depend on it.


Examples = Sequence[SpanExample]
Answers = Sequence[SpanAnswer]


@dataclasses.dataclass
class SpanExtraction(Task):
    """Extracts answers from passages."""

    name: str
    options: SpanOptions
    # The data set: a picklable object with the `splits`, `sources`, `read`, `score` and `write` of
    # a task. The training split is TRAIN.
    data: Any
    metric: str  # The metric of its `score` that models are compared by.
    reader: Reader | None = None  # Has the `splits`, `sources` and `read` instead of `data`.

    kind = "span"
    inputs = ("question", "context")
    labels = ()
    default_seq_length = 384

    def __post_init__(self) -> None:
        self.padding_matters = not self.options.mask_padding
        self.reader = self.reader or self.data
        self.score, self.write = self.data.score, self.data.write

    def features(self, split: str, max_seq_length: int) -> dict[str, Feature]:
        """Returns the original's features; no model uses `is_impossible`."""
        shortest = self.options.max_query_length + _NUM_SPECIAL_TOKENS + 1
        if max_seq_length < shortest:
            raise ValueError(
                f"max_seq_length must be at least {shortest}: max_query_length = "
                f"{self.options.max_query_length}, {_NUM_SPECIAL_TOKENS} special tokens and one of "
                f"the passage. Received: {max_seq_length}"
            )
        sequences = ("input_ids", "input_mask", "segment_ids")
        labels = ("start_positions", "end_positions", "is_impossible") if split == TRAIN else ()
        return {
            "unique_ids": Feature(()),
            **dict.fromkeys(sequences, Feature((max_seq_length,))),
            **dict.fromkeys(labels, Feature(())),
        }

    def encode(
        self, example: SpanExample, split: str, tokenizer: Tokenizer, max_seq_length: int
    ) -> Iterator[Row]:
        """Yields the windows of the passage, none if it has no tokens.

        Source: google-research/bert, run_squad.py, `convert_examples_to_features`.
        """
        passages = passage_tokenizer(tokenizer)
        cls, sep = tokenizer.special_ids.cls, tokenizer.special_ids.sep
        passage = passages.tokens(example.context)
        question = passages.encode(example.question)
        is_cut = len(question) > self.options.max_query_length
        question = question[: self.options.max_query_length]
        span = None
        if split == TRAIN and not example.is_impossible:
            answer, words = example.answers[0], (example.first_word, example.last_word)
            span = answer_tokens(passage, *words, passages.encode(answer))
            if tokenizer.word_prefix:  # An answer may begin within a word.
                inner = answer_tokens(passage, *words, tokenizer.encode(" ".join(answer.split())))
                span = min(span, inner, key=lambda both: both[1] - both[0])
        stride = self.options.doc_stride
        passage_start = 1 + len(question) + num_between(sep)
        for window in divide_passage(len(passage.ids), len(question), max_seq_length, stride, sep):
            tokens = passage.ids[window.start : window.start + window.length]
            input_ids, segment_ids = pack(question, tokens, cls, sep)
            row = (TruncatedRow if is_cut else dict)(input_ids=input_ids, segment_ids=segment_ids)
            if split == TRAIN:
                start, end = _position(span, window, passage_start)
                row["start_positions"], row["end_positions"] = [start], [end]
                row["is_impossible"] = [int(bool(example.is_impossible))]
            yield row

    def loss(self, batch: Batch, outputs: Batch) -> "tf.Tensor":
        """Returns float32 [B]: the mean of the cross entropies of start and end over L positions.

        The loss of a position outside the window, as of an answer of only white space, is 0.
        """
        import tensorflow as tf

        losses = []
        for name in ("start", "end"):
            logits = tf.cast(outputs[f"{name}_logits"], tf.float32)  # [B, L]
            if self.options.mask_padding:
                logits = tf.where(batch["input_mask"] > 0, logits, _MASKED_LOGIT)
            positions = batch[f"{name}_positions"]  # [B]
            is_inside = (positions >= 0) & (positions < tf.shape(logits)[1])
            log_probs = tf.gather(
                tf.nn.log_softmax(logits), tf.where(is_inside, positions, 0), batch_dims=1
            )
            losses.append(tf.where(is_inside, -log_probs, 0.0))
        return (losses[0] + losses[1]) / 2.0

    def predict(self, examples: Examples, windows: Windows, tokenizer: Tokenizer) -> Answers:
        """Returns an answer to each question, from `start_logits` and `end_logits` [F, L].

        Passages are tokenized again, as the features do not hold the words that form an answer.
        """
        passages, verbose = passage_tokenizer(tokenizer), self.options.verbose_logging
        features = windows.read_features()
        sep = tokenizer.special_ids.sep
        if num_between(sep) > 1:  # Both texts have one segment.
            is_passage = np.cumsum(features["input_ids"] == sep, axis=1) > 1
            is_passage &= features["input_ids"] != sep
        else:
            is_passage = features["segment_ids"]
        layouts = [features["input_mask"], is_passage]
        logits = [np.asarray(windows.outputs[name]) for name in ("start_logits", "end_logits")]
        answers: list[SpanAnswer] = []
        text = None
        for example, rows in zip(examples, windows.rows_by_example(), strict=True):
            if text is None or text.context != example.context:
                text = PassageText(example.context, passages, verbose)
            spans, passage_start = self._windows(*(each[rows] for each in layouts))
            scores = QuestionScores(spans, passage_start, *(each[rows] for each in logits))
            answers.append(find_answer(self.options, scores, text.text))
        empty = [each.id for each, n in zip(examples, windows.counts, strict=True) if not n]
        if empty:
            logger.warning(
                "%d questions have a passage without text, and get no answer, such as %s",
                *(len(empty), empty[:3]),
            )
        return answers

    def record(self, example: SpanExample, answer: SpanAnswer) -> dict[str, Any]:
        record = {"id": example.id, "question": example.question, "context": example.context}
        probabilities = (each.probability for each in answer.nbest if each.text == answer.text)
        found = {"answer": answer.text, "confidence": float(next(probabilities, 0.0))}
        if example.answers is None:
            return {**record, **found}
        right = set(map(normalize_answer, example.answers or ("",)))
        correct = normalize_answer(answer.text) in right
        return {**record, "gold": list(example.answers), **found, "correct": correct}

    def is_collapsed(self, examples: Examples, answers: Answers) -> bool:
        """Returns whether all answers are the same, such as "", though the correct ones differ."""
        given = {answer.text for answer in answers}
        correct = {example.answers for example in examples}
        return len(given) == 1 and len(correct) > 1

    def _windows(
        self, input_mask: np.ndarray, is_passage: np.ndarray
    ) -> tuple[tuple[Window, ...], int]:
        """Returns the windows of a question's features [S, L], and their passages' position."""
        if not len(input_mask):
            return (), 0
        passage_start = int(np.argmax(is_passage[0]))
        lengths = (input_mask.sum(axis=1) - passage_start - 1).tolist()  # 1 is for [SEP].
        stride = min(lengths[0], self.options.doc_stride)
        windows = (Window(number * stride, length) for number, length in enumerate(lengths))
        return tuple(windows), passage_start


def _position(span: tuple[int, int] | None, window: Window, passage_start: int) -> tuple[int, int]:
    """Returns an answer's positions in a window; (0, 0), [CLS], if it is not wholly inside."""
    if span is None or span[0] < window.start or span[1] >= window.start + window.length:
        return 0, 0
    offset = passage_start - window.start
    return span[0] + offset, span[1] + offset
