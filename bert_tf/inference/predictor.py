"""Predictor: a model, loaded once, and asked in words as often as you like.

    predictor = bert_tf.Predictor("bert_base_uncased")
    predictor.fill_mask("The capital of France is [MASK].").best

    bert_tf.Predictor("/tmp/mrpc_output").predict([("A text.", "Another one.")])
    bert_tf.Predictor("/tmp/squad_base").answer("Who was he?", "He was a king of France.")

A model's folder and a SavedModel made from it give the same answers.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bert_tf.inference.answers import Answer
from bert_tf.inference.load_model import load_model
from bert_tf.inference.mask_filler import FilledSentence
from bert_tf.inference.model_predictor import ModelPredictor
from bert_tf.inference.pooling import POOLS
from bert_tf.inference.saved_model_predictor import SavedModelPredictor
from bert_tf.inference.versions import find_saved_model

Texts = str | tuple[str, str]

# Kind -> how many texts an example may have.
_NUM_TEXTS = {
    "classification": (1, 2),
    "regression": (1, 2),
    "tagging": (1,),
    "span": (2,),
    "masked_lm": (1,),
    "encoder": (1,),
}


class Predictor:
    """A model that is asked in words.

    Args:
        model: a folder that fine-tuning or pre-training wrote, a SavedModel (or the folder of its
            versions), a released model's name or zip, a Hugging Face folder, ...: see
            `bert_tf.released.find_model.find_model`.
        kind: `classification`, `regression`, `tagging`, `span`, `masked_lm` or `encoder`; by
            default what the model's files tell.
        labels: the classes in the order of the model's outputs, where its files do not name them.
        max_seq_length: tokens of a sequence at most; by default as the model was trained.
        do_lower_case: whether text is lower-cased; by default what the model's files tell.
        batch_size: texts that go through the model together.
        span_options: of models that answer questions, by name: `doc_stride`, `max_query_length`,
            `n_best_size`, `max_answer_length`, `null_score_diff_threshold`, ...

    Texts of like length go through the model together, answers come in the order of the texts. One
    Predictor may be used from several threads at once.

    Raises:
        ValueError: if there is no such model, or its files do not fit each other.
    """

    def __init__(
        self,
        model: str,
        kind: str | None = None,
        labels: Sequence[str] = (),
        max_seq_length: int | None = None,
        do_lower_case: bool | None = None,
        batch_size: int = 32,
        span_options: Mapping[str, Any] | None = None,
    ):
        saved_model = find_saved_model(model)
        if saved_model is None:
            served = load_model(
                model,
                kind=kind,
                labels=labels,
                max_seq_length=max_seq_length,
                do_lower_case=do_lower_case,
                span_options=span_options,
            )
            self._predictor = ModelPredictor(served, batch_size)
        else:
            if any((kind, labels, max_seq_length, do_lower_case is not None, span_options)):
                raise ValueError(
                    f"{model}: a SavedModel has all its settings in itself; give them when it is "
                    "exported."
                )
            self._predictor = SavedModelPredictor(saved_model, batch_size)
        self.kind: str = self._predictor.kind
        self.inputs: tuple[str, ...] = self._predictor.inputs

    def predict(self, examples: Sequence[Texts]) -> list[Any]:
        """What the model says of each example, in their order.

        Args:
            examples: texts, or pairs of them, as the model was trained: (text_a, text_b) or
                (question, context).

        Returns: by kind of model,
            classification: `ClassAnswer`s (`label`, `probability`, `probabilities` by label).
            regression: floats.
            tagging: tuples of `TaggedWord`s (`word`, `label`, `probability`, `start`, `end`).
            span: `Answer`s (`text`, `start`, `end`, `probability`, `nbest`, `null_odds`).
            masked_lm: `FilledSentence`s (`best`, `candidates`).
            encoder: arrays, float32 [H]: the means of the tokens' vectors.

        Raises:
            ValueError: if an example is no text, or not as many texts as the model takes.
        """
        examples = [self._checked(example, number) for number, example in enumerate(examples)]
        if not examples:
            return []
        predictor = self._predictor
        if self.kind == "classification":
            return predictor.classify(examples)
        if self.kind == "regression":
            return predictor.rate(examples)
        if self.kind == "span":
            return predictor.answer(examples)
        texts = [text for (text,) in examples]
        if self.kind == "tagging":
            return predictor.tag(texts)
        return predictor.fill(texts, 5) if self.kind == "masked_lm" else self.embed(texts)

    def fill_mask(
        self, text: str | Sequence[str], top_k: int = 5
    ) -> FilledSentence | list[FilledSentence]:
        """The likeliest word pieces behind each [MASK] of a text, or of each of several texts.

        Raises:
            ValueError: if a text has no [MASK] or is too long for the model, or if the model was
                not pre-trained or has lost its head in fine-tuning.
        """
        self._need("cls/predictions", "a masked-LM head, which fine-tuned models have not")
        texts = [text] if isinstance(text, str) else list(text)
        filled = self._predictor.fill(texts, top_k) if texts else []
        return filled[0] if isinstance(text, str) else filled

    def answer(self, question: str, context: str) -> Answer:
        """The answer to a question: a part of the context, which may be of any length.

        Raises:
            ValueError: if the model was not trained to answer questions.
        """
        if self.kind != "span":
            raise ValueError(f"A model for {self.kind} cannot answer questions.")
        return self.predict([(question, context)])[0]

    def embed(
        self, texts: str | Sequence[str], pool: str = "mean"
    ) -> np.ndarray | list[np.ndarray]:
        """Vectors of texts.

        Args:
            texts: one, or several.
            pool: `mean`: the mean of the last layer's vectors of all tokens, with [CLS] and [SEP].
                `pooled`: the vector that a classifier sees. `tokens`: one for each token.

        Returns: float32 [H] for one text, [N, H] for N texts. With `tokens`: [tokens, H], or a list
            of these.
        """
        if pool not in POOLS:
            raise ValueError(f"pool must be one of {', '.join(POOLS)}. Received: {pool!r}")
        if pool == "pooled":
            self._need("bert/pooler", "a pooler")
        given = [texts] if isinstance(texts, str) else list(texts)
        vectors = self._predictor.embed(given, pool) if given else []
        if isinstance(texts, str):
            return vectors[0]
        return vectors if pool == "tokens" or not vectors else np.stack(vectors)

    def next_sentence_probability(self, text_a: str, text_b: str) -> float:
        """The probability, a fraction, that the second text follows the first one.

        Raises:
            ValueError: if the model has no head for it.
        """
        self._need("cls/seq_relationship", "a next-sentence head, which fine-tuned models have not")
        return self._predictor.next_sentence([(text_a, text_b)])[0]

    def _need(self, start: str, what: str) -> None:
        if not self._predictor.has(start):
            raise ValueError(f"The model, one for {self.kind}, lacks {what}.")

    def _checked(self, example: Texts, number: int) -> tuple[str, ...]:
        texts = (example,) if isinstance(example, str) else tuple(example)
        allowed = _NUM_TEXTS[self.kind]
        if len(texts) not in allowed or not all(isinstance(text, str) for text in texts):
            raise ValueError(
                f"Example {number}: the model takes {', '.join(self.inputs)}. "
                f"Received: {example!r:.200}"
            )
        return texts
