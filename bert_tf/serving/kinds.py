"""What each kind of served model says, in the graph.

Names of outputs are the keys of `outputs`, which says what they are; N texts are asked about in one
call. Where one text has fewer words, masks or answers than another, the rest of its row is "" and
0, or -1 for places.
"""

from typing import ClassVar

import numpy as np
import tensorflow as tf

from bert_tf.inference.loaded_model import PAIR, ServedModel
from bert_tf.inference.mask_filler import MASK, never_filled
from bert_tf.inference.pooling import POOLS, pooled
from bert_tf.serving.signatures import Batch, ServedGraph, as_bytes, function
from bert_tf.spans.graph_search import SpanSearch
from bert_tf.text.graph_packing import pack_texts, pack_windows
from bert_tf.text.vocabulary import is_continuation

# Windows of passages that go through the model together.
_WINDOWS_PER_BATCH = 32


class ClassificationGraph(ServedGraph):
    """A class for each text, or pair of texts."""

    outputs: ClassVar = {
        "label": "string [N]: the likeliest class",
        "probability": "float32 [N]: its probability",
        "labels": "string [N, C]: all classes, in the order of the model's outputs",
        "probabilities": "float32 [N, C]: theirs",
    }

    def __init__(self, served: ServedModel, half: bool = False):
        super().__init__(served, half)
        self.labels = as_bytes(served.labels)

    def of_ids(self, batch: Batch) -> Batch:
        probabilities = tf.nn.softmax(tf.cast(self.weights(batch)["logits"], tf.float32))
        num_texts = tf.shape(probabilities)[0]
        return {
            "label": tf.gather(self.labels, tf.argmax(probabilities, axis=-1)),
            "probability": tf.reduce_max(probabilities, axis=-1),
            "labels": tf.repeat(tf.constant(self.labels[np.newaxis]), num_texts, axis=0),
            "probabilities": probabilities,
        }

    def signatures(self):
        """The usual ones, and `classify` under the names that TensorFlow Serving's API wants."""

        def classify(examples: tf.Tensor) -> Batch:
            answers = self.of_text_examples(examples)
            return {"classes": answers["labels"], "scores": answers["probabilities"]}

        spec = tf.TensorSpec([None], tf.string, "inputs")
        return {**super().signatures(), "classify": function(classify, [spec])}


class RegressionGraph(ServedGraph):
    """A number for each text, or pair of texts."""

    outputs: ClassVar = {"value": "float32 [N]: the number"}

    def of_ids(self, batch: Batch) -> Batch:
        return {"value": tf.cast(self.weights(batch)["logits"][:, 0], tf.float32)}

    def signatures(self):
        """The usual ones, and `regress` under the names that TensorFlow Serving's API wants."""

        def regress(examples: tf.Tensor) -> Batch:
            return {"outputs": self.of_text_examples(examples)["value"]}

        spec = tf.TensorSpec([None], tf.string, "inputs")
        return {**super().signatures(), "regress": function(regress, [spec])}


class TaggingGraph(ServedGraph):
    """A class for each word of a text, W of them: that of the word's first piece."""

    outputs: ClassVar = {
        "words": "string [N, W]: the words, as they stand in the text",
        "labels": "string [N, W]: the likeliest class of each",
        "probabilities": "float32 [N, W]: theirs",
        "starts": "int32 [N, W]: where each starts in the text, in characters",
        "ends": "int32 [N, W]: where each ends",
    }

    def __init__(self, served: ServedModel, half: bool = False):
        super().__init__(served, half)
        self.labels = as_bytes(served.labels)
        vocab = served.tokenizer.exact.vocab
        self.is_continuation = np.array(list(map(is_continuation, vocab)), bool)

    def of_texts(self, *texts: tf.Tensor) -> Batch:
        (text,) = texts
        text = self.tokenizer.valid_text(text)
        ids, starts, ends = self.tokenizer.tokenize_with_offsets(text)
        longest = self.max_seq_length - 2
        ids, starts, ends = (ragged[:, :longest] for ragged in (ids, starts, ends))
        batch = pack_texts(ids, None, self.cls, self.sep, self.max_seq_length)
        labels, probabilities = self._of_tokens(batch)
        # A row begins with the first piece of a word, so a word's last piece is the one before the
        # next first piece, of whatever row.
        is_first = tf.logical_not(tf.gather(self.is_continuation, ids.flat_values))
        is_last = tf.concat([is_first[1:], tf.ones_like(is_first[:1])], axis=0)
        places = tf.range(tf.size(is_first)) - tf.repeat(
            tf.cast(ids.row_starts(), tf.int32), tf.cast(ids.row_lengths(), tf.int32)
        )
        rows = tf.cast(ids.value_rowids(), tf.int32)
        tokens = tf.boolean_mask(tf.stack([rows, places + 1], axis=1), is_first)  # After [CLS].
        word_starts = tf.boolean_mask(starts.flat_values, is_first)
        word_ends = tf.boolean_mask(ends.flat_values, is_last)
        of_row = tf.boolean_mask(rows, is_first)
        words = tf.strings.substr(
            tf.gather(text, of_row), word_starts, word_ends - word_starts, unit="UTF8_CHAR"
        )
        num_rows = tf.size(text)

        def dense(values: tf.Tensor, default) -> tf.Tensor:
            ragged = tf.RaggedTensor.from_value_rowids(values, of_row, num_rows, validate=False)
            return ragged.to_tensor(default)

        return {
            "words": dense(words, ""),
            "labels": dense(tf.gather_nd(labels, tokens), ""),
            "probabilities": dense(tf.gather_nd(probabilities, tokens), 0.0),
            "starts": dense(word_starts, -1),
            "ends": dense(word_ends, -1),
        }

    def of_ids(self, batch: Batch) -> Batch:
        """The class of every place [N, L]: special tokens and padding have one, too."""
        labels, probabilities = self._of_tokens(batch)
        return {"labels": labels, "probabilities": probabilities}

    def _of_tokens(self, batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        probabilities = tf.nn.softmax(tf.cast(self.weights(batch)["logits"], tf.float32))
        labels = tf.gather(self.labels, tf.argmax(probabilities, axis=-1))
        return labels, tf.reduce_max(probabilities, axis=-1)


class SpanGraph(ServedGraph):
    """The answer to a question, out of a context of any length, which is read in windows."""

    outputs: ClassVar = {
        "answer": "string [N]: the best answer; empty for none",
        "probability": "float32 [N]: its probability among the answers that were looked at",
        "start": "int32 [N]: where it starts in the context, in characters; -1 for no answer",
        "end": "int32 [N]: where it ends",
        "score": "float32 [N]: the sum of the answer's two logits",
        "nbest_answers": "string [N, n]: the best answers, the best one first",
        "nbest_probabilities": "float32 [N, n]: theirs",
        "nbest_starts": "int32 [N, n]: where each starts",
        "nbest_ends": "int32 [N, n]: where each ends",
        "null_odds": "float32 [N]: the score of no answer above that of the best one; only of "
        "models that know questions without an answer",
    }

    def __init__(self, served: ServedModel, half: bool = False):
        super().__init__(served, half)
        self.max_query_length = served.span.max_query_length
        self.doc_stride = served.span.doc_stride
        self.search = SpanSearch(served.search)

    def of_texts(self, *texts: tf.Tensor) -> Batch:
        question, context = texts
        context = self.tokenizer.valid_text(context)
        question_ids = self.ids_of(question)[:, : self.max_query_length]
        ids, starts, ends = self.tokenizer.tokenize_with_offsets(context)
        windows = pack_windows(
            question_ids, ids, self.cls, self.sep, self.max_seq_length, self.doc_stride
        )
        return self.search(
            **self._scores(windows.features),
            owner=windows.owner,
            window_start=windows.window_start,
            window_length=windows.window_length,
            passage_start=windows.passage_start,
            contexts=context,
            starts=starts,
            ends=ends,
        )

    def of_ids(self, batch: Batch) -> Batch:
        """The scores of every place [N, L], as the original gives them."""
        outputs = self.weights(batch)
        return {name: outputs[name] for name in ("start_logits", "end_logits")}

    def _scores(self, batch: Batch) -> Batch:
        """The scores of all windows, some windows at a time: a long context has hundreds."""
        num_windows, length = tf.unstack(tf.shape(batch["input_ids"]))
        # Without any window there still is a place to look at.
        batch = {
            n: tf.pad(row, [[0, 0], [0, tf.maximum(0, 1 - length)]]) for n, row in batch.items()
        }
        num_batches = tf.maximum(1, -(-num_windows // _WINDOWS_PER_BATCH))
        parts = [
            tf.TensorArray(tf.float32, num_batches, infer_shape=False, element_shape=[None, None])
            for _ in range(2)
        ]

        def run(number, starts, ends):
            first = number * _WINDOWS_PER_BATCH
            scores = self.of_ids(
                {n: row[first : first + _WINDOWS_PER_BATCH] for n, row in batch.items()}
            )
            starts = starts.write(number, tf.cast(scores["start_logits"], tf.float32))
            ends = ends.write(number, tf.cast(scores["end_logits"], tf.float32))
            return number + 1, starts, ends

        _, starts, ends = tf.while_loop(
            lambda number, *_: number < num_batches, run, (0, *parts), parallel_iterations=1
        )
        return {"start_logits": starts.concat(), "end_logits": ends.concat()}


class MaskedLmGraph(ServedGraph):
    """The likeliest word pieces behind each [MASK] of a text, M of them; what follows a text."""

    outputs: ClassVar = {
        "tokens": "string [N, T]: the text's word pieces",
        "positions": "int32 [N, M]: which of them are [MASK]",
        "candidates": "string [N, M, k]: the likeliest pieces behind each, the best one first",
        "probabilities": "float32 [N, M, k]: theirs",
    }

    def __init__(self, served: ServedModel, half: bool = False, top_k: int = 5):
        super().__init__(served, half)
        vocab = served.tokenizer.exact.vocab
        self.top_k = top_k
        self.pieces = as_bytes(list(vocab))
        never = np.zeros(served.config.vocab_size, np.float32)
        never[[*never_filled(vocab), *range(len(vocab), served.config.vocab_size)]] = -np.inf
        self.never = never
        self.has_masked_lm = served.has("cls/predictions")
        self.has_next_sentence = served.has("cls/seq_relationship") and served.has("bert/pooler")

    def of_texts(self, *texts: tf.Tensor) -> Batch:
        return self.of_ids(
            pack_texts(self._ids(*texts), None, self.cls, self.sep, self.max_seq_length)
        )

    def _ids(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Word pieces, where [MASK] stays whole: to the tokenizer it is three tokens."""
        # A text that is "" has no part in tf.strings.split; with a space before it, it has one.
        parts = tf.strings.split(tf.strings.join([" ", texts]), MASK)  # [N, (parts)]
        ids = self.ids_of(parts.flat_values).with_row_splits_dtype(tf.int32)  # [P, (T)]
        starts = tf.cast(parts.row_starts(), tf.int32)
        is_first = tf.scatter_nd(
            starts[:, tf.newaxis], tf.ones_like(starts), [tf.size(parts.flat_values)]
        )
        mask = tf.RaggedTensor.from_row_lengths(
            tf.fill([tf.reduce_sum(1 - is_first)], self.mask), 1 - is_first, validate=False
        )
        together = tf.concat([mask, ids], axis=1)
        return tf.RaggedTensor.from_row_splits(
            together, tf.cast(parts.row_splits, together.row_splits.dtype), validate=False
        ).merge_dims(1, 2)

    def of_ids(self, batch: Batch) -> Batch:
        input_ids = batch["input_ids"]
        places = tf.where(input_ids == self.mask)
        positions = tf.RaggedTensor.from_value_rowids(
            tf.cast(places[:, 1], tf.int32), places[:, 0], tf.shape(input_ids, tf.int64)[0]
        )
        num_masks = tf.cast(positions.bounding_shape()[1], tf.int32)
        is_mask = tf.sequence_mask(positions.row_lengths(), num_masks)[:, :, tf.newaxis]
        # The model always looks at one place at least.
        looked_at = positions.to_tensor(shape=tf.stack([-1, tf.maximum(num_masks, 1)]))
        outputs = self.weights({**batch, "masked_lm_positions": looked_at})
        log_probs = tf.nn.log_softmax(outputs["masked_lm_logits"][:, :num_masks])
        log_probs += self.never  # [N, M, V]
        best, numbers = tf.math.top_k(log_probs, self.top_k)
        # Between [CLS] and the [SEP] at the end.
        lengths = tf.reduce_sum(batch["input_mask"], axis=1) - 2
        tokens = input_ids[:, 1:-1]
        is_token = tf.sequence_mask(lengths, tf.shape(tokens)[1])
        return {
            "tokens": tf.where(is_token, self._pieces(tokens), ""),
            "positions": positions.to_tensor(0) - 1,  # [CLS] does not count.
            "candidates": tf.where(is_mask, self._pieces(numbers), ""),
            "probabilities": tf.where(is_mask, tf.exp(best), 0.0),
        }

    def _pieces(self, ids: tf.Tensor) -> tf.Tensor:
        # A row of the embeddings that no token has is never among the best.
        return tf.gather(self.pieces, tf.minimum(ids, len(self.pieces) - 1))

    def _next_sentence(self, text_a: tf.Tensor, text_b: tf.Tensor) -> Batch:
        ids = map(self.ids_of, (text_a, text_b))
        batch = pack_texts(*ids, self.cls, self.sep, self.max_seq_length)
        batch["masked_lm_positions"] = tf.zeros_like(batch["input_ids"][:, :1])
        return {"probability": tf.nn.softmax(self.weights(batch)["next_sentence_logits"])[:, 0]}

    def signatures(self):
        """The usual ones if it fills masks, and `next_sentence`."""
        signatures = super().signatures() if self.has_masked_lm else {}
        if self.has_next_sentence:
            texts = [tf.TensorSpec([None], tf.string, name) for name in PAIR]
            signatures["next_sentence"] = function(self._next_sentence, texts)
            signatures.setdefault("serving_default", signatures["next_sentence"])
        return signatures


class EncoderGraph(ServedGraph):
    """Vectors of width H: one for a text, or one for each of its T tokens, [CLS] and [SEP] too."""

    outputs: ClassVar = {
        "embedding": "float32 [N, H]: the text's vector, or [N, T, H]: its tokens'",
        "num_tokens": "int32 [N]: how many tokens the text has",
    }

    def __init__(self, served: ServedModel, half: bool = False, pool: str = "mean"):
        super().__init__(served, half)
        self.pool = pool
        self.pools = [name for name in POOLS if name != "pooled" or served.has("bert/pooler")]

    def of_ids(self, batch: Batch) -> Batch:
        return self._embedding(self.pool, batch)

    def _embedding(self, pool: str, batch: Batch) -> Batch:
        vectors = pooled(pool, self.weights(batch), batch["input_mask"])
        return {"embedding": vectors, "num_tokens": tf.reduce_sum(batch["input_mask"], axis=1)}

    def signatures(self):
        """The usual ones, and one for each way to make vectors of a text."""

        def of_texts(pool: str):
            def call(text):
                ids = self.ids_of(text)
                batch = pack_texts(ids, None, self.cls, self.sep, self.max_seq_length)
                return self._embedding(pool, batch)

            return call

        text = [tf.TensorSpec([None], tf.string, name) for name in self.inputs]
        by_pool = {pool: function(of_texts(pool), text) for pool in self.pools}
        return {**super().signatures(), **by_pool}


GRAPHS: dict[str, type[ServedGraph]] = {
    "classification": ClassificationGraph,
    "regression": RegressionGraph,
    "tagging": TaggingGraph,
    "span": SpanGraph,
    "masked_lm": MaskedLmGraph,
    "encoder": EncoderGraph,
}
