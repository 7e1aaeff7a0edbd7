"""Feature extraction: from a text and a checkpoint to a file of vectors.

    extract_features(settings)
        checks everything -> model -> lines, a window at a time -> vectors -> writer

Source: google-research/bert, extract_features.py.
"""

import contextlib
import logging
from collections.abc import Iterator
from typing import TextIO

import tensorflow as tf

from bert_tf import files
from bert_tf.config import BertConfig
from bert_tf.data.validation import check_vocabulary_size
from bert_tf.features.extractor import FeatureExtractor
from bert_tf.features.writers import FeatureShape, open_writer
from bert_tf.model.encoder import make_encoder
from bert_tf.progress import Progress
from bert_tf.settings import FeatureExtractionSettings
from bert_tf.text.batch_tokenization import BatchTokenizer
from bert_tf.text.vocabulary import check_vocabulary, validate_case_matches_checkpoint
from bert_tf.training import distribution
from bert_tf.training.checkpoint import find_checkpoint, load_checkpoint
from bert_tf.training.devices import make_strategy
from bert_tf.training.run import check_length
from bert_tf.training.workers import Workers, together

logger = logging.getLogger(__name__)


def extract_features(settings: FeatureExtractionSettings, stream: TextIO | None = None) -> int:
    """Computes the features of a text's lines and writes them, as the settings say.

    Args:
        settings: what is wanted.
        stream: where progress is shown.

    Returns: the number of lines.

    Raises:
        ValueError: for settings, model and vocabulary that do not fit each other, before anything
            is computed; for text that is not UTF-8, with its line. No output file is left then.
        OSError: for files that cannot be read or written.
    """
    strategy = make_strategy(settings)
    with together(strategy, settings):
        return _extract(settings, strategy, stream)


def _extract(
    settings: FeatureExtractionSettings, strategy: tf.distribute.Strategy, stream: TextIO | None
) -> int:
    config = BertConfig.from_json_file(settings.bert_config_file)
    workers = Workers(strategy)
    layers = settings.layer_indices(config.num_hidden_layers)
    tokenizer = _checked_tokenizer(settings, config)
    find_checkpoint(settings.init_checkpoint)
    # Read once to be sure that all of it can be read, and to know how much it is.
    num_lines = sum(1 for _ in files.open_text_lines(settings.input_file))
    shape = FeatureShape(layers, settings.pool, config.hidden_size)
    tokens = tokenizer.exact.inv_vocab
    with contextlib.ExitStack() as stack:
        writer = None
        if workers.is_chief:
            writer = stack.enter_context(
                open_writer(settings.output_format, settings.output_file, shape, tokens)
            )
        stack.enter_context(_exact_products())
        progress = stack.enter_context(
            Progress(num_lines, "lines", workers.stream(stream), label="features")
        )
        extractor = _load_extractor(settings, config, layers, tokenizer, strategy)
        for features in extractor.extract(files.open_text_lines(settings.input_file)):
            if writer is not None:
                writer.write(features)
            progress.update(1)
    return int(progress.done)


def _checked_tokenizer(settings: FeatureExtractionSettings, config: BertConfig) -> BatchTokenizer:
    """The tokenizer; raises a ValueError where text, vocabulary and model do not fit."""
    check_length(settings.max_seq_length, config.max_position_embeddings, settings.bert_config_file)
    validate_case_matches_checkpoint(settings.do_lower_case, settings.init_checkpoint)
    tokenizer = BatchTokenizer(settings.vocab_file, settings.do_lower_case)
    vocab = tokenizer.exact.vocab
    check_vocabulary(vocab, settings.vocab_file, settings.do_lower_case)
    check_vocabulary_size(
        len(vocab), settings.vocab_file, config.vocab_size, settings.bert_config_file
    )
    return tokenizer


def _load_extractor(
    settings: FeatureExtractionSettings,
    config: BertConfig,
    layers: tuple[int, ...],
    tokenizer: BatchTokenizer,
    strategy: tf.distribute.Strategy,
) -> FeatureExtractor:
    with strategy.scope():
        encoder = make_encoder(config)
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


@contextlib.contextmanager
def _exact_products() -> Iterator[None]:
    """Within it GPUs multiply float32 as such; else they round to 10 bits of fraction (TF32)."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)
