"""Predictor: loads a model once, and answers texts with it.

    predictor = bert_tf.Predictor("bert_base_uncased")
    predictor.fill_mask("The capital of France is [MASK].").best

    bert_tf.Predictor("/tmp/mrpc_output").predict([("A text.", "Another one.")])
    bert_tf.Predictor("/tmp/squad_base").answer("Who was he?", "He was a king of France.")

A model's folder and a SavedModel made from it give the same answers.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bert_tf.inference.load_model import load_model
from bert_tf.inference.model_predictor import ModelPredictor
from bert_tf.inference.saved_model_predictor import SavedModelPredictor
from bert_tf.inference.versions import find_saved_model
from bert_tf.kinds.encoder import POOLS
from bert_tf.kinds.mask_filler import FilledSentence
from bert_tf.kinds.span import Answer
from bert_tf.kinds.table import MASKED_LM, NEXT_SENTENCE, find_kind

Example = str | tuple[str | Sequence[str], ...]


class Predictor:
    """Answers texts with a model.

    Args:
        model: a folder that fine-tuning or pre-training wrote, a SavedModel (or the folder of its
            versions), a released model's name or zip, a Hugging Face folder, ...: see
            `bert_tf.released.find_model.find_model`.
        kind: one of `bert_tf.kinds.table.KINDS`, such as `classification`; by default what the
            model's files tell.
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

    Example:

        predictor = bert_tf.Predictor("bert_base_uncased")
        print(predictor.fill_mask("The capital of France is [MASK].").best)
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
        self._model = model
        saved_model = find_saved_model(model)
        if saved_model is None:
            loaded = load_model(
                model,
                kind=kind,
                labels=labels,
                max_seq_length=max_seq_length,
                do_lower_case=do_lower_case,
                options=span_options,
            )
            self._predictor = ModelPredictor(loaded, batch_size)
        else:
            if any((kind, labels, max_seq_length, do_lower_case is not None, span_options)):
                raise ValueError(
                    f"{model}: a SavedModel has all its settings in itself; give them when it is "
                    "exported."
                )
            self._predictor = SavedModelPredictor(saved_model, batch_size)
        self.kind: str = self._predictor.kind
        self.inputs: tuple[str, ...] = self._predictor.inputs
        self.labels: tuple[str, ...] = self._predictor.labels
        self.max_seq_length: int = self._predictor.max_seq_length

    def __repr__(self) -> str:
        labels = f", labels={', '.join(self.labels)}" if self.labels else ""
        return (
            f"<Predictor: {self.kind} of ({', '.join(self.inputs)}){labels}, "
            f"max_seq_length={self.max_seq_length}, from {self._model}>"
        )

    def predict(self, examples: Sequence[Example]) -> list[Any]:
        """Returns an answer to each example, in their order.

        Args:
            examples: texts, or pairs of them, as the model was trained: (text_a, text_b) or
                (question, context); of a model that chooses, (context, [choice, ...]).

        Returns: by kind of model,
            classification: `ClassAnswer`s (`label`, `probability`, `probabilities` by label).
            regression: floats.
            tagging: tuples of `TaggedWord`s (`word`, `label`, `probability`, `start`, `end`).
            span: `Answer`s (`text`, `start`, `end`, `probability`, `nbest`, `null_odds`).
            masked_lm: `FilledSentence`s (`best`, `candidates`).
            choice: `ChoiceAnswer`s (`choice`, `index`, `probabilities`).
            encoder: arrays, float32 [H]: the means of the tokens' vectors.

        Raises:
            ValueError: if an example is no text, or not as many texts as the model takes.
        """
        examples = [self._checked(example, number) for number, example in enumerate(examples)]
        return self._predictor.predict(examples) if examples else []

    def fill_mask(
        self, text: str | Sequence[str], top_k: int = 5
    ) -> FilledSentence | list[FilledSentence]:
        """The likeliest word pieces behind each [MASK] of a text, or of each of several texts.

        Raises:
            ValueError: if a text has no [MASK] or is too long for the model, or if the model was
                not pre-trained or has lost its head in fine-tuning.
        """
        self._need_head(MASKED_LM, "a masked-LM head, which fine-tuned models lack")
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

    def choose(self, context: str, choices: Sequence[str]) -> Any:
        """Returns which of several choices fits a context: the answer that `predict` gives.

        Raises:
            ValueError: if the model was not trained to choose.
        """
        if self.inputs != ("context", "choices"):
            raise ValueError(f"A model for {self.kind} cannot choose.")
        return self.predict([(context, list(choices))])[0]

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
            self._need(self._predictor.has_pooler, "a pooler")
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
        self._need_head(NEXT_SENTENCE, "a next-sentence head, which fine-tuned models lack")
        return self._predictor.next_sentence([(text_a, text_b)])[0]

    def _need_head(self, prefix: str, what: str) -> None:
        self._need(self._predictor.has_head(prefix), what)

    def _need(self, is_there: bool, what: str) -> None:
        if not is_there:
            raise ValueError(f"The model, one for {self.kind}, lacks {what}.")

    def _checked(self, example: Example, number: int) -> tuple:
        texts = (example,) if isinstance(example, str) else tuple(example)
        kind = find_kind(self.kind)
        allowed = {self.inputs, *(kind.inputs if self.inputs in kind.inputs else ())}
        lists = [name in kind.list_inputs for name in self.inputs]
        if len(texts) not in map(len, allowed) or not all(map(_is_text, texts, lists)):
            raise ValueError(
                f"Example {number}: the model takes {', '.join(self.inputs)}. "
                f"Received: {example!r:.200}"
            )
        return texts


def _is_text(text: Any, is_list: bool) -> bool:
    if not is_list:
        return isinstance(text, str)
    return not isinstance(text, str) and len(text) > 0 and all(isinstance(t, str) for t in text)
