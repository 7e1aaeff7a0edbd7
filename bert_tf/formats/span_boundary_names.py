"""Names the weights of the span boundary head here and in the files of SpanBERT's authors.

transformers has no such head, and ignores it. The released SpanBERT models lack it; a training run
of the authors' code saves it.

Source: facebookresearch/SpanBERT, pretraining/fairseq/models/pair_bert.py,
`BertPairTargetPredictionHead`.
"""

SPAN_BOUNDARY = "cls/pair_target_predictions/"

_THEIRS = "cls.pair_target_predictions."
# Ours, theirs; the authors' code calls the weights of a LayerNorm gamma and beta.
_LAYERS = (("join", "1"), ("transform", "2"))
_WEIGHTS = {
    "position_embeddings": "position_embeddings.weight",
    "output_bias": "bias",
    **{
        f"{ours}/{weight}": f"mlp_layer_norm.{name}"
        for ours, number in _LAYERS
        for weight, name in (
            ("dense/kernel", f"linear{number}.weight"),
            ("dense/bias", f"linear{number}.bias"),
            ("LayerNorm/gamma", f"layer_norm{number}.weight"),
            ("LayerNorm/beta", f"layer_norm{number}.bias"),
        )
    },
}
SPAN_BOUNDARY_NAMES = {SPAN_BOUNDARY + ours: _THEIRS + theirs for ours, theirs in _WEIGHTS.items()}
