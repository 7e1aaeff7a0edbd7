"""Tasks of one kind: the answer to a question is a part of a passage, or there is none.

    question, passage --> [CLS] question [SEP] window [SEP] --> BERT --> two scores for each token:
                          one or several windows                          starts, ends here

A task of this kind is a data set: a reader of its files, its official figures and the files of its
answers. Everything else is here. The parts: `span_windows.py`, `span_answers.py`.

Source: google-research/bert, run_squad.py.
"""

import dataclasses
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from bert_tf.data.schema import Feature
from bert_tf.settings.setting import check_whole_numbers, setting
from bert_tf.tasks.span_answers import AnswerSearch, PassageText, QuestionScores, SpanAnswer
from bert_tf.tasks.span_windows import (
    NUM_SPECIAL_TOKENS,
    PassageTokenizer,
    PassageTokens,
    answer_tokens,
    divide_passage,
    passage_tokenizer,
)
from bert_tf.text.packing import Window, pack
from bert_tf.text.tokenization import FullTokenizer

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

logger = logging.getLogger(__name__)

# The split whose features say where the answer is.
TRAIN = "train"
# Instead of the scores of padding, where it may not matter: of them, the softmax has 0.
_NO_SCORE = -1e4


@dataclasses.dataclass(frozen=True)
class SpanOptions:
    """What can be set for every task of this kind.

    Raises:
        ValueError: for values that nothing can be answered with.
    """

    doc_stride: int = setting(
        128, "How many tokens lie between the starts of two windows of a long passage."
    )
    max_query_length: int = setting(64, "Tokens of a question at most; it loses its end.")
    n_best_size: int = setting(20, "How many answers nbest_predictions.json has to a question.")
    max_answer_length: int = setting(30, "Tokens of an answer at most.")
    version_2_with_negative: bool = setting(
        False, "Whether there are questions without an answer, as in SQuAD 2.0."
    )
    null_score_diff_threshold: float = setting(
        0.0, "There is no answer if its score is above that of the best answer by more than this."
    )
    verbose_logging: bool = setting(
        False, "Whether to log each answer that cannot be found in its passage."
    )
    mask_padding: bool = setting(
        False,
        "Whether padding is no possible answer, so that nothing depends on it and batches are as "
        "long as they must be. In the original it is one.",
    )

    def __post_init__(self):
        lowest = {"doc_stride": 1, "max_query_length": 0, "n_best_size": 1, "max_answer_length": 1}
        check_whole_numbers(self, lowest)


class SpanExample(NamedTuple):
    """A question to a passage. The questions to one passage share its text.

    id: of the question, in the files of answers.
    question, context: texts.
    answers: the right answers' texts, () if there is none; None where they are not known.
    is_impossible: whether there is no answer; None where the data do not say so.
    first_word, last_word: of the answer in the context; -1 if there is none. For training.
    """

    id: str
    question: str
    context: str
    answers: tuple[str, ...] | None
    is_impossible: bool | None = None
    first_word: int = -1
    last_word: int = -1


class SpanData(Protocol):
    """A data set: what a task of this kind adds. It can be pickled."""

    def splits(self, purpose: str) -> tuple[str, ...]:
        """See `bert_tf.tasks.task.Task`; what is trained on is TRAIN."""

    def sources(self, split: str) -> list[str]:
        """See `bert_tf.tasks.task.Task`."""

    def read(self, split: str) -> Sequence[SpanExample]:
        """See `bert_tf.tasks.task.Task`."""

    def score(
        self, examples: Sequence[SpanExample], answers: Sequence[SpanAnswer]
    ) -> dict[str, float]:
        """See `bert_tf.tasks.task.Task`."""

    def write(
        self,
        split: str,
        examples: Sequence[SpanExample],
        answers: Sequence[SpanAnswer],
        folder: str,
    ) -> list[str]:
        """See `bert_tf.tasks.task.Task`."""


class SpanExtraction:
    """A task whose answers are parts of a passage.

    Args:
        name: see `bert_tf.tasks.task.Task`, as for all attributes.
        options: how questions and passages become windows, and scores answers.
        data: the data set.
        metric: the figure of its `score` that tells the better of two models.
    """

    kind = "span"
    inputs = ("question", "context")
    labels = ()
    default_seq_length = 384
    output_names = ("start_logits", "end_logits")
    unused_weights = ("bert/pooler",)

    def __init__(self, name: str, options: SpanOptions, data: SpanData, metric: str):
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
        """The original's features; `is_impossible` is there, but no model is fed on it."""
        shortest = self.options.max_query_length + NUM_SPECIAL_TOKENS + 1
        if max_seq_length < shortest:
            raise ValueError(
                f"A sequence needs room for a question of max_query_length = "
                f"{self.options.max_query_length} tokens, {NUM_SPECIAL_TOKENS} special ones and a "
                f"part of the passage: max_seq_length must be at least {shortest}. "
                f"Received: {max_seq_length}"
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
        self,
        examples: Sequence[SpanExample],
        split: str,
        tokenizer: FullTokenizer,
        max_seq_length: int,
    ) -> Iterator[dict[str, Sequence[int]]]:
        """One dict of features a window. A passage without tokens has no window.

        Source: google-research/bert, run_squad.py, `convert_examples_to_features`.
        """
        passages = passage_tokenizer(tokenizer)
        cls, sep = tokenizer.convert_tokens_to_ids(["[CLS]", "[SEP]"])
        for example in examples:
            passage = passages.tokens(example.context)
            question = self._question(example, passages)
            span = _answer_span(example, passage, passages) if split == TRAIN else None
            for window in self._windows(passage, len(question), max_seq_length):
                tokens = passage.ids[window.start : window.start + window.length]
                input_ids, segment_ids = pack(question, tokens, cls, sep)
                row = {"input_ids": input_ids, "segment_ids": segment_ids}
                if split == TRAIN:
                    start, end = _place(span, window, len(question) + 2)
                    row["start_positions"], row["end_positions"] = [start], [end]
                    row["is_impossible"] = [int(bool(example.is_impossible))]
                yield row

    def head(self, config) -> "keras.Model":
        """A `SpanModel`."""
        from bert_tf.model.heads import SpanModel

        return SpanModel(config)

    def loss(
        self, batch: Mapping[str, "tf.Tensor"], outputs: Mapping[str, "tf.Tensor"]
    ) -> "tf.Tensor":
        """float32 [B]: the mean of the cross entropies of start and end, over all L positions.

        A place outside of the window, as an answer of white space only may have it, costs nothing.

        Args:
            batch: `start_positions`, `end_positions` [B]; `input_mask` [B, L].
            outputs: `start_logits`, `end_logits` [B, L].
        """
        import tensorflow as tf

        losses = []
        for name in ("start", "end"):
            logits = tf.cast(outputs[f"{name}_logits"], tf.float32)
            if self.options.mask_padding:
                logits = tf.where(batch["input_mask"] > 0, logits, _NO_SCORE)
            places = batch[f"{name}_positions"]
            is_inside = (places >= 0) & (places < tf.shape(logits)[1])
            log_probs = tf.gather(
                tf.nn.log_softmax(logits), tf.where(is_inside, places, 0), batch_dims=1
            )
            losses.append(tf.where(is_inside, -log_probs, 0.0))
        return (losses[0] + losses[1]) / 2.0

    def predict(
        self,
        examples: Sequence[SpanExample],
        outputs: Mapping[str, np.ndarray],
        tokenizer: FullTokenizer,
        max_seq_length: int,
    ) -> list[SpanAnswer]:
        """An answer to each question, from `start_logits` and `end_logits` [F, L].

        F is the number of all examples' windows. L may be less than `max_seq_length`, but all
        tokens have their scores.

        Raises:
            ValueError: if there are more or fewer windows than outputs.
        """
        passages, search = passage_tokenizer(tokenizer), self._search()
        start_logits, end_logits = (np.asarray(outputs[name]) for name in self.output_names)
        answers: list[SpanAnswer] = []
        without_windows: list[str] = []
        row, text = 0, None
        for example in examples:
            if text is None or text.context != example.context:
                text = PassageText(example.context, passages, self.options.verbose_logging)
            num_question_tokens = len(self._question(example, passages))
            windows = self._windows(text.tokens, num_question_tokens, max_seq_length)
            rows = slice(row, row + len(windows))
            row += len(windows)
            if row > len(start_logits):
                break
            scores = QuestionScores(
                windows,
                len(text.tokens.ids),
                num_question_tokens + 2,
                start_logits[rows],
                end_logits[rows],
            )
            answers.append(search.answer(scores, text))
            if not windows:
                without_windows.append(example.id)
        if row != len(start_logits) or len(answers) < len(examples):
            raise ValueError(
                f"There are outputs of {len(start_logits)} windows, which are not those of the "
                f"{len(examples)} questions: they were made from other data or settings."
            )
        if without_windows:
            logger.warning(
                "%d questions are to a passage without text, and have no answer: %s",
                len(without_windows),
                first_three(without_windows),
            )
        return answers

    def is_collapsed(self, examples: Sequence[SpanExample], answers: Sequence[SpanAnswer]) -> bool:
        """Whether all questions get the same answer, "" for example, though they have others."""
        given = {answer.text for answer in answers}
        right = {example.answers for example in examples}
        return len(given) == 1 and len(right) > 1

    def _question(self, example: SpanExample, passages: PassageTokenizer) -> list[int]:
        return passages.encode(example.question)[: self.options.max_query_length]

    def _windows(
        self, passage: PassageTokens, num_question_tokens: int, max_seq_length: int
    ) -> tuple[Window, ...]:
        return divide_passage(
            len(passage.ids), num_question_tokens, max_seq_length, self.options.doc_stride
        )

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
    """The first three, for a line of the log."""
    return ", ".join(map(str, ids[:3])) + (", ..." if len(ids) > 3 else "")


def _answer_span(
    example: SpanExample, passage: PassageTokens, passages: PassageTokenizer
) -> tuple[int, int] | None:
    """The first and last token of the answer in the passage; None if there is none."""
    if example.is_impossible:
        return None
    answer_ids = passages.encode(example.answers[0])
    return answer_tokens(passage, example.first_word, example.last_word, answer_ids)


def _place(span: tuple[int, int] | None, window: Window, passage_start: int) -> tuple[int, int]:
    """Where an answer is in a window: (0, 0), which is [CLS], if it is not wholly in it."""
    if span is None or span[0] < window.start or span[1] >= window.start + window.length:
        return 0, 0
    offset = passage_start - window.start
    return span[0] + offset, span[1] + offset
