"""Extracts features of a text with a checkpoint, and writes them to a file.

Source: google-research/bert, extract_features.py.
"""

import contextlib
import logging
from typing import TextIO

import tensorflow as tf

from bert_tf import files
from bert_tf.config import BertConfig
from bert_tf.features.extractor import FeatureExtractor
from bert_tf.features.writers import open_writer
from bert_tf.model.encoders import make_encoder
from bert_tf.progress import Progress
from bert_tf.settings import FeatureExtractionSettings
from bert_tf.text.tokenizer import load_tokenizer_of_model
from bert_tf.training import distribution
from bert_tf.training.checkpoint import has_encoder, load_checkpoint
from bert_tf.training.devices import make_strategy
from bert_tf.training.run import check_length
from bert_tf.training.workers import Workers, together

logger = logging.getLogger(__name__)


def extract_features(settings: FeatureExtractionSettings, stream: TextIO | None = None) -> int:
    """Writes the features of a text's lines and returns the number of lines.

    Raises a ValueError, before anything is computed, if settings, model and vocabulary do not fit
    each other, or the text is not UTF-8; an OSError for files that cannot be read or written.
    """
    strategy = make_strategy(settings)
    with together(strategy, settings), contextlib.ExitStack() as stack:
        workers = Workers(strategy)
        extractor = _load_extractor(settings, strategy)
        # Finds invalid text before anything is computed.
        num_lines = sum(1 for _ in files.open_text_lines(settings.input_file))
        write = None
        if workers.is_chief:
            writer = open_writer(settings.output_format, settings.output_file, extractor)
            write = stack.enter_context(writer)
        # Otherwise GPUs round float32 to 10 bits of fraction before multiplying (TF32).
        tf32 = tf.config.experimental
        before = tf32.tensor_float_32_execution_enabled()
        tf32.enable_tensor_float_32_execution(False)
        stack.callback(tf32.enable_tensor_float_32_execution, before)
        progress = Progress(num_lines, "lines", workers.stream(stream), label="features")
        stack.enter_context(progress)
        for features in extractor.extract(files.open_text_lines(settings.input_file)):
            if write is not None:
                write(features)
            progress.update(1)
    return num_lines


def _load_extractor(
    settings: FeatureExtractionSettings, strategy: tf.distribute.Strategy
) -> FeatureExtractor:
    """Raises a ValueError if settings, vocabulary and model do not fit each other."""
    config = BertConfig.from_json_file(settings.bert_config_file)
    layers = settings.layer_indices(config.num_hidden_layers)
    check_length(settings.max_seq_length, config, settings.bert_config_file)
    tokenizer = load_tokenizer_of_model(settings, config)
    with strategy.scope():
        is_loaded = has_encoder(settings.init_checkpoint)
        encoder = make_encoder(config, will_be_loaded=is_loaded)
    report = load_checkpoint(
        encoder,
        settings.init_checkpoint,
        allow_missing=lambda name: name.startswith(encoder.pooler_prefix),
    )
    logger.info("%s: %d variables loaded", report.path, len(report.loaded))
    return FeatureExtractor(
        encoder,
        tokenizer,
        layers,
        settings.pool,
        settings.max_seq_length,
        settings.batch_size,
        strategy,
        static_shapes=distribution.is_tpu(strategy),
    )
