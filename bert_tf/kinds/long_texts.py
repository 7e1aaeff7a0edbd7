"""LongTextModel: answers about texts by the logits of whole texts or, if long, of their windows."""

import abc
import itertools

import numpy as np
import tensorflow as tf

from bert_tf.kinds.length_runner import Batch, by_row, length_runner
from bert_tf.kinds.text_model import TextModel
from bert_tf.kinds.window_batches import in_window_batches
from bert_tf.spans.long_texts import (
    LongTextOptions,
    aggregated,
    check_window_length,
    pack_pair_windows,
)
from bert_tf.text.graph_packing import pack_pair_windows as pack_in_graph


class LongTextModel(TextModel):
    """Computes answers from logits, float32 [N, C], by `of_logits`.

    With the option `long_texts=windows`, they are joined from those of the text's windows.
    """

    Options = LongTextOptions

    def __init__(self, loaded, batch_size=32, compute=None):
        super().__init__(loaded, batch_size, compute)
        self.long_texts = loaded.options or self.Options()
        if self.long_texts.has_windows:
            check_window_length(loaded.max_seq_length)
            logits_of = lambda batch: {"logits": self.logits(batch)}  # noqa: E731
            self.run_windows = length_runner(logits_of, batch_size, loaded.max_seq_length)

    @abc.abstractmethod
    def of_logits(self, logits: tf.Tensor) -> Batch:
        """Returns the outputs for the logits of texts, float32 [N, C]."""

    def of_ids(self, batch):
        return self.of_logits(self.logits(batch))

    def logits(self, batch: Batch) -> tf.Tensor:
        return tf.cast(self.compute(batch)["logits"], tf.float32)

    def predict(self, examples):
        options = self.long_texts
        if not options.has_windows:
            return super().predict(examples)
        encode, stride = self.loaded.tokenizer.encode, options.window_stride
        how = self.special.cls, self.special.sep, self.loaded.max_seq_length, stride
        texts = [[*map(encode, example), []][:2] for example in examples]
        packed = [pack_pair_windows(*pair, *how) for pair in texts]
        self.warn_of_truncated(sum(is_cut for _, is_cut in packed), len(packed))
        outputs = iter(self.run_windows([row for rows, _ in packed for row in rows]))
        logits = [
            aggregated(np.stack([o["logits"] for o in itertools.islice(outputs, len(rows))]), how)
            for rows, _ in packed
            for how in [options.window_aggregate]
        ]
        answers = by_row(self.of_logits(tf.constant(np.stack(logits))))
        return [self.answer_of(*both) for both in zip(examples, answers, strict=True)]

    def of_texts(self, tokenizer, *texts):
        options = self.long_texts
        if not options.has_windows:
            return super().of_texts(tokenizer, *texts)
        ids_a, *rest = map(tokenizer.tokenize, texts)
        ids_b = rest[0] if rest else ids_a[:, :0]
        with tf.control_dependencies([self.as_many(ids_a, ids_b)]):
            windows = pack_in_graph(
                ids_a,
                ids_b,
                self.special.cls,
                self.special.sep,
                self.loaded.max_seq_length,
                options.window_stride,
            )
        empty = tf.zeros([0, self.loaded.model.num_labels])
        logits = in_window_batches(self.logits, windows.features, empty)  # [S, C]
        if options.window_aggregate == "first":
            return self.of_logits(tf.boolean_mask(logits, windows.number == 0))
        join = {"mean": tf.math.segment_mean, "max": tf.math.segment_max}
        return self.of_logits(join[options.window_aggregate](logits, windows.owner))
