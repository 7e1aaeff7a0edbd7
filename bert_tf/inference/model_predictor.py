"""Asks a model in words: Python's tokenizer, batches of like length, the model's graph.

texts ──> ids ──> rows of like length ──> model ──> scores ──> answers, in the order of the texts
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import tensorflow as tf

from bert_tf.inference.answers import Answer, AnswerSpan, ClassAnswer, TaggedWord
from bert_tf.inference.length_runner import LengthRunner, Row
from bert_tf.inference.loaded_model import ServedModel
from bert_tf.inference.mask_filler import FilledSentence, MaskFiller
from bert_tf.inference.pooling import POOLS, pooled
from bert_tf.model.feature_model import named_outputs
from bert_tf.spans.answers import QuestionScores, SpanAnswer
from bert_tf.spans.offsets import OffsetPassage
from bert_tf.spans.windows import divide_passage
from bert_tf.tasks.classification import softmax
from bert_tf.text.packing import pack, pack_truncated


class ModelPredictor:
    """A model, asked for texts.

    Args:
        served: the model.
        batch_size: texts, or windows of them, that go through it together.
        pool: the vectors that are given where nobody says which.

    It may be used from several threads at once.
    """

    def __init__(self, served: ServedModel, batch_size: int = 32, pool: str = "mean"):
        self.served = served
        self.pool = pool
        self.kind = served.kind
        self.inputs = served.inputs
        self._batch_size = batch_size
        self._tokenizer = served.tokenizer.exact
        special = self._tokenizer.special_ids
        self._cls, self._sep = special.cls, special.sep
        self._runners = {
            "outputs": self._runner(served.model, _WANTED.get(served.kind, ())),
            "next_sentence": self._runner(served.model, ("next_sentence_logits",)),
            **{pool: self._pool_runner(pool) for pool in POOLS},
        }
        self._filler = (
            MaskFiller(served.model, self._tokenizer) if served.kind == "masked_lm" else None
        )

    def _runner(self, model, names: Sequence[str]) -> LengthRunner:
        def step(batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            if "next_sentence_logits" in names:  # The other head wants places to look at.
                batch = {**batch, "masked_lm_positions": tf.zeros_like(batch["input_ids"][:, :1])}
            outputs = named_outputs(model(model.select_features(batch), training=False))
            return {name: outputs[name] for name in names}

        return LengthRunner(step, self._batch_size, self.served.max_seq_length)

    def _pool_runner(self, pool: str) -> LengthRunner:
        def step(batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            return {"vectors": pooled(pool, self.served.encoder(batch), batch["input_mask"])}

        return LengthRunner(step, self._batch_size, self.served.max_seq_length)

    def has(self, start: str) -> bool:
        """Whether the model has the weights whose names begin so."""
        head = start.startswith("cls/") and self.kind != "masked_lm"
        return not head and self.served.has(start)

    def classify(self, examples: Sequence[tuple[str, ...]]) -> list[ClassAnswer]:
        """The class of each text, or pair of texts."""
        answers = []
        for row in softmax(self._logits(examples)):
            best = int(np.argmax(row))
            probabilities = dict(zip(self.served.labels, row.tolist(), strict=True))
            answers.append(ClassAnswer(self.served.labels[best], float(row[best]), probabilities))
        return answers

    def rate(self, examples: Sequence[tuple[str, ...]]) -> list[float]:
        """The number that a regression gives each text, or pair of texts."""
        return self._logits(examples)[:, 0].tolist()

    def _logits(self, examples: Sequence[tuple[str, ...]]) -> np.ndarray:
        outputs = self._runners["outputs"].run(self._rows(examples))
        return np.stack([output["logits"] for output in outputs])

    def _rows(self, examples: Sequence[tuple[str, ...]]) -> list[Row]:
        texts_a = [texts[0] for texts in examples]
        texts_b = [texts[1] if len(texts) > 1 else "" for texts in examples]
        ids_a, ids_b = map(self.served.tokenizer.encode_batch, (texts_a, texts_b))
        return [
            Row(*pack_truncated(a, b, self._cls, self._sep, self.served.max_seq_length))
            for a, b in zip(ids_a, ids_b, strict=True)
        ]

    def tag(self, texts: Sequence[str]) -> list[tuple[TaggedWord, ...]]:
        """The words of each text with their classes, as far as the model reads."""
        longest = self.served.max_seq_length - 2
        pieces, rows = [], []
        for text in texts:
            tokens, offsets = self._tokenizer.tokenize_with_offsets(text)
            tokens, offsets = tokens[:longest], offsets[:longest]
            ids = self._tokenizer.convert_tokens_to_ids(tokens)
            pieces.append((tokens, offsets))
            rows.append(Row(*pack(ids, [], self._cls, self._sep)))
        outputs = self._runners["outputs"].run(rows)
        return [
            self._tagged(text, *of_text, output["logits"])
            for text, of_text, output in zip(texts, pieces, outputs, strict=True)
        ]

    def _tagged(
        self,
        text: str,
        tokens: Sequence[str],
        offsets: Sequence[tuple[int, int]],
        logits: np.ndarray,
    ) -> tuple[TaggedWord, ...]:
        firsts = [
            place for place, token in enumerate(tokens) if not self._tokenizer.continues_word(token)
        ]
        words = []
        for first, following in pairwise([*firsts, len(tokens)]):
            probabilities = softmax(logits[1 + first])
            best = int(np.argmax(probabilities))
            start, end = offsets[first][0], offsets[following - 1][1]
            words.append(
                TaggedWord(
                    text[start:end],
                    self.served.labels[best],
                    float(probabilities[best]),
                    start,
                    end,
                )
            )
        return tuple(words)

    def answer(self, questions: Sequence[tuple[str, str]]) -> list[Answer]:
        """The answer to each (question, context), however long the context is."""
        options, longest = self.served.span, self.served.max_seq_length
        search = self.served.search
        passages, windows, starts, rows = [], [], [], []
        for question, context in questions:
            question_ids = self._tokenizer.encode(question)[: options.max_query_length]
            passage = OffsetPassage(context, self._tokenizer)
            of_passage = divide_passage(
                len(passage.ids), len(question_ids), longest, options.doc_stride
            )
            for window in of_passage:
                ids = passage.ids[window.start : window.start + window.length]
                rows.append(Row(*pack(question_ids, ids, self._cls, self._sep)))
            passages.append(passage)
            windows.append(of_passage)
            starts.append(len(question_ids) + 2)
        outputs = iter(self._runners["outputs"].run(rows))
        answers = []
        for passage, of_passage, start in zip(passages, windows, starts, strict=True):
            logits = [next(outputs) for _ in of_passage]
            scores = QuestionScores(
                of_passage,
                len(passage.ids),
                start,
                stacked([output["start_logits"] for output in logits]),
                stacked([output["end_logits"] for output in logits]),
            )
            answers.append(_with_places(search.answer(scores, passage), passage))
        return answers

    def fill(self, sentences: Sequence[str], top_k: int) -> list[FilledSentence]:
        """The likeliest word pieces for every [MASK] of every sentence."""
        return self._filler.fill(sentences, top_k)

    def next_sentence(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The probability that the second text follows the first, of each pair."""
        outputs = self._runners["next_sentence"].run(self._rows(pairs))
        return [float(softmax(output["next_sentence_logits"])[0]) for output in outputs]

    def embed(self, texts: Sequence[str], pool: str) -> list[np.ndarray]:
        """The vectors of each text: float32 [H], or [tokens, H] with `tokens`."""
        rows = self._rows([(text,) for text in texts])
        outputs = self._runners[pool].run(rows)
        if pool != "tokens":
            return [output["vectors"] for output in outputs]
        return [
            output["vectors"][: len(row.token_ids)]
            for output, row in zip(outputs, rows, strict=True)
        ]


def _with_places(answer: SpanAnswer, passage: OffsetPassage) -> Answer:
    """The answer with the places in the passage of all that was found."""
    nbest = tuple(
        AnswerSpan(entry.text, entry.probability, *passage.span(*span))
        for entry, span in zip(answer.nbest, answer.spans, strict=True)
    )
    best = nbest[answer.place]
    return Answer(best.text, best.probability, best.start, best.end, nbest, answer.null_odds)


# Kind -> the outputs that its answers are made from.
_WANTED: dict[str, tuple[str, ...]] = {
    "classification": ("logits",),
    "regression": ("logits",),
    "tagging": ("logits",),
    "span": ("start_logits", "end_logits"),
}


def stacked(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Logits of windows that went through the model in batches of different lengths: [S, L]."""
    longest = max((len(row) for row in rows), default=0)
    scores = np.full((len(rows), longest), -np.inf, np.float32)
    for number, row in enumerate(rows):
        scores[number, : len(row)] = row
    return scores
