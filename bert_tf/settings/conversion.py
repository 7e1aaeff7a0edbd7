"""The settings of converting a model to another format: ConversionSettings."""

import dataclasses

from bert_tf.settings.setting import check_choices, check_whole_numbers, setting

_LOWEST = {"average_last": 0, "padded_vocab_size": 0}
_CHOICES = {"to": ("google", "huggingface")}
_INPUTS = ((), ("text",), ("text_a", "text_b"))


@dataclasses.dataclass(frozen=True)
class ConversionSettings:
    """Which model is converted, to which format, and what may change.

    Raises:
        ValueError: for values that contradict each other or are missing.
    """

    source: str = setting(
        "",
        "The model: a folder, a checkpoint's prefix or file, a released model's zip or name. Its "
        "format is recognized from its files.",
    )
    to: str = setting("", "google (bert_model.ckpt) or huggingface (model.safetensors).")
    output_dir: str = setting("", "Where the files are written.")
    allow_missing: bool = setting(
        False,
        "Whether weights may be dropped that the new format cannot hold, and missing ones may be "
        "initialized. Each is named.",
    )
    keep_optimizer: bool = setting(
        True,
        "Whether the optimizer state is kept, if the new format can hold it (google). Without it a "
        "checkpoint has a third of the size, and training starts from step 0.",
    )
    average_last: int = setting(
        0,
        "Averages the weights of so many of the newest checkpoints of a training folder. 0: takes "
        "the newest as it is.",
    )
    padded_vocab_size: int = setting(
        0,
        "Pads the word embeddings to so many rows of zeros, which are never predicted. A multiple "
        "of 64 or 128 suits some devices. 0: no padding.",
    )
    inputs: tuple[str, ...] = setting(
        (),
        "The names of a classifier's texts in task.json, if it was made elsewhere: text, or "
        "text_a,text_b for pairs. By default text.",
    )
    overwrite: bool = setting(False, "Whether files in --output_dir may be overwritten.")

    def __post_init__(self) -> None:
        for name, flag in (("source", "from"), ("to", "to"), ("output_dir", "output_dir")):
            if not getattr(self, name):
                raise ValueError(f"--{flag} is needed.")
        check_choices(self, _CHOICES)
        check_whole_numbers(self, _LOWEST)
        if tuple(self.inputs) not in _INPUTS:
            raise ValueError(
                f"--inputs must be text or text_a,text_b. Received: {','.join(self.inputs)!r}"
            )
