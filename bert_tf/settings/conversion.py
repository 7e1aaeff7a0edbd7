"""Defines ConversionSettings: how a model is converted to another format."""

import dataclasses

from bert_tf.settings.setting import Settings, setting


@dataclasses.dataclass(frozen=True)
class ConversionSettings(Settings):
    """Says which model is converted, to which format, and what may change."""

    source: str = setting("", "A folder, a checkpoint, or a released model's zip or name.")
    to: str = setting("", "The format.", needed=True, choices=("google", "huggingface"))
    output_dir: str = setting("", "Where the files are written.", needed=True)
    allow_missing: bool = setting(False, "Whether weights may be dropped or made; each is named.")
    keep_optimizer: bool = setting(True, "Whether to keep the optimizer state, if the format can.")
    average_last: int = setting(0, "Newest checkpoints to average; 0: only the last.", at_least=0)
    padded_vocab_size: int = setting(0, "Rows to pad the word embeddings to; 0: none.", at_least=0)
    num_layers: int = setting(
        0,
        "Layers to keep, for a smaller model to train further: the first, the last and others "
        "evenly in between (0, 2, 4, 7, 9, 11 for 6 of 12); 0: all.",
        at_least=0,
    )
    part: str = setting(
        "",
        "Of an ELECTRA as it is pre-trained: which of its two models; by default all there is.",
        choices=("", "discriminator", "generator"),
    )
    new_words: str = setting(
        "",
        "File of words, one a line, which get [unused] rows of a WordPiece vocabulary and start as "
        "the mean of their old pieces: docs/domains.md.",
    )
    append_words: bool = setting(
        False,
        "Whether words of --new_words beyond the [unused] rows get rows at the end.",
        only_with="new_words",
    )
    new_vocab: str = setting(
        "",
        "A vocab.txt instead of the model's. Tokens of the old one keep their vectors, others "
        "start as the mean of their old pieces.",
    )
    inputs: tuple[str, ...] = setting(
        (), "A classifier's texts, if it was made elsewhere: text (the default) or text_a,text_b."
    )
    overwrite: bool = setting(False, "Whether files in --output_dir may be overwritten.")

    def __post_init__(self) -> None:
        if not self.source:
            raise ValueError("--from is needed.")
        super().__post_init__()
        if self.new_words and self.new_vocab:
            raise ValueError("Give --new_words or --new_vocab. Received both.")
        if tuple(self.inputs) not in ((), ("text",), ("text_a", "text_b")):
            raise ValueError(
                f"--inputs must be text or text_a,text_b. Received: {','.join(self.inputs)!r}"
            )

    @property
    def changes_vocabulary(self) -> bool:
        """Whether the rows of the vocabulary become others."""
        return bool(self.new_words or self.new_vocab)
