"""Tasks whose answer to a question is a part of a passage, or that there is none.

    question, passage --> [CLS] question [SEP] window [SEP] --> BERT --> two logits per token:
                          one or several windows                         starts, ends here

Such a task is a data set: a reader of its files, its official metrics and its prediction files.
The windows of a passage and the search for the answer are in `bert_tf.spans`.

Source: google-research/bert, run_squad.py.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bert_tf.data.schema import Feature
from bert_tf.spans.answers import AnswerSearch, PassageText, QuestionScores, SpanAnswer
from bert_tf.spans.options import SpanOptions
from bert_tf.spans.windows import (
    NUM_SPECIAL_TOKENS,
    PassageTokenizer,
    PassageTokens,
    answer_tokens,
    divide_passage,
    passage_tokenizer,
)
from bert_tf.tasks.task import Row, Windows
from bert_tf.text.packing import Window, pack
from bert_tf.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

logger = logging.getLogger(__name__)

# The split whose features have the position of the answer.
TRAIN = "train"
# Replaces the logits of padding where it is masked: the softmax of them is 0.
_MASKED_LOGIT = -1e4


class SpanExample(NamedTuple):
    """A question about a passage. The questions about one passage share its string.

    id: the question's id in the prediction files.
    question, context: texts.
    answers: the texts of the correct answers, () if there is none; None if unknown.
    is_impossible: whether there is no answer; None if the data do not say.
    first_word, last_word: the answer's words in the context, for training; -1 if there is none.
    """

    id: str
    question: str
    context: str
    answers: tuple[str, ...] | None
    is_impossible: bool | None = None
    first_word: int = -1
    last_word: int = -1


class SpanExtraction:
    """A task whose answers are parts of a passage; see `bert_tf.tasks.task.Task`.

    Args:
        name: of the task.
        options: how questions and passages become windows, and logits answers.
        data: the data set: an object with `splits`, `sources`, `read`, `score` and `write` as a
            task has them, which can be pickled. The training split is TRAIN.
        metric: the metric of its `score` that models are compared by.
    """

    kind = "span"
    inputs = ("question", "context")
    labels = ()
    default_seq_length = 384

    def __init__(self, name: str, options: SpanOptions, data: Any, metric: str):
        self.name = name
        self.options = options
        self.metric = metric
        self.padding_matters = not options.mask_padding
        self.splits = data.splits
        self.sources = data.sources
        self.read = data.read
        self.score = data.score
        self.write = data.write

    def features(self, split: str, max_seq_length: int) -> dict[str, Feature]:
        """The original's features; no model uses `is_impossible`."""
        shortest = self.options.max_query_length + NUM_SPECIAL_TOKENS + 1
        if max_seq_length < shortest:
            raise ValueError(
                f"max_seq_length must be at least {shortest}: max_query_length = "
                f"{self.options.max_query_length} tokens of the question, {NUM_SPECIAL_TOKENS} "
                f"special ones and one of the passage. Received: {max_seq_length}"
            )
        sequence = Feature((max_seq_length,))
        features = {
            "unique_ids": Feature(()),
            "input_ids": sequence,
            "input_mask": sequence,
            "segment_ids": sequence,
        }
        if split == TRAIN:
            names = "start_positions", "end_positions", "is_impossible"
            features.update(dict.fromkeys(names, Feature(())))
        return features

    def encode(
        self, example: SpanExample, split: str, tokenizer: Tokenizer, max_seq_length: int
    ) -> Iterator[Row]:
        """Yields the windows of the passage; none if it has no tokens.

        Source: google-research/bert, run_squad.py, `convert_examples_to_features`.
        """
        passages = passage_tokenizer(tokenizer)
        cls, sep = tokenizer.special_ids.cls, tokenizer.special_ids.sep
        passage = passages.tokens(example.context)
        question = passages.encode(example.question)[: self.options.max_query_length]
        span = _answer_span(example, passage, passages) if split == TRAIN else None
        stride = self.options.doc_stride
        for window in divide_passage(len(passage.ids), len(question), max_seq_length, stride):
            tokens = passage.ids[window.start : window.start + window.length]
            input_ids, segment_ids = pack(question, tokens, cls, sep)
            row = {"input_ids": input_ids, "segment_ids": segment_ids}
            if split == TRAIN:
                start, end = _position(span, window, len(question) + 2)
                row["start_positions"], row["end_positions"] = [start], [end]
                row["is_impossible"] = [int(bool(example.is_impossible))]
            yield row

    def head(self, encoder) -> "keras.Model":
        """A `SpanModel`."""
        from bert_tf.model.task_heads import SpanModel

        return SpanModel(encoder)

    def loss(
        self, batch: Mapping[str, "tf.Tensor"], outputs: Mapping[str, "tf.Tensor"]
    ) -> "tf.Tensor":
        """float32 [B]: the mean of the cross entropies of start and end, over all L positions.

        A position outside the window, which an answer of only white space may have, costs nothing.

        Args:
            batch: `start_positions`, `end_positions` [B]; `input_mask` [B, L].
            outputs: `start_logits`, `end_logits` [B, L].
        """
        import tensorflow as tf

        losses = []
        for name in ("start", "end"):
            logits = tf.cast(outputs[f"{name}_logits"], tf.float32)
            if self.options.mask_padding:
                logits = tf.where(batch["input_mask"] > 0, logits, _MASKED_LOGIT)
            positions = batch[f"{name}_positions"]
            is_inside = (positions >= 0) & (positions < tf.shape(logits)[1])
            log_probs = tf.gather(
                tf.nn.log_softmax(logits), tf.where(is_inside, positions, 0), batch_dims=1
            )
            losses.append(tf.where(is_inside, -log_probs, 0.0))
        return (losses[0] + losses[1]) / 2.0

    def loss_weights(self, batch: Mapping[str, "tf.Tensor"]) -> "tf.Tensor":
        """float32 [B]: each window counts once."""
        import tensorflow as tf

        return tf.ones_like(batch["start_positions"], tf.float32)

    def predict(
        self, examples: Sequence[SpanExample], windows: Windows, tokenizer: Tokenizer
    ) -> list[SpanAnswer]:
        """An answer to each question, from `start_logits` and `end_logits` [F, L].

        Nothing is tokenized but passages that another process encoded, each once: their words, of
        which answers are made, are not among the features.

        Raises:
            ValueError: if the windows are not those of the examples.
        """
        passages, search = passage_tokenizer(tokenizer), self._search()
        logits = [np.asarray(windows.outputs[name]) for name in ("start_logits", "end_logits")]
        features = windows.read_features()
        layouts = [features[name] for name in ("input_mask", "segment_ids")]
        answers: list[SpanAnswer] = []
        text = None
        for example, rows in zip(examples, windows.rows_by_example(), strict=True):
            if text is None or text.context != example.context:
                text = PassageText(example.context, passages, self.options.verbose_logging)
            num_tokens = len(text.tokens.ids)
            spans, passage_start = self._windows(*(each[rows] for each in layouts))
            if num_tokens != (spans[-1].start + spans[-1].length if spans else 0):
                raise ValueError(
                    f"Question {example.id}: its windows are not those of its passage. They were "
                    f"made from other data or settings."
                )
            scores = QuestionScores(
                spans, num_tokens, passage_start, *(each[rows] for each in logits)
            )
            answers.append(search.answer(scores, text))
        _warn_of_empty_passages(examples, windows)
        return answers

    def is_collapsed(self, examples: Sequence[SpanExample], answers: Sequence[SpanAnswer]) -> bool:
        """Whether all questions get the same answer, such as "", though their answers differ."""
        given = {answer.text for answer in answers}
        correct = {example.answers for example in examples}
        return len(given) == 1 and len(correct) > 1

    def _windows(
        self, input_mask: np.ndarray, segment_ids: np.ndarray
    ) -> tuple[tuple[Window, ...], int]:
        """The windows of a question's features [S, L], and where the passage starts in each."""
        if not len(input_mask):
            return (), 0
        passage_start = int(np.argmax(segment_ids[0]))
        windows: list[Window] = []
        start = 0
        for length in (input_mask.sum(axis=1) - passage_start - 1).tolist():  # 1 is for [SEP].
            windows.append(Window(start, length))
            start += min(length, self.options.doc_stride)
        return tuple(windows), passage_start

    def _search(self) -> AnswerSearch:
        options = self.options
        return AnswerSearch(
            n_best_size=options.n_best_size,
            max_answer_length=options.max_answer_length,
            has_null=options.version_2_with_negative,
            null_score_diff_threshold=options.null_score_diff_threshold,
            ignore_padding=options.mask_padding,
            verbose=options.verbose_logging,
        )


def first_three(ids: Sequence[str]) -> str:
    """The first three ids, for a line of the log."""
    return ", ".join(map(str, ids[:3])) + (", ..." if len(ids) > 3 else "")


def _warn_of_empty_passages(examples: Sequence[SpanExample], windows: Windows) -> None:
    empty = [example.id for example, n in zip(examples, windows.counts, strict=True) if not n]
    if empty:
        logger.warning(
            "%d questions have a passage without text, and get no answer: %s",
            *(len(empty), first_three(empty)),
        )


def _answer_span(
    example: SpanExample, passage: PassageTokens, passages: PassageTokenizer
) -> tuple[int, int] | None:
    """The first and last token of the answer in the passage; None if there is none."""
    if example.is_impossible:
        return None
    answer_ids = passages.encode(example.answers[0])
    return answer_tokens(passage, example.first_word, example.last_word, answer_ids)


def _position(span: tuple[int, int] | None, window: Window, passage_start: int) -> tuple[int, int]:
    """An answer's positions in a window; (0, 0), which is [CLS], if it is not wholly inside."""
    if span is None or span[0] < window.start or span[1] >= window.start + window.length:
        return 0, 0
    offset = passage_start - window.start
    return span[0] + offset, span[1] + offset
