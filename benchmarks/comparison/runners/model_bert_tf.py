"""Makes a model with random weights for all packages, if it is not there yet.

`work_dir/MODEL/google` is this package's folder and google-research's checkpoint, and
`work_dir/MODEL/huggingface` the same weights for transformers and keras-hub.
"""

from pathlib import Path

import keras
from reporting import read_settings

import bert_tf
from bert_tf.conversion.convert import convert
from bert_tf.settings import ConversionSettings

settings = read_settings()
folder = Path(settings.work_dir) / settings.weights
vocabularies = Path(__file__).parents[3] / "vocab"
HEADS = {"pretraining": bert_tf.PretrainingModel, "classification": bert_tf.ClassificationModel}


def make(partial: Path) -> None:
    keras.utils.set_random_seed(1)
    vocab = vocabularies / f"english_uncased_{settings.vocab_size}.txt"
    tokenizer = bert_tf.FullTokenizer(str(vocab), do_lower_case=True)
    config = bert_tf.BertConfig(
        vocab_size=settings.vocab_size,
        hidden_size=settings.hidden_size,
        num_hidden_layers=settings.num_hidden_layers,
        num_attention_heads=settings.num_attention_heads,
        intermediate_size=4 * settings.hidden_size,
        type_vocab_size=2,
    )
    encoder = bert_tf.BertEncoder(config)
    sizes = {"num_labels": 2} if settings.head == "classification" else {}
    model = HEADS[settings.head](encoder, **sizes)
    model.save_to_preset(str(partial / "google"), tokenizer, max_seq_length=128)
    there = str(partial / "huggingface")
    convert(ConversionSettings(str(partial / "google"), "huggingface", there))


if not folder.exists():
    partial = folder.with_name(f"{folder.name}.partial")
    make(partial)
    partial.rename(folder)
