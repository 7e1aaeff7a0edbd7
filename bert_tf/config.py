"""What a model is and how data and training are to be made: frozen dataclasses, JSON in and out.

A default and its reason are written here and nowhere else; the scripts' flags take theirs from
these classes. Every class checks its values when it is made. No TensorFlow.
"""

import dataclasses
import json
import warnings
from pathlib import Path
from typing import Any

ACTIVATIONS = ("gelu", "gelu_erf", "relu", "tanh", "linear")

# How often text is gone through for pre-training records, by kind of masking. Static: the
# original's. Dynamic: records need no copies to have other masks.
DUPE_FACTORS = {"static": 10, "dynamic": 1}


@dataclasses.dataclass(frozen=True)
class BertConfig:
    """The shape of a BERT, as in the released `bert_config.json` files.

    Keys and defaults are the original release's, `type_vocab_size=16` included: released files
    name their own (2), and files written by others may rely on the default.

    Args:
        vocab_size: rows of the word embeddings. Needed.
        hidden_size: width H of every layer.
        num_hidden_layers: how many Transformer blocks.
        num_attention_heads: N; must divide `hidden_size`.
        intermediate_size: width of the feed-forward layer inside a block.
        hidden_act: activation of the feed-forward and masked-LM layers: `gelu` (its tanh form, as
            Google's models were trained), `gelu_erf` (the exact form, as Hugging Face's were),
            `relu`, `tanh` or `linear`.
        hidden_dropout_prob: dropout after embeddings and sub-layers, a fraction.
        attention_probs_dropout_prob: dropout of attention probabilities, a fraction.
        max_position_embeddings: longest sequence the position table holds, in tokens.
        type_vocab_size: how many segment ids there are.
        initializer_range: standard deviation of the truncated normal that weights start from.
        unknown_keys: keys of a JSON file that are not known here; kept and written out again.

    Raises:
        ValueError: for a value that no model can have.

    Source: google-research/bert, modeling.py, `BertConfig`.
    """

    vocab_size: int
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 16
    initializer_range: float = 0.02
    unknown_keys: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in (
            "vocab_size",
            "hidden_size",
            "num_hidden_layers",
            "num_attention_heads",
            "intermediate_size",
            "max_position_embeddings",
            "type_vocab_size",
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number above 0. Received: {value!r}")
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
            check_range(name, getattr(self, name), 0.0, 1.0, includes_high=False)
        check_range("initializer_range", self.initializer_range, 0.0, float("inf"), False, False)
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size must be a multiple of num_attention_heads. Received: "
                f"hidden_size={self.hidden_size}, num_attention_heads={self.num_attention_heads}"
            )
        if (self.hidden_act or "linear") not in ACTIVATIONS:
            raise ValueError(
                f"hidden_act must be one of {', '.join(ACTIVATIONS)}. Received: {self.hidden_act!r}"
            )

    @classmethod
    def from_dict(cls, json_object: dict[str, Any]) -> "BertConfig":
        """Builds a config from the keys of a released `bert_config.json`.

        Keys that are not known are kept in `unknown_keys`, with a warning.
        """
        known = {field.name for field in dataclasses.fields(cls)} - {"unknown_keys"}
        unknown = {key: value for key, value in json_object.items() if key not in known}
        if unknown:
            warnings.warn(
                f"BertConfig does not use these keys, and keeps them as they are: "
                f"{', '.join(sorted(unknown))}",
                stacklevel=2,
            )
        if "vocab_size" not in json_object:
            raise ValueError(f"A BertConfig needs vocab_size. Received: {sorted(json_object)}")
        values = {key: value for key, value in json_object.items() if key in known}
        return cls(**values, unknown_keys=unknown)

    @classmethod
    def from_json_file(cls, json_file: str) -> "BertConfig":
        """Reads a `bert_config.json`; `json_file` may be any path that TensorFlow can open."""
        json_object = read_json(json_file)
        if not isinstance(json_object, dict):
            raise ValueError(f"{json_file}: a JSON object is needed. Received: {json_object!r:.80}")
        try:
            return cls.from_dict(json_object)
        except ValueError as error:
            raise ValueError(f"{json_file}: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """The config as a dict that `from_dict` turns back into it."""
        values = dataclasses.asdict(self)
        return {**values.pop("unknown_keys"), **values}

    def to_json_string(self) -> str:
        """The config as the text of a `bert_config.json`: sorted keys, two spaces, a newline."""
        return json.dumps(self.to_dict(), indent=2, sort_keys=True) + "\n"


@dataclasses.dataclass(frozen=True)
class PretrainingDataSettings:
    """How sentence pairs with hidden tokens are made from text.

    The first eleven fields are the flags of the original create_pretraining_data.py. With these
    alone, `output_file` given and `output_dir` not, the records are the original's.

    Args:
        input_file: text files or patterns: a sentence a line, a blank line between documents.
            A string is taken apart at its commas.
        vocab_file: the vocabulary, a token a line.
        output_file: files that records are written to in turns. Either this or `output_dir`.
        do_lower_case: whether text is lower-cased and loses its accents. As the vocabulary was.
        do_whole_word_mask: whether the pieces of a word are hidden together.
        max_seq_length: tokens of a record, [CLS], both [SEP] and padding included; 5 at least.
        max_predictions_per_seq: the most tokens hidden in a record.
        random_seed: whence all chance comes.
        dupe_factor: how often the text is gone through, with other pairs and other masks each time.
            If None: 10 as in the original; 1 where masks are drawn later, in training.
        masked_lm_prob: what fraction of a record's tokens is hidden.
        short_seq_prob: what fraction of documents is cut into pairs of a shorter length, drawn at
            random, so that the model sees short ones too.
        output_dir: a folder for `pretraining-00000-of-0000N.tfrecord`. Documents are dealt to
            `num_shards` files that are made independently: memory is bounded by one of them.
        num_shards: N.
        num_workers: how many processes make shards. The records do not depend on it.
        masking: `static`, or `dynamic`: records hold unmasked pairs, and each epoch of training
            hides other tokens.
        gzip: whether the records' files are compressed.
        mend_quirks: whether to do better where the original harms the model: see
            docs/differences.md.

    Raises:
        ValueError: for values that no records can be made with, or that exclude each other.

    Source: google-research/bert, create_pretraining_data.py, its flags.
    """

    input_file: tuple[str, ...]
    vocab_file: str
    output_file: tuple[str, ...] = ()
    do_lower_case: bool = True
    do_whole_word_mask: bool = False
    max_seq_length: int = 128
    max_predictions_per_seq: int = 20
    random_seed: int = 12345
    dupe_factor: int | None = None
    masked_lm_prob: float = 0.15
    short_seq_prob: float = 0.1
    # Beyond the original: shards are made independently, so that memory is bounded by one shard.
    output_dir: str | None = None
    num_shards: int = 1
    num_workers: int = 1
    masking: str = "static"
    gzip: bool = False
    mend_quirks: bool = False

    def __post_init__(self) -> None:
        for name in ("input_file", "output_file"):
            value = getattr(self, name)
            parts = value.split(",") if isinstance(value, str) else value
            object.__setattr__(self, name, tuple(str(part) for part in parts))
        if self.masking not in DUPE_FACTORS:
            raise ValueError(
                f"masking must be one of {', '.join(DUPE_FACTORS)}. Received: {self.masking!r}"
            )
        if self.dupe_factor is None:
            object.__setattr__(self, "dupe_factor", DUPE_FACTORS[self.masking])
        lowest = {"max_seq_length": 5, "max_predictions_per_seq": 1, "dupe_factor": 1}
        for name, low in {**lowest, "num_shards": 1, "num_workers": 1}.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise ValueError(
                    f"{name} must be a whole number from {low} on. Received: {value!r}"
                )
        if isinstance(self.random_seed, bool) or not isinstance(self.random_seed, int):
            raise ValueError(f"random_seed must be a whole number. Received: {self.random_seed!r}")
        check_range("masked_lm_prob", self.masked_lm_prob, 0.0, 1.0, False, False)
        check_range("short_seq_prob", self.short_seq_prob, 0.0, 1.0)
        self._check_places()

    def _check_places(self) -> None:
        if not any(self.input_file) or not self.vocab_file:
            raise ValueError(
                f"input_file and vocab_file are needed. Received: input_file="
                f"{','.join(self.input_file)!r}, vocab_file={self.vocab_file!r}"
            )
        output_file = ",".join(self.output_file)
        if bool(output_file) == bool(self.output_dir):
            raise ValueError(
                f"Give either output_file or output_dir. Received: output_file={output_file!r}, "
                f"output_dir={self.output_dir!r}"
            )
        if "" in self.output_file or len(set(self.output_file)) < len(self.output_file):
            raise ValueError(
                f"output_file names a file twice, or none between two commas. "
                f"Received: {output_file!r}"
            )
        if not self.output_dir and (self.num_shards > 1 or self.num_workers > 1):
            raise ValueError(
                f"num_shards and num_workers need output_dir: the files of output_file share one "
                f"stream of chance, as in the original, and are made one record after the other. "
                f"Received: output_file={output_file!r}, num_shards={self.num_shards}, "
                f"num_workers={self.num_workers}"
            )


def check_range(
    name: str,
    value: float,
    low: float,
    high: float,
    includes_low: bool = True,
    includes_high: bool = True,
) -> None:
    """Raises a ValueError unless `value` is a number between `low` and `high`."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    above = is_number and (value > low or (includes_low and value == low))
    below = is_number and (value < high or (includes_high and value == high))
    if not (above and below):
        interval = f"{'[' if includes_low else '('}{low}, {high}{']' if includes_high else ')'}"
        raise ValueError(f"{name} must be a number in {interval}. Received: {value!r}")


def read_json(path: str) -> Any:
    """Parses a JSON file from the local disk, or from any file system TensorFlow knows.

    Raises:
        ValueError: if the file is not JSON in UTF-8, with the path and the place.
        FileNotFoundError: if there is none.
    """
    try:
        return json.loads(_read_bytes(path).decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 at byte {error.start}.") from error
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path}:{error.lineno}: not JSON: {error.msg} (column {error.colno})."
        ) from error


def _read_bytes(path: str) -> bytes:
    if "://" not in str(path):
        return Path(path).read_bytes()
    import tensorflow as tf  # Only for remote paths: this module imports in milliseconds.

    with tf.io.gfile.GFile(path, "rb") as file:
        return file.read()
