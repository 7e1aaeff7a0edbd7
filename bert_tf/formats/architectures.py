"""Says, for each architecture, how transformers names its weights, classes and settings.

    ours                           bert/encoder/layer_0/attention/self/query/kernel
    BERT's there, see `_DOTTED`    bert.encoder.layer.0.attention.self.query.weight
    renamed by a row's rules       distilbert.transformer.layer.0.attention.q_lin.weight

A further architecture is a row of ARCHITECTURES.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from bert_tf.config import BertConfig
from bert_tf.formats import names
from bert_tf.formats.names import Rules
from bert_tf.kinds.table import CLASSIFIER, MASKED_LM, NEXT_SENTENCE, SPAN, heads_in

_OURS_ALONE = ("bilstm/",)  # Weights that no class there has.
_DOTTED: Rules = (
    (r"^output_(weights|bias)$", r"classifier/output_\1"),
    (r"^cls/squad/", "qa_outputs/"),
    (r"/layer_(\d)", r"/layer/\1"),
    (r"_embeddings$", "_embeddings/weight"),
    (r"/(kernel|gamma|output_weights)$", "/weight"),
    (r"/(beta|output_bias)$", "/bias"),
    (r"/", "."),
)
_DISCRIMINATOR = "discriminator_predictions/"
_EPSILON = {"layer_norm_eps": (1e-12, "the epsilon of LayerNorm is 1e-12, as in the original")}
# The head of SpanBERT, which transformers ignores and the released models lack, in files of its
# authors: facebookresearch/SpanBERT, pretraining/fairseq/models/pair_bert.py.
_SPAN_BOUNDARY = {
    "position_embeddings": "position_embeddings.weight",
    "output_bias": "bias",
    **{
        f"{ours}/{weight}": f"mlp_layer_norm.{layer}{number}.{theirs}"
        for ours, number in (("join", 1), ("transform", 2))
        for weight, layer, theirs in (
            ("dense/kernel", "linear", "weight"),
            ("dense/bias", "linear", "bias"),
            ("LayerNorm/gamma", "layer_norm", "weight"),
            ("LayerNorm/beta", "layer_norm", "bias"),
        )
    },
}


@dataclasses.dataclass(frozen=True)
class Architecture:
    classes: str  # What the names of its classes begin with.
    prefix: str  # What the names of its encoder's weights begin with.
    decoder: str  # The output layer of masked LM, whose weights may be copies of tied ones.
    rules: Rules = ()  # From BERT's names there to this architecture's.
    # The end of a class's name -> its own rules, which are applied before the others.
    class_rules: Mapping[str, Rules] = dataclasses.field(default_factory=dict)
    heads: tuple[str, ...] = (MASKED_LM, SPAN, CLASSIFIER)
    # Our names -> theirs, of weights besides those of `heads`.
    more_names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    # The end of a class's name -> what our names of its head begin with; here it is an encoder.
    encoder_heads: Mapping[str, str] = dataclasses.field(default_factory=dict)
    # The end of a class's name -> the fields of BertConfig that it stands for.
    class_fields: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    # The end of a class's name -> its own keys as in `fixed`.
    class_fixed: Mapping[str, Mapping[str, tuple[Any, str]]] = dataclasses.field(
        default_factory=dict
    )
    # What our names begin with -> why these weights have no place there.
    without_place: Mapping[str, str] = dataclasses.field(default_factory=dict)
    # The layer there from E to H, which is an identity where these are equal. We have none then.
    mapping: str = ""
    # Fields of BertConfig -> the keys of config.json, where they differ.
    keys: Mapping[str, str] = dataclasses.field(default_factory=dict)
    # Values of fields that files may omit, and of those that they do not have.
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    constants: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    # Keys of config.json with the only supported value and the reason; files may omit them.
    fixed: Mapping[str, tuple[Any, str]] = dataclasses.field(default_factory=dict)

    @property
    def word_embeddings(self) -> str:
        """The name of the word embeddings there."""
        return f"{self.prefix}embeddings.word_embeddings.weight"

    def names(self, config: BertConfig, class_end: str) -> dict[str, str]:
        """Returns our name -> the name there, of all weights of an encoder and its heads.

        `class_end` is of a class's name, such as `ForMaskedLM`.
        """
        rules = (*_DOTTED, *self.class_rules.get(class_end, ()), *self.rules)
        shapes = names.weight_shapes(config, self.heads)
        there = [name for name in shapes if not name.startswith(_OURS_ALONE)]
        return {**{name: names.renamed(name, rules) for name in there}, **self.more_names}

    def class_end(self, class_name: str) -> str:
        """Returns the end of the name of a class of this architecture; "" for other classes."""
        is_ours = class_name.startswith(self.classes)
        return class_name.removeprefix(self.classes) if is_ours else ""

    def heads_of(self, weights: Mapping[str, Any]) -> list[str]:
        """Returns the heads among some weights that this architecture has."""
        return [head for head in heads_in(weights) if head in self.heads]


ARCHITECTURES = {
    "bert": Architecture(
        classes="Bert",
        prefix="bert.",
        decoder="cls.predictions.decoder",
        heads=(MASKED_LM, NEXT_SENTENCE, SPAN, CLASSIFIER),
        more_names={
            f"cls/pair_target_predictions/{ours}": f"cls.pair_target_predictions.{theirs}"
            for ours, theirs in _SPAN_BOUNDARY.items()
        },
        defaults={"vocab_size": 30522, "type_vocab_size": 2},
        fixed=_EPSILON,
    ),
    "albert": Architecture(
        classes="Albert",
        prefix="albert.",
        decoder="predictions.decoder",
        rules=(
            (r"^cls\.predictions\.(transform\.)?", "predictions."),
            (r"^cls\.seq_relationship\.", "sop_classifier.classifier."),
            (r"^bert\.pooler\.dense\.", "albert.pooler."),
            (r"^bert\.", "albert."),
            (
                r"\.transformer\.group_(\d+)\.inner_group_(\d+)\.",
                r".albert_layer_groups.\1.albert_layers.\2.",
            ),
            (r"(\.albert_layers\.\d+)\.LayerNorm\.", r"\1.attention.LayerNorm."),
            (r"\.LayerNorm_1\.", ".full_layer_layer_norm."),
            (r"\.attention_1\.(self|output)\.", ".attention."),
            (r"\.ffn_1\.intermediate\.output\.dense\.", ".ffn_output."),
            (r"\.ffn_1\.intermediate\.dense\.", ".ffn."),
        ),
        mapping="albert.encoder.embedding_hidden_mapping_in",
        heads=(MASKED_LM, NEXT_SENTENCE, SPAN, CLASSIFIER),
        defaults={
            "vocab_size": 30000,
            "type_vocab_size": 2,
            "embedding_size": 128,
            "num_hidden_groups": 1,
            "inner_group_num": 1,
        },
        fixed=_EPSILON,
    ),
    "electra": Architecture(
        classes="Electra",
        prefix="electra.",
        decoder="generator_lm_head",
        rules=(
            (r"^cls\.predictions\.transform\.", "generator_predictions."),
            (r"^cls\.predictions\.", "generator_lm_head."),
        ),
        more_names={
            f"{_DISCRIMINATOR}{ours}": f"discriminator_predictions.{theirs}"
            for ours, theirs in (
                ("dense/kernel", "dense.weight"),
                ("dense/bias", "dense.bias"),
                ("dense_1/kernel", "dense_prediction.weight"),
                ("dense_1/bias", "dense_prediction.bias"),
            )
        },
        encoder_heads={"ForPreTraining": _DISCRIMINATOR},
        class_rules={
            "ForSequenceClassification": (
                (r"^classifier\.", "classifier.out_proj."),
                (r"^electra\.pooler\.", "classifier."),
            ),
            "ForMultipleChoice": ((r"^electra\.pooler\.dense\.", "sequence_summary.summary."),),
        },
        class_fields={
            "ForSequenceClassification": {"gelu_pooler": True},
            "ForMultipleChoice": {"gelu_pooler": True},
        },
        class_fixed={
            "ForMultipleChoice": {
                "summary_type": ("first", "choices are scored by [CLS]"),
                "summary_use_proj": (True, "choices are scored after a dense layer"),
                "summary_activation": ("gelu", "choices are scored after a gelu"),
            }
        },
        without_place=dict.fromkeys(
            ("generator/", "generator_predictions/"),
            "the generator is a model of its own there: --part=generator converts it, "
            "--part=discriminator leaves it out",
        ),
        defaults={
            "vocab_size": 30522,
            "type_vocab_size": 2,
            "embedding_size": 128,
            "hidden_size": 256,
            "num_attention_heads": 4,
            "intermediate_size": 1024,
        },
        fixed={
            "hidden_act": ("gelu", "ELECTRA has the exact gelu, in the head of masked LM always"),
            **_EPSILON,
        },
    ),
    "roberta": Architecture(
        classes="Roberta",
        prefix="roberta.",
        decoder="lm_head.decoder",
        rules=(
            (r"^cls\.predictions\.transform\.LayerNorm\.", "lm_head.layer_norm."),
            (r"^cls\.predictions\.(transform\.)?", "lm_head."),
            (r"^bert\.", "roberta."),
        ),
        class_rules={
            "ForSequenceClassification": (
                (r"^classifier\.", "classifier.out_proj."),
                (r"^bert\.pooler\.", "classifier."),
            )
        },
        defaults={"vocab_size": 50265, "type_vocab_size": 2},
        fixed={"pad_token_id": (1, "positions are counted from that of padding")},
    ),
    "distilbert": Architecture(
        classes="DistilBert",
        prefix="distilbert.",
        decoder="vocab_projector",
        rules=(
            (r"^bert\.pooler\.dense\.", "pre_classifier."),
            (r"^cls\.predictions\.transform\.dense\.", "vocab_transform."),
            (r"^cls\.predictions\.transform\.LayerNorm\.", "vocab_layer_norm."),
            (r"^cls\.predictions\.", "vocab_projector."),
            (r"^bert\.encoder\.", "distilbert.transformer."),
            (r"^bert\.", "distilbert."),
            (r"\.attention\.self\.(q|k|v)[a-z]+\.", r".attention.\1_lin."),
            (r"\.attention\.output\.dense\.", ".attention.out_lin."),
            (r"\.attention\.output\.LayerNorm\.", ".sa_layer_norm."),
            (r"\.intermediate\.dense\.", ".ffn.lin1."),
            (r"\.output\.dense\.", ".ffn.lin2."),
            (r"\.output\.LayerNorm\.", ".output_layer_norm."),
        ),
        keys={
            "hidden_size": "dim",
            "num_hidden_layers": "n_layers",
            "num_attention_heads": "n_heads",
            "intermediate_size": "hidden_dim",
            "hidden_act": "activation",
            "hidden_dropout_prob": "dropout",
            "attention_probs_dropout_prob": "attention_dropout",
        },
        defaults={"vocab_size": 30522, "num_hidden_layers": 6},
        constants={"type_vocab_size": 0, "layer_norm_eps": 1e-12},
    ),
}


def architecture_of(config: BertConfig) -> Architecture:
    """Returns the row of a configuration's architecture, or raises a ValueError."""
    return find_architecture(config.model_type)


def find_architecture(model_type: str) -> Architecture:
    """Returns the row of an architecture, or raises a ValueError."""
    if model_type not in ARCHITECTURES:
        raise ValueError(
            f"Hugging Face's format of {model_type} is not supported. Supported: "
            f"{', '.join(ARCHITECTURES)}."
        )
    return ARCHITECTURES[model_type]
