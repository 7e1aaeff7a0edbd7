"""BERT as published by google-research, on TensorFlow 2 and Keras 3.

    models          BertEncoder, AlbertEncoder, DistilBertEncoder, ElectraEncoder, RobertaEncoder,
                    and the heads ClassificationModel, MultiLabelModel, TokenClassificationModel,
                    TaggingModel, RoleModel, SpanModel, ChoiceModel, SiameseModel,
                    CoreferenceModel, PretrainingModel, DiscriminatorModel; each has from_preset,
                    save_to_preset
    presets()       the released models, with parameter counts and published scores
    text            FullTokenizer (BasicTokenizer, WordpieceTokenizer), ByteBpeTokenizer,
                    SentencePieceTokenizer, TextPreprocessor
    training        load_dataset, create_optimizer
    inference       Predictor
    configuration   BertConfig
    checkpoints     load_checkpoint, save_checkpoint

Importing this package loads neither TensorFlow nor Keras: names are looked up when first used.
"""

import importlib
import sys

from bert_tf.model.registration import register, register_with_keras
from bert_tf.version import __version__

# Public name -> the module that defines it.
_PUBLIC_NAMES = {
    "BertConfig": "bert_tf.config",
    "FullTokenizer": "bert_tf.text.tokenization",
    "ByteBpeTokenizer": "bert_tf.text.byte_bpe",
    "SentencePieceTokenizer": "bert_tf.text.sentencepiece_tokenization",
    "BasicTokenizer": "bert_tf.text.tokenization",
    "WordpieceTokenizer": "bert_tf.text.tokenization",
    "BertEncoder": "bert_tf.model.encoder",
    "AlbertEncoder": "bert_tf.model.albert",
    "ElectraEncoder": "bert_tf.model.electra",
    "RobertaEncoder": "bert_tf.model.roberta",
    "DistilBertEncoder": "bert_tf.model.distilbert",
    "PretrainingModel": "bert_tf.model.heads",
    "DiscriminatorModel": "bert_tf.model.replaced_tokens",
    "ClassificationModel": "bert_tf.model.task_heads",
    "MultiLabelModel": "bert_tf.model.task_heads",
    "TokenClassificationModel": "bert_tf.model.task_heads",
    "TaggingModel": "bert_tf.model.tagging_model",
    "SpanModel": "bert_tf.model.task_heads",
    "ChoiceModel": "bert_tf.model.task_heads",
    "SiameseModel": "bert_tf.model.siamese",
    "RoleModel": "bert_tf.model.role_model",
    "CoreferenceModel": "bert_tf.model.coreference",
    "TextPreprocessor": "bert_tf.text.preprocessor",
    "create_optimizer": "bert_tf.training.keras_optimizer",
    "load_dataset": "bert_tf.finetuning.dataset",
    "presets": "bert_tf.released.presets",
    "Predictor": "bert_tf.inference.predictor",
    "load_checkpoint": "bert_tf.training.checkpoint",
    "save_checkpoint": "bert_tf.training.checkpoint",
}

__all__ = ["__version__", *_PUBLIC_NAMES]


def __getattr__(name: str):
    if name not in _PUBLIC_NAMES:
        raise AttributeError(f"module 'bert_tf' has no attribute {name!r}")
    value = getattr(importlib.import_module(_PUBLIC_NAMES[name]), name)
    if "keras" in sys.modules:
        register()
    return value


def __dir__() -> list[str]:
    return __all__


register_with_keras()
