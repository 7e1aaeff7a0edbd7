"""Lists released models that are downloaded from the Hugging Face Hub, for `find_released_model`.

Source: their authors' repositories in the Hub; scores of fairseq's examples/roberta/README.md, Sanh
et al. 2019, and README of facebookresearch/SpanBERT.
"""

import dataclasses

from bert_tf.released.models import ReleasedModel
from bert_tf.released.published import Score

_ROBERTA = {
    "model_type": "roberta",
    "type_vocab_size": 1,
    "max_position_embeddings": 514,
    "layer_norm_eps": 1e-5,
    "hidden_act": "gelu_erf",
}
_DISTILBERT = {"model_type": "distilbert", "type_vocab_size": 0, "hidden_act": "gelu_erf"}
_SPANBERT = {"hidden_act": "gelu_erf"}


@dataclasses.dataclass(frozen=True)
class HubModel(ReleasedModel):
    """A model whose `path` is that of a repository in the Hub."""

    base_url = "https://huggingface.co"
    is_on_hub = True


_GLUE_DEV = ("MNLI", "QNLI", "QQP", "RTE", "SST-2", "MRPC", "CoLA Matthews", "STS-B")
_DISTIL_DEV = ("GLUE average", "MNLI", "QNLI", "QQP", "RTE", "SST-2", "MRPC")
_SPAN = ("SQuAD 1.1 F1", "SQuAD 2.0 F1", "OntoNotes coreference F1", "TACRED F1")
_BASE, _LARGE, _HALF = (12, 768, 12), (24, 1024, 16), (6, 768, 12)


def _row(name, path, sizes, vocabulary, config, licence, source="", tasks=(), values=""):
    pairs = zip(tasks, values.split(), strict=True)
    return HubModel(
        *(name, path, *sizes, *vocabulary),
        licence=licence,
        scores=tuple(Score(task, value, source) for task, value in pairs),
        own_config=config,
    )


_BYTES, _CASED = (50_265, False), (28_996, False)
_DISTIL = (_DISTILBERT, "Apache-2.0")
_NO_SALE = "CC-BY-NC-4.0"
HUB_MODELS = (
    _row(
        *("roberta_base", "FacebookAI/roberta-base", _BASE, _BYTES, _ROBERTA, "MIT"),
        *("fairseq (GLUE dev)", _GLUE_DEV, "87.6 92.8 91.9 78.7 94.8 90.2 63.6 91.2"),
    ),
    _row(
        *("roberta_large", "FacebookAI/roberta-large", _LARGE, _BYTES, _ROBERTA, "MIT"),
        *("fairseq (GLUE dev)", _GLUE_DEV, "90.2 94.7 92.2 86.6 96.4 90.9 68.0 92.4"),
    ),
    _row(
        *("distilbert_base_uncased", "distilbert/distilbert-base-uncased", _HALF, (30_522, True)),
        *(*_DISTIL, "paper (GLUE dev)", _DISTIL_DEV, "77.0 82.1 89.2 88.5 59.9 91.3 87.5"),
    ),
    _row(
        *("distilbert_base_cased", "distilbert/distilbert-base-cased", _HALF, _CASED, *_DISTIL),
    ),
    _row(
        *("distilbert_base_multilingual_cased", "distilbert/distilbert-base-multilingual-cased"),
        *(_HALF, (119_547, False), *_DISTIL),
    ),
    _row(
        *("distilroberta_base", "distilbert/distilroberta-base", _HALF, _BYTES),
        *(_ROBERTA, "Apache-2.0"),
    ),
    _row(
        *("spanbert_base_cased", "SpanBERT/spanbert-base-cased", _BASE, _CASED, _SPANBERT),
        *(_NO_SALE, "README of SpanBERT", _SPAN, "92.4 83.6 77.4 68.2"),
    ),
    _row(
        *("spanbert_large_cased", "SpanBERT/spanbert-large-cased", _LARGE, _CASED, _SPANBERT),
        *(_NO_SALE, "README of SpanBERT", _SPAN, "94.6 88.7 79.6 70.8"),
    ),
)
