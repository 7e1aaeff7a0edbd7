"""Defines ExploreSettings: which model the explorer's page asks, and where it is shown or saved."""

import dataclasses

from bert_tf.settings.setting import Settings, setting

PANELS = ("fill_mask", "classification", "answer", "nearest", "attention")


@dataclasses.dataclass(frozen=True)
class ExploreSettings(Settings):
    """Says which model is explored, at which port, or which answer is saved as a page."""

    model: str = setting(
        "",
        "The model: an output folder of training, a released model's name, a zip, a Hugging Face "
        "folder, a SavedModel, ...",
        needed=True,
    )
    kind: str = setting("", "What the model does, if not what its files say.")
    max_seq_length: int = setting(0, "Tokens of a sequence at most; 0: as in training.", at_least=0)
    do_lower_case: bool | None = setting(None, "Whether to lower-case text, if not as in files.")
    port: int = setting(0, "The port on 127.0.0.1; 0: any that is free.", interval="[0, 65535]")
    open_browser: bool = setting(True, "Whether to open the page in the browser.")
    export: str = setting(
        "", "Writes one answer to this HTML file, a page by itself, instead of serving."
    )
    panel: str = setting(
        "", "Whose answer --export writes; empty: the model's first.", choices=("", *PANELS)
    )
    text: str = setting("", "The text, question or query of the exported answer.")
    second_text: str = setting(
        "", "A pair's second text, the passage of a question, or the sentences, one per line."
    )
    label: str = setting("", "The class to explain in the export; empty: the most probable.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.export and not self.text:
            raise ValueError("--text is needed: the text whose answer --export writes.")
        given = [name for name in ("panel", "text", "second_text", "label") if getattr(self, name)]
        if given and not self.export:
            flags = ", ".join(f"--{name}" for name in given)
            raise ValueError(f"{flags}: only with --export, which writes an answer to a file.")
