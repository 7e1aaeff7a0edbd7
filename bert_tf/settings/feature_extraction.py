"""Defines FeatureExtractionSettings: how features of a text are computed."""

import dataclasses

from bert_tf.files.paths import resolve_path
from bert_tf.settings.devices import DeviceSettings
from bert_tf.settings.setting import setting


@dataclasses.dataclass(frozen=True)
class FeatureExtractionSettings(DeviceSettings):
    """Selects the text, the model, its layers, and the output.

    Source: google-research/bert, extract_features.py, its flags.
    """

    input_file: str = setting("", "Text, a sentence or `first ||| second` a line.", needed=True)
    output_file: str = setting("", "Where the features are written.", needed=True)
    layers: str = setting("-1,-2,-3,-4", "Layers to write; -1 is the last, 0 the first.")
    bert_config_file: str = setting("", "JSON file with the shape of the model.", needed=True)
    max_seq_length: int = setting(128, "Tokens of a line; longer ones are cut.", at_least=2)
    init_checkpoint: str = setting("", "The weights: a prefix, or a folder.", needed=True)
    vocab_file: str = setting("", "The vocabulary that the model was trained with.", needed=True)
    do_lower_case: bool = setting(True, "Whether to lower-case the text, as for uncased models.")
    batch_size: int = setting(32, "Lines in a batch, over all devices.", at_least=1)
    master: str | None = setting(None, "The TPU: a name, a grpc:// address, or local.")
    use_one_hot_embeddings: bool = setting(False, "Has no effect: embeddings are looked up.")
    # Beyond the original.
    output_format: str = setting(
        "json",
        "The original's JSON lines, or a file for numpy.load, or tf.train.Examples.",
        choices=("json", "npz", "tfrecord"),
    )
    pool: str = setting(
        "tokens",
        "What to write of each layer; cls: the vector of [CLS].",
        choices=("tokens", "cls", "mean"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if resolve_path(self.input_file) == resolve_path(self.output_file):
            raise ValueError(
                f"--output_file would overwrite --input_file. Received: {self.output_file!r}"
            )

    def layer_indices(self, num_hidden_layers: int) -> tuple[int, ...]:
        """Returns the indices in `layers`; raises a ValueError if the model has no such layer."""
        try:
            indices = tuple(int(part) for part in self.layers.split(","))
        except ValueError:
            indices = ()
        if not indices or not all(-num_hidden_layers <= i < num_hidden_layers for i in indices):
            raise ValueError(
                f"--layers must be whole numbers separated by commas, each from "
                f"{-num_hidden_layers} (the first layer) to {num_hidden_layers - 1} (the last). "
                f"Received: {self.layers!r}"
            )
        return indices
