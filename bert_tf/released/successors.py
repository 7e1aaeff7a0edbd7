"""Lists the released models of BERT's successors, for `find_released_model`.

    albert_*     tar files of google-research/albert: albert_config.json, model.ckpt-best.*, and
                 30k-clean.model with 30k-clean.vocab or, of the Chinese ones (zh), WordPiece's
                 vocab_chinese.txt; the configurations here have the sizes only
    electra_*    zips of google-research/electra: vocab.txt and the checkpoint of generator and
                 discriminator; the configuration here is put beside them
    others       their authors' repositories in the Hugging Face Hub

Sources: README of google-research/albert, Lan et al. 2020, tables 1 and 2; README and
configure_pretraining.py of google-research/electra, Clark et al. 2020, table 6; fairseq's
examples/roberta/README.md; Sanh et al. 2019; README of facebookresearch/SpanBERT.
"""

from bert_tf.released.released_model import ReleasedModel, scores

_BASE, _LARGE, _HALF = (12, 768, 12), (24, 1024, 16), (6, 768, 12)  # Layers, H, heads.

_ALBERT_TASKS = ("average", "SQuAD 1.1 dev F1/EM", "SQuAD 2.0 dev F1/EM", "MNLI", "SST-2", "RACE")
# The shape; the published scores of version 2, and the average of version 1.
_ALBERTS = {
    "base": (_BASE, "82.3 90.2/83.2 82.1/79.3 84.6 92.9 66.8", "80.1"),
    "large": (_LARGE, "85.7 91.8/85.2 84.9/81.8 86.5 94.9 75.2", "82.4"),
    "xlarge": ((24, 2048, 16), "87.9 92.9/86.4 87.9/84.1 87.9 95.4 80.7", "85.5"),
    "xxlarge": ((12, 4096, 64), "90.9 94.6/89.1 89.8/86.9 90.6 96.8 86.8", "91.0"),
}


def _albert(size: str, version: str) -> ReleasedModel:
    shape, of_second, of_first = _ALBERTS[size]
    published = {"v2": of_second, "v1": of_first, "zh": ""}[version]  # None of the Chinese ones.
    tasks = _ALBERT_TASKS[: len(published.split())]
    # Version 2 was trained without dropout, as all xxlarge ones.
    dropout = 0.1 if version == "v1" and size != "xxlarge" else 0.0
    return ReleasedModel(
        f"albert_{size}_{version}",
        f"albert_{size}_{version}.tar.gz",
        *(*shape, 21_128 if version == "zh" else 30_000, True),
        scores=scores("README of google-research/albert", tasks, published),
        own_config={
            "model_type": "albert",
            "embedding_size": 128,
            "num_hidden_groups": 1,
            "inner_group_num": 1,
            "hidden_dropout_prob": dropout,
            "attention_probs_dropout_prob": dropout,
        },
        base_url="https://storage.googleapis.com/albert_models",
        is_config_known=False,
    )


_ELECTRA_TASKS = (
    *("CoLA Matthews", "SST-2", "MRPC", "STS-B Spearman", "QQP", "MNLI", "QNLI", "RTE"),
    *("SQuAD 1.1 EM", "SQuAD 2.0 EM", "CoNLL-2000 chunking F1"),
)
# The shape; E, the generator's width as a fraction of H; the published scores.
_ELECTRAS = {
    "small": ((12, 256, 4), 128, 1.0, "57.0 91.2 88.0 87.5 89.0 81.3 88.4 66.7 75.8 70.1 96.5"),
    "base": (_BASE, 768, 1 / 3, "67.7 95.1 89.5 91.2 91.5 88.8 93.2 82.7 86.8 80.5 97.1"),
    "large": (_LARGE, 1024, 0.25, "69.1 96.9 90.8 92.6 92.4 90.9 95.0 88.0 89.7 88.1 97.2"),
}


def _electra(size: str) -> ReleasedModel:
    shape, embedding_size, generator_width, published = _ELECTRAS[size]
    source = "README of google-research/electra (development sets, medians)"
    return ReleasedModel(
        f"electra_{size}",
        f"electra_{size}.zip",
        *(*shape, 30_522, True),
        scores=scores(source, _ELECTRA_TASKS, published),
        own_config={
            "model_type": "electra",
            "embedding_size": embedding_size,
            "generator_hidden_size": generator_width,
            "generator_layers": 1.0,
        },
        base_url="https://storage.googleapis.com/electra-data",
        has_config=False,
        bytes_per_parameter=24,  # Both models, with moments.
    )


def _roberta(name: str, path: str, shape, licence: str, published: str = "") -> ReleasedModel:
    tasks = ("MNLI", "QNLI", "QQP", "RTE", "SST-2", "MRPC", "CoLA Matthews", "STS-B")
    config = {
        "model_type": "roberta",
        "type_vocab_size": 1,
        "max_position_embeddings": 514,
        "layer_norm_eps": 1e-5,
    }
    found = scores("fairseq (GLUE dev)", tasks, published) if published else ()
    return _on_hub(name, path, (*shape, 50_265, False), config, licence, found)


def _distilbert(kind: str, vocab_size: int, published: str = "") -> ReleasedModel:
    name, is_lower = f"distilbert_base_{kind}", kind == "uncased"
    tasks = ("GLUE average", "MNLI", "QNLI", "QQP", "RTE", "SST-2", "MRPC")
    config = {"model_type": "distilbert", "type_vocab_size": 0}
    found = scores("paper (GLUE dev)", tasks, published) if published else ()
    path = f"distilbert/{name.replace('_', '-')}"
    return _on_hub(name, path, (*_HALF, vocab_size, is_lower), config, "Apache-2.0", found)


def _spanbert(size: str, shape, published: str) -> ReleasedModel:
    tasks = ("SQuAD 1.1 F1", "SQuAD 2.0 F1", "OntoNotes coreference F1", "TACRED F1")
    found = scores("README of SpanBERT", tasks, published)
    name, path = f"spanbert_{size}_cased", f"SpanBERT/spanbert-{size}-cased"
    return _on_hub(name, path, (*shape, 28_996, False), {}, "CC-BY-NC-4.0", found)


def _on_hub(name: str, path: str, shape, config: dict, licence: str, found) -> ReleasedModel:
    return ReleasedModel(
        *(name, path, *shape),
        licence=licence,
        scores=found,
        own_config={"hidden_act": "gelu_erf", **config},
        base_url="https://huggingface.co",
        is_on_hub=True,
    )


SUCCESSORS = (
    *(_albert(size, version) for size in _ALBERTS for version in ("v1", "v2")),
    *(_albert(size, "zh") for size in _ALBERTS),
    *map(_electra, _ELECTRAS),
    *(
        _roberta(f"roberta_{size}", f"FacebookAI/roberta-{size}", shape, "MIT", published)
        for size, shape, published in (
            ("base", _BASE, "87.6 92.8 91.9 78.7 94.8 90.2 63.6 91.2"),
            ("large", _LARGE, "90.2 94.7 92.2 86.6 96.4 90.9 68.0 92.4"),
        )
    ),
    _distilbert("uncased", 30_522, "77.0 82.1 89.2 88.5 59.9 91.3 87.5"),
    _distilbert("cased", 28_996),
    _distilbert("multilingual_cased", 119_547),
    _roberta("distilroberta_base", "distilbert/distilroberta-base", _HALF, "Apache-2.0"),
    _spanbert("base", _BASE, "92.4 83.6 77.4 68.2"),
    _spanbert("large", _LARGE, "94.6 88.7 79.6 70.8"),
)
