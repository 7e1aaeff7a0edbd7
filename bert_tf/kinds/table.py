"""Says what each kind of model is: its texts, the weights of its head, its counterparts elsewhere.

Everything that depends on the kind of a model reads this table; no TensorFlow is imported for it.
A new kind is a row here and a module of the same name in this package, which has:

    make_model(encoder, num_labels)     the Keras model
    Inference                           texts -> answers in Python, see `inference.Inference`
    Graph                               the same in a SavedModel, see `graph.ServedGraph`
    answer_of(example, outputs)         the SavedModel's outputs for one example as an answer
    difference(expected, actual)        how far two answers are apart, inf if they differ in words
    tflite_outputs(loaded, batch)       the outputs of a TFLite model, where the table has one
    Options                             a dataclass of options that `task.json` keeps, if any

    kind             texts                  answer
    classification   text, or a pair        a class
    regression       text, or a pair        a number
    tagging          text                   a class for each word
    span             question, context      where in the context the answer is
    masked_lm        text with [MASK]       word pieces at [MASK]; whether a text follows another
    encoder          text                   vectors
    choice           context, choices       which of the choices fits the context
"""

import dataclasses
import importlib
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

# What the names of a head's weights begin with; a classifier's are `output_weights`, `output_bias`.
MASKED_LM = "cls/predictions/"
NEXT_SENTENCE = "cls/seq_relationship/"
SPAN = "cls/squad/"
CLASSIFIER = ""

PAIR = ("text_a", "text_b")


@dataclasses.dataclass(frozen=True)
class Kind:
    """What a kind of model is.

    name: the kind, and its module in this package.
    inputs: the names of its texts; the first entry is the default.
    inputs_without: for a model that lacks a head, the names of its texts instead.
    list_inputs: those inputs that hold several texts per example.
    ids_rank: axes of `input_ids`: 2 for [B, L], 3 for [B, C, L].
    heads: the heads it may have, by the start of their weights' names.
    has_labels: whether its outputs are classes with names.
    num_scores: rows of the classifier, where their number is fixed.
    needs_pooler: whether an answer depends on the pooler.
    needs_all_heads: whether every head must be there, and not just one of them.
    is_finetuned: whether `task.json` describes it.
    max_seq_length: the default for a model that can read more, in tokens; None: no other limit.
    export_options: the fields of `ExportSettings` that its answers depend on.
    has_tflite: whether it can be exported to TFLite.
    architectures: the classes of Hugging Face with such heads, each with these heads.
    problem_type: Hugging Face's word for it in config.json; "" where it has none.
    """

    name: str
    inputs: tuple[tuple[str, ...], ...] = (("text",),)
    inputs_without: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    list_inputs: tuple[str, ...] = ()
    ids_rank: int = 2
    heads: tuple[str, ...] = (CLASSIFIER,)
    has_labels: bool = False
    num_scores: int | None = None
    needs_pooler: bool = True
    needs_all_heads: bool = True
    is_finetuned: bool = True
    max_seq_length: int | None = None
    export_options: tuple[str, ...] = ()
    has_tflite: bool = False
    architectures: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    problem_type: str = ""

    @property
    def module(self) -> ModuleType:
        """The module of this kind; it imports TensorFlow."""
        return importlib.import_module(f"bert_tf.kinds.{self.name}")

    def architecture(self, heads: Iterable[str]) -> str:
        """Returns the class of Hugging Face for a model with these of its heads."""
        there = set(heads) & set(self.heads)
        exact = (name for name, theirs in self.architectures.items() if set(theirs) == there)
        return next(exact, next(iter(self.architectures)))


_SEQUENCE_CLASSIFIER = {"BertForSequenceClassification": (CLASSIFIER,)}

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "classification",
            inputs=(("text",), PAIR),
            has_labels=True,
            has_tflite=True,
            architectures=_SEQUENCE_CLASSIFIER,
            problem_type="single_label_classification",
        ),
        Kind(
            "regression",
            inputs=(("text",), PAIR),
            num_scores=1,
            has_tflite=True,
            architectures=_SEQUENCE_CLASSIFIER,
            problem_type="regression",
        ),
        Kind(
            "tagging",
            has_labels=True,
            needs_pooler=False,
            architectures={"BertForTokenClassification": (CLASSIFIER,)},
        ),
        Kind(
            "span",
            inputs=(("question", "context"),),
            heads=(SPAN,),
            needs_pooler=False,
            max_seq_length=384,
            architectures={"BertForQuestionAnswering": (SPAN,)},
        ),
        Kind(
            "masked_lm",
            inputs_without={MASKED_LM: PAIR},
            heads=(MASKED_LM, NEXT_SENTENCE),
            needs_pooler=False,
            needs_all_heads=False,
            is_finetuned=False,
            export_options=("top_k",),
            architectures={
                "BertForMaskedLM": (MASKED_LM,),
                "BertForNextSentencePrediction": (NEXT_SENTENCE,),
                "BertForPreTraining": (MASKED_LM, NEXT_SENTENCE),
            },
        ),
        Kind(
            "choice",
            inputs=(("context", "choices"),),
            list_inputs=("choices",),
            ids_rank=3,
            num_scores=1,
            architectures={"BertForMultipleChoice": (CLASSIFIER,)},
        ),
        Kind(
            "encoder",
            heads=(),
            needs_pooler=False,
            is_finetuned=False,
            export_options=("pooling",),
            has_tflite=True,
            architectures={"BertModel": ()},
        ),
    )
}


def find_kind(name: str) -> Kind:
    """Returns the row of a kind.

    Raises:
        ValueError: if there is no such kind.
    """
    if name not in KINDS:
        raise ValueError(f"The kind of a model is one of {', '.join(KINDS)}. Received: {name!r}")
    return KINDS[name]


def heads_in(names: Iterable[str]) -> tuple[str, ...]:
    """Returns the prefixes of the heads that have any of their weights among `names`."""
    names = set(names)
    found = [p for p in (MASKED_LM, NEXT_SENTENCE, SPAN) if any(n.startswith(p) for n in names)]
    return (*found, *([CLASSIFIER] if {"output_weights", "output_bias"} & names else []))


def num_scores_of(weights: Mapping[str, Any]) -> int:
    """Returns how many rows a classifier has.

    Args:
        weights: arrays by name, or their shapes.
    """
    name = "output_bias" if "output_bias" in weights else "output_weights"
    value = weights[name]
    return int(getattr(value, "shape", value)[0])


def kind_of_weights(weights: Mapping[str, Any]) -> str:
    """Returns the kind of a model as far as the names and shapes of its weights tell.

    Several kinds have a classifier of the same names. It is taken for a classification, or with one
    row for a regression; what else it may be is in `task.json`, or in Hugging Face's `config.json`.

    Args:
        weights: arrays by name, or their shapes.
    """
    heads = heads_in(weights)
    if MASKED_LM in heads or NEXT_SENTENCE in heads:
        return "masked_lm"
    if CLASSIFIER in heads:
        return "regression" if num_scores_of(weights) == 1 else "classification"
    return "span" if SPAN in heads else "encoder"
