"""The settings of computing features with a pre-trained model: FeatureExtractionSettings."""

import dataclasses

from bert_tf.files.paths import resolve_path
from bert_tf.settings.devices import DeviceSettings
from bert_tf.settings.setting import check_choices, check_whole_numbers, setting

_LOWEST = {"max_seq_length": 2, "batch_size": 1}
_CHOICES = {"output_format": ("json", "npz", "tfrecord"), "pool": ("tokens", "cls", "mean")}


@dataclasses.dataclass(frozen=True)
class FeatureExtractionSettings(DeviceSettings):
    """The text, the model, its layers, and the output.

    All fields but the last two, and those of DeviceSettings, are flags of the original
    extract_features.py.

    Raises:
        ValueError: for values that are missing or contradict each other.

    Source: google-research/bert, extract_features.py, its flags.
    """

    input_file: str = setting(
        "", "Text, UTF-8, gzipped or not: a sentence a line, or a pair as `first ||| second`."
    )
    output_file: str = setting("", "Where the features are written.")
    layers: str = setting(
        "-1,-2,-3,-4",
        "The layers whose outputs are written, separated by commas: -1 is the last one, 0 the one "
        "above the embeddings.",
    )
    bert_config_file: str = setting("", "JSON file with the shape of the model.")
    max_seq_length: int = setting(
        128, "Tokens of a line at most, [CLS] and [SEP] included; longer ones are cut."
    )
    init_checkpoint: str = setting("", "The model's weights: a checkpoint's prefix, or a folder.")
    vocab_file: str = setting("", "The vocabulary that the model was trained with.")
    do_lower_case: bool = setting(
        True, "Whether text is lower-cased: True for uncased models, False for cased ones."
    )
    batch_size: int = setting(32, "Lines in a batch, over all devices.")
    master: str | None = setting(
        None, "The TPU: its name, its grpc:// address, or local (as if empty) on a TPU VM."
    )
    use_one_hot_embeddings: bool = setting(
        False,
        "Has no effect: word embeddings are always looked up, which gives the same values as the "
        "original's product with one-hot rows.",
    )
    # Beyond the original.
    output_format: str = setting(
        "json",
        "json: the original's lines. npz: one file for numpy.load. tfrecord: a tf.train.Example "
        "a line of text. The last two are about a third as large, and exact.",
    )
    pool: str = setting(
        "tokens",
        "For each layer, tokens: a vector for each token. cls: only that of [CLS]. mean: the mean "
        "over a line's tokens, [CLS] and [SEP] included.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        needed = ("input_file", "output_file", "bert_config_file", "init_checkpoint", "vocab_file")
        for name in needed:
            if not getattr(self, name):
                raise ValueError(f"--{name} is needed.")
        check_whole_numbers(self, _LOWEST)
        check_choices(self, _CHOICES)
        if resolve_path(self.input_file) == resolve_path(self.output_file):
            raise ValueError(
                f"--output_file would overwrite --input_file. Received: {self.output_file!r}"
            )

    def layer_indices(self, num_hidden_layers: int) -> tuple[int, ...]:
        """Returns the indices of the wanted layers, as they were given.

        Raises:
            ValueError: if one is not an integer, or the model has no such layer.
        """
        try:
            indices = tuple(int(part) for part in self.layers.split(","))
        except ValueError:
            indices = ()
        if not indices or not all(-num_hidden_layers <= i < num_hidden_layers for i in indices):
            raise ValueError(
                f"--layers must be whole numbers separated by commas, each from "
                f"{-num_hidden_layers} to {num_hidden_layers - 1}: the model has "
                f"{num_hidden_layers} layers, 0 is the first one and -1 the last one. "
                f"Received: {self.layers!r}"
            )
        return indices
