"""Describes each kind of model: its inputs, its heads' weights, its Hugging Face classes.

A new kind is a row here, and a subclass of `TextModel` in a module of the same name.

    kind             texts                  answer
    classification   text, or a pair        a class
    regression       text, or a pair        a number
    multi_label      text, or a pair        any number of labels
    tagging          text, or its words     a class for each word
    span             question, context      where in the context the answer is
    masked_lm        text with [MASK]       word pieces at [MASK]; whether a text follows another
    encoder          text                   vectors
    choice           context, choices       which of the choices fits the context
    roles            sentence, predicate    who did what to whom: the predicate's roles
    coreference      text                   the mentions of each entity
"""

import dataclasses
import importlib
from collections.abc import Iterable, Mapping
from typing import Any

# Prefixes of the names of a head's weights; a classifier's are `output_weights`, `output_bias`.
MASKED_LM = "cls/predictions/"
NEXT_SENTENCE = "cls/seq_relationship/"
SPAN = "cls/squad/"
COREFERENCE = "mention_scores/"
CLASSIFIER = ""

PAIR = ("text_a", "text_b")


@dataclasses.dataclass(frozen=True)
class Kind:
    name: str
    text_model: str  # The `TextModel`, in the module named after the kind.
    inputs: tuple[tuple[str, ...], ...] = (("text",),)  # Allowed input names, the default first.
    # Text model for these inputs, the only ones of a model that lacks the first head.
    other_text_model: str = ""
    other_inputs: tuple[str, ...] = ()
    list_inputs: tuple[str, ...] = ()  # Inputs that hold several texts per example.
    ids_rank: int = 2  # Axes of `input_ids`: 2 for [B, L], 3 for [B, C, L].
    heads: tuple[str, ...] = (CLASSIFIER,)  # Possible heads, by prefix.
    has_labels: bool = False  # Whether it has named classes.
    num_scores: int | None = None  # Rows of the classifier, if fixed.
    needs_pooler: bool = True  # Whether predictions depend on the pooler.
    needs_all_heads: bool = True  # Rather than any one.
    is_finetuned: bool = True  # Whether `task.json` describes it.
    max_seq_length: int | None = None  # Default, in tokens.
    has_tflite: bool = False  # Whether it can be exported to TFLite.
    # The ends of the names of Hugging Face's classes, after "Bert" and the like; the heads of each.
    architectures: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    problem_type: str = ""  # In Hugging Face's config.json.

    def text_model_class(self, inputs: tuple[str, ...] = ()) -> Any:
        """Returns the `TextModel` for these inputs; its module imports TensorFlow."""
        module = importlib.import_module(f"bert_tf.kinds.{self.name}")
        is_other = inputs and inputs == self.other_inputs
        return getattr(module, self.other_text_model if is_other else self.text_model)

    def architecture(self, heads: Iterable[str]) -> str:
        """Returns the end of the name of the Hugging Face class for a model with these heads."""
        if not self.architectures:
            raise ValueError(f"Hugging Face's transformers has no class for {self.name}.")
        there = set(heads) & set(self.heads)
        exact = (name for name, theirs in self.architectures.items() if set(theirs) == there)
        return next(exact, next(iter(self.architectures)))


_OF_SEQUENCES: dict[str, Any] = {
    "inputs": (("text",), PAIR),
    "has_tflite": True,
    "architectures": {"ForSequenceClassification": (CLASSIFIER,)},
}
_OF_CLASSES = {"has_labels": True, **_OF_SEQUENCES}
_KINDS = (
    Kind("classification", "Classifier", problem_type="single_label_classification", **_OF_CLASSES),
    Kind("regression", "Regressor", num_scores=1, problem_type="regression", **_OF_SEQUENCES),
    Kind(
        "multi_label",
        "MultiLabelClassifier",
        problem_type="multi_label_classification",
        **_OF_CLASSES,
    ),
    Kind(
        "tagging",
        "Tagger",
        inputs=(("text",), ("words",)),
        other_text_model="WordTagger",
        other_inputs=("words",),
        list_inputs=("words",),
        has_labels=True,
        needs_pooler=False,
        architectures={"ForTokenClassification": (CLASSIFIER,)},
    ),
    Kind(
        "span",
        "QuestionAnswerer",
        inputs=(("question", "context"),),
        heads=(SPAN,),
        needs_pooler=False,
        max_seq_length=384,
        architectures={"ForQuestionAnswering": (SPAN,)},
    ),
    Kind(
        "masked_lm",
        "MaskFiller",
        other_text_model="NextSentencePredictor",
        other_inputs=PAIR,
        heads=(MASKED_LM, NEXT_SENTENCE),
        needs_pooler=False,
        needs_all_heads=False,
        is_finetuned=False,
        architectures={
            "ForMaskedLM": (MASKED_LM,),
            "ForNextSentencePrediction": (NEXT_SENTENCE,),
            "ForPreTraining": (MASKED_LM, NEXT_SENTENCE),
        },
    ),
    Kind(
        "choice",
        "Chooser",
        inputs=(("context", "choices"),),
        list_inputs=("choices",),
        ids_rank=3,
        num_scores=1,
        architectures={"ForMultipleChoice": (CLASSIFIER,)},
    ),
    Kind(
        "roles",
        "RoleLabeller",
        inputs=(("sentence", "predicate"),),
        has_labels=True,
        needs_pooler=False,
        architectures={"ForTokenClassification": (CLASSIFIER,)},
    ),
    Kind(
        "coreference",
        "CoreferenceResolver",
        heads=(COREFERENCE,),
        needs_pooler=False,
        max_seq_length=128,
    ),
    Kind(
        "encoder",
        "Embedder",
        heads=(),
        needs_pooler=False,
        is_finetuned=False,
        has_tflite=True,
        architectures={"Model": ()},
    ),
)
KINDS: dict[str, Kind] = {kind.name: kind for kind in _KINDS}


def find_kind(name: str) -> Kind:
    """Returns the row of a kind, or raises a ValueError."""
    if name not in KINDS:
        raise ValueError(f"The kind of a model is one of {', '.join(KINDS)}. Received: {name!r}")
    return KINDS[name]


def heads_in(names: Iterable[str]) -> tuple[str, ...]:
    """Returns the prefixes of the heads that have weights among `names`."""
    names = set(names)
    if any(name.startswith(COREFERENCE) for name in names):  # It has output_weights, too.
        return (COREFERENCE,)
    found = [p for p in (MASKED_LM, NEXT_SENTENCE, SPAN) if any(n.startswith(p) for n in names)]
    return (*found, *([CLASSIFIER] if {"output_weights", "output_bias"} & names else []))


def num_scores_of(weights: Mapping[str, Any]) -> int:
    """Returns the number of a classifier's outputs from its weights, or their shapes, by name."""
    value = weights["output_bias" if "output_bias" in weights else "output_weights"]
    return int(getattr(value, "shape", value)[0])


def kind_of_weights(weights: Mapping[str, Any]) -> str:
    """Guesses the kind of a model from its weights, or their shapes, by name.

    A classifier is taken for a regression if it has one output. Other kinds with the same weight
    names are told apart by `task.json` or Hugging Face's `config.json`.
    """
    heads = heads_in(weights)
    if COREFERENCE in heads:
        return "coreference"
    if MASKED_LM in heads or NEXT_SENTENCE in heads:
        return "masked_lm"
    if CLASSIFIER in heads:
        return "regression" if num_scores_of(weights) == 1 else "classification"
    return "span" if SPAN in heads else "encoder"
