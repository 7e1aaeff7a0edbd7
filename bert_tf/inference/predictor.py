"""Predictor: runs inference on text with a model or, with the same answers, a SavedModel of it."""

import dataclasses
import functools
import os
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np

from bert_tf.inference.examples import is_one_example, read_examples
from bert_tf.inference.load_model import load_model, need_head
from bert_tf.inference.saved_model import SavedModel
from bert_tf.inference.versions import find_saved_model
from bert_tf.kinds.attention import AttentionMaps, AttentionReader
from bert_tf.kinds.attributions import KINDS_WITH_ATTRIBUTIONS, Attributions, Attributor
from bert_tf.kinds.choice import ChoiceAnswer, Chooser
from bert_tf.kinds.coreference import CoreferenceResolver, in_words, join_words
from bert_tf.kinds.encoder import POOLS, Embedder
from bert_tf.kinds.masked_lm import (
    MASK,
    FilledSentence,
    MaskFiller,
    NextSentencePredictor,
    mask_token,
)
from bert_tf.kinds.roles import RoleAnswer, RoleLabeller
from bert_tf.kinds.span import Answer, QuestionAnswerer
from bert_tf.kinds.table import MASKED_LM, NEXT_SENTENCE, PAIR, find_kind
from bert_tf.kinds.text_model import LoadedModel, TextModel
from bert_tf.model.attention_maps import has_attention_scores

Example = str | tuple[str | Sequence[str], ...] | Mapping[str, str | Sequence[str]]

_TEXT = ("text",)


@dataclasses.dataclass(frozen=True, slots=True)
class SearchHit:
    """A text that was found: `texts[index]`, and the cosine of its vector and the query's."""

    text: str
    score: float
    index: int


class Predictor:
    """Runs inference on text with a model. It is thread-safe.

    Args:
        model: an output folder of fine-tuning or pre-training, a SavedModel (or the folder of its
            versions), a released model's name or zip, a Hugging Face folder, ...: see
            `bert_tf.released.find_model.find_model`.
        kind: one of `bert_tf.kinds.table.KINDS`; by default from the model's files.
        labels: the classes in the order of the model's outputs; by default from its files, or 0,
            1, ...
        max_seq_length: in tokens; by default as in training, else the model's maximum, or 384 for
            questions.
        do_lower_case: whether text is lower-cased; by default from the model's files.
        batch_size: texts per batch at most; texts of similar length are batched together.
        span_options: of models that answer questions, by name: `doc_stride`, `max_query_length`,
            `n_best_size`, `max_answer_length`, `null_score_diff_threshold`, ...
        inputs: names of the texts of an example, such as ("text_a", "text_b") for a classifier of
            pairs; by default from the model's files, else one text.

    Raises a ValueError if there is no such model, or its files do not fit each other.

    Example:

        predictor = bert_tf.Predictor("bert_base_uncased")
        print(predictor.fill_mask("The capital of France is [MASK].").best)
    """

    def __init__(
        self,
        model: str | os.PathLike,
        kind: str | None = None,
        labels: Sequence[str] = (),
        max_seq_length: int | None = None,
        do_lower_case: bool | None = None,
        batch_size: int = 32,
        span_options: Mapping[str, Any] | None = None,
        inputs: Sequence[str] = (),
    ):
        self._path = model = os.fspath(model)
        if not model:
            raise ValueError("A model's folder or name is needed. Received: ''")
        _check_arguments(labels, do_lower_case, batch_size, inputs)
        saved_model = find_saved_model(model)
        if saved_model is None:
            loaded = load_model(
                model, kind or "", inputs, labels, max_seq_length or 0, do_lower_case, span_options
            )
            self._model: LoadedModel | SavedModel = loaded
            self._made = functools.cache(lambda make, **more: make(loaded, batch_size, **more))
        elif any((kind, labels, max_seq_length, do_lower_case is not None, span_options, inputs)):
            raise ValueError(f"{model}: a SavedModel's settings are fixed when it is exported.")
        else:
            self._model = SavedModel(saved_model, batch_size)
        self.kind: str = self._model.kind
        self.inputs: tuple[str, ...] = self._model.inputs
        self.labels: tuple[str, ...] = self._model.labels
        self.max_seq_length: int = self._model.max_seq_length
        self._kind = find_kind(self.kind)
        self._searched: tuple[Any, Any] = (
            None,
            None,
        )  # Texts and pool of the last search; vectors.
        self._default = self._kind.text_model_class(self.inputs)
        if isinstance(self._model, LoadedModel):
            self._made(self._default).prepare()

    def __repr__(self) -> str:
        labels = f", labels={', '.join(self.labels)}" if self.labels else ""
        return (
            f"<Predictor: {self.kind} of ({', '.join(self.inputs)}){labels}, "
            f"max_seq_length={self.max_seq_length}, from {self._path}>"
        )

    @property
    def abilities(self) -> tuple[str, ...]:
        """The names of the methods that this model can answer."""
        is_loaded, heads = isinstance(self._model, LoadedModel), self._model.heads
        has_vectors = is_loaded or self.kind == "encoder"
        can = {
            "predict": True,
            "fill_mask": MASKED_LM in heads,
            "next_sentence_probability": NEXT_SENTENCE in heads,
            "answer": self._default is QuestionAnswerer,
            "roles": self._default is RoleLabeller,
            "choose": self._default is Chooser,
            "coreference": self._default is CoreferenceResolver,
            "embed": has_vectors,
            "search": has_vectors,
            "attention": is_loaded and has_attention_scores(self._model.encoder),
            "attributions": is_loaded and self.kind in KINDS_WITH_ATTRIBUTIONS,
        }
        return tuple(name for name, is_able in can.items() if is_able)

    @property
    def mask_token(self) -> str:
        """What stands for a masked token in the texts of `fill_mask`: [MASK], or RoBERTa's."""
        return mask_token(self._model.tokenizer) if isinstance(self._model, LoadedModel) else MASK

    def predict(self, examples: Example | Iterable[Example]) -> list[Any]:
        """Returns the answer to each example, in order.

        Args:
            examples: texts, or as the model was trained (text_a, text_b), (question, context),
                (sentence, predicate) or (context, [choice, ...]); or dicts by the names in
                `inputs`. A single text or dict is a list of one; see `bert_tf.inference.examples`.

        Returns: a list; by kind of model,
            classification: `ClassAnswer`s (`label`, `probability`, `probabilities` by label).
            regression: floats.
            multi_label: `LabelsAnswer`s (`labels`, `probabilities` by label).
            tagging: tuples of `TaggedWord`s (`word`, `label`, `probability`, `start`, `end`).
            span: `Answer`s (`text`, `start`, `end`, `probability`, `nbest`, `null_odds`).
            masked_lm: `FilledSentence`s (`best`, `candidates`).
            coreference: tuples of entities, each a tuple of `MentionSpan`s (`text`, `start`,
                `end`).
            choice: `ChoiceAnswer`s (`choice`, `index`, `probabilities`).
            roles: `RoleAnswer`s (`roles`, `sense`, `predicate`, `words`).
            encoder: arrays, float32 [H]: the means of the tokens' vectors.

        Raises a ValueError if an example does not have the texts that the model takes.
        """
        return self._answers(self._default, self._read(examples))

    def fill_mask(
        self, text: str | Sequence[str], top_k: int = 5
    ) -> FilledSentence | list[FilledSentence]:
        """Returns the most probable word pieces for each [MASK] of one or several texts.

        Raises a ValueError if a text has no [MASK] or is too long, or the model no masked-LM head.
        """
        need_head(self._model, MASKED_LM, "masked-LM")
        if not isinstance(top_k, Integral):
            raise ValueError(f"top_k must be an integer. Received: {top_k!r}")
        filled = self._answers(MaskFiller, read_examples(text, _TEXT), top_k=top_k)
        return filled[0] if is_one_example(text, _TEXT) else filled

    def answer(self, question: str, context: str) -> Answer:
        """Returns the part of a context, of any length, that answers a question.

        Raises a ValueError if the model was not trained to answer questions.
        """
        self._need_kind(QuestionAnswerer, "answer questions")
        return self.predict([(question, context)])[0]

    def roles(self, sentence: str, predicate: str) -> RoleAnswer:
        """Returns the roles of a predicate: a word of the sentence, `run#2` for its second "run".

        Raises a ValueError if the sentence lacks it, or the model was not trained to label roles.
        """
        self._need_kind(RoleLabeller, "label roles")
        return self.predict([(sentence, predicate)])[0]

    def choose(self, context: str, choices: Sequence[str]) -> ChoiceAnswer:
        """Returns which of several choices fits a context best.

        Raises a ValueError if the model was not trained to choose.
        """
        self._need_kind(Chooser, "choose")
        return self.predict([(context, choices)])[0]

    def coreference(self, sentences: Sequence[Sequence[str]]) -> list[list[tuple[int, int]]]:
        """Returns the entities of a document that is divided into sentences of words.

        Each entity is a list of mentions: the first and the last word, counted from 0 over the
        whole document. Raises a ValueError if the model was not trained for coreference.
        """
        self._need_kind(CoreferenceResolver, "find coreference")
        text, places = join_words(sentences)
        return in_words(self.predict([text])[0], places)

    def embed(
        self, texts: str | Sequence[str], pool: str | None = None
    ) -> np.ndarray | list[np.ndarray]:
        """Returns embeddings, float32 [H], or [N, H] for N texts.

        Args:
            pool: `mean`: the last layer's mean over all tokens, [CLS] and [SEP] included.
                `pooled`: the pooler's output. `tokens`: one vector per token, [tokens, H], or a
                list of these. By default as the model was made: as a sentence-transformers model
                says in its `modules.json`, for others `mean`.
        """
        if pool is None:
            pool = self._model.default_pool
        elif pool not in POOLS:
            raise ValueError(f"pool must be one of {', '.join(POOLS)}. Received: {pool!r}")
        if pool == "pooled" and not self._model.has_pooler:
            raise ValueError(f"The model, one for {self.kind}, lacks a pooler.")
        vectors = self._answers(Embedder, read_examples(texts, _TEXT), pooling=pool)
        if is_one_example(texts, _TEXT):
            return vectors[0]
        return vectors if pool == "tokens" or not vectors else np.stack(vectors)

    def search(
        self,
        query: str | Sequence[str],
        texts: Sequence[str],
        top_k: int = 5,
        pool: str | None = None,
    ) -> list[SearchHit] | list[list[SearchHit]]:
        """Returns the `top_k` texts most similar to a query, or to each of several, best first.

        The vectors of the texts are kept for the next search in the same ones. Models trained with
        `--task=sts`, and those of sentence-transformers, are made for this.

        Args:
            pool: as of `embed`; not `tokens`.
        """
        if not isinstance(top_k, Integral) or top_k < 1:
            raise ValueError(f"top_k must be an integer of at least 1. Received: {top_k!r}")
        if pool == "tokens":
            raise ValueError("search compares one vector per text: pool cannot be 'tokens'.")
        given = tuple(text for (text,) in read_examples(texts, _TEXT))
        key, vectors = self._searched
        if key != (given, pool):
            vectors = _unit(self.embed(list(given), pool)) if given else np.zeros((0, 1))
            self._searched = (given, pool), vectors
        queries = [text for (text,) in read_examples(query, _TEXT)]
        found: list[list[SearchHit]] = [[] for _ in queries]
        if queries and given:
            scores = _unit(self.embed(queries, pool)) @ vectors.T  # [queries, texts]
            order = np.argsort(-scores, axis=1, kind="stable")[:, :top_k]
            for hits, row, places in zip(found, scores, order, strict=True):
                hits += [SearchHit(given[place], float(row[place]), int(place)) for place in places]
        return found[0] if is_one_example(query, _TEXT) else found

    def next_sentence_probability(self, text_a: str, text_b: str) -> float:
        """Returns the probability, a fraction, that the second text follows the first.

        Raises a ValueError if the model has no next-sentence head.
        """
        need_head(self._model, NEXT_SENTENCE, "next-sentence")
        pair = read_examples([(text_a, text_b)], PAIR)
        return self._answers(NextSentencePredictor, pair)[0]

    def attention(self, text: str, text_b: str = "") -> AttentionMaps:
        """Returns how much each token of a text or pair attends to each other, by layer and head.

        [MASK] in a text is one token. The probabilities are those without dropout.

        Raises a ValueError for a SavedModel, or an encoder without such probabilities.

        Example:

            maps = predictor.attention("The cat sat on the mat.")
            maps.tokens  # ("[CLS]", "the", "cat", ...)
            maps.probabilities[3, 0, 2]  # What "cat" attends to, in the first head of layer 3.
        """
        self._need_layers("attention")
        return self._answers(AttentionReader, read_examples([(text, text_b)], PAIR))[0]

    def attributions(self, example: Example, label: str | None = None) -> Attributions:
        """Returns how much each token contributes to a class, or to a regression's number.

        They are integrated gradients, see `bert_tf.kinds.attributions`.

        Args:
            example: one text, or pair, as of `predict`.
            label: the class to explain; by default the most probable one.

        Raises a ValueError for a SavedModel, a model of another kind, or an unknown label.

        Example:

            found = predictor.attributions("A good film.")
            list(zip(found.tokens, found.values))  # [("[CLS]", 0.0), ("a", -0.1), ...]
        """
        self._need_layers("attributions")
        return self._made(Attributor).attribute(*self._read([example]), label)

    def _need_kind(self, text_model: type[TextModel], what: str) -> None:
        if self._default is not text_model:
            raise ValueError(f"A model for {self.kind} cannot {what}.")

    def _need_layers(self, what: str) -> None:
        if isinstance(self._model, SavedModel):
            raise ValueError(
                f"{self._path}: a SavedModel has answers only. For {what}, load the model that it "
                "was exported from."
            )

    def _read(self, examples) -> list[tuple]:
        remedy = ""
        if len(self._kind.inputs) > 1 and isinstance(self._model, LoadedModel):
            choices = " or ".join(map(str, self._kind.inputs))
            remedy = f" If it was trained on others, give Predictor inputs={choices}."
        return read_examples(examples, self.inputs, self._kind.list_inputs, remedy)

    def _answers(
        self, text_model: type[TextModel], examples: list[tuple], **arguments
    ) -> list[Any]:
        if not examples:
            return []
        if isinstance(self._model, SavedModel):
            return self._model.answers(text_model, examples, **arguments)
        return self._made(text_model, **arguments).predict(examples)


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Scales vectors, [N, H], to length 1; those of length 0 are kept."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)


def _check_arguments(
    labels: Sequence[str], do_lower_case: bool | None, batch_size: int, inputs: Sequence[str]
) -> None:
    for name, names in (("labels", labels), ("inputs", inputs)):
        if isinstance(names, str):
            raise ValueError(f"{name} must be a list of names. Received: {names!r}")
    if do_lower_case not in (None, True, False):
        raise ValueError(f"do_lower_case must be True or False. Received: {do_lower_case!r}")
    if not isinstance(batch_size, Integral) or batch_size < 1:
        raise ValueError(f"batch_size must be 1 or more. Received: {batch_size!r}")
