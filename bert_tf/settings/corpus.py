"""Defines CorpusSettings: how prepare_corpus.py makes a corpus."""

import dataclasses
import math
import re

from bert_tf.config import check_range
from bert_tf.settings.setting import check_choices, check_whole_numbers, setting

SOURCES = ("wikipedia", "books", "tfds", "jsonl")

_CHOICES = {"source": ("auto", *SOURCES)}
_LOWEST = {"num_shards": 1, "num_workers": 1, "min_sentences": 1, "min_characters": 0}
_LANGUAGE_PREFIX = re.compile(
    r"((?:simple|[a-z]{2,3})(?:-[a-z]+)*)=(.*)", re.DOTALL | re.IGNORECASE
)


@dataclasses.dataclass(frozen=True)
class CorpusSettings:
    """Settings of `bert_tf.corpus.preparation.prepare_corpus`.

    Raises:
        ValueError: if a value is not possible.
    """

    input_file: tuple[str, ...] = setting(
        (),
        "Files or patterns, separated by commas, or with --source=tfds the names of data sets "
        "(wikipedia/20230601.en). The prefix `de=` sets the language of an input: "
        "en=enwiki.xml.bz2,de=dewiki.xml.bz2.",
    )
    output_dir: str = setting("", "The folder for the text: corpus-00000-of-00010.txt and so on.")
    source: str = setting(
        "auto",
        "wikipedia (a dump, pages-articles.xml.bz2), books (plain text), tfds, jsonl (one object "
        "per line), or auto: by file name.",
    )
    language: str = setting(
        "",
        "The language's code on Wikipedia (en, de, zh), for inputs without a prefix. Default: the "
        "language in a dump's header, otherwise en.",
    )
    text_field: str = setting(
        "text", "The field of JSON lines, or of a data set's examples, that has the text."
    )
    split: str = setting(
        "train",
        "With --source=tfds: a split, several (train+test), or a slice (train[:10%]).",
    )
    tfds_data_dir: str = setting(
        "", "The folder of tensorflow-datasets. Default: ~/tensorflow_datasets."
    )
    num_shards: int = setting(1, "Number of files to write.")
    gzip: bool = setting(False, "Whether to compress the files.")
    num_workers: int = setting(1, "Number of processes. It does not affect the text.")
    # Next sentence prediction needs two sentences.
    min_sentences: int = setting(2, "Drop documents with fewer sentences.")
    min_characters: int = setting(100, "Drop documents with fewer characters.")
    drop_duplicates: bool = setting(
        True, "Whether to drop documents with exactly the same text as an earlier one."
    )
    truncate_probability: float = setting(
        0.0,
        "Fraction of sentences to truncate at a random word. The original's README recommends "
        "0.02, to make the model robust to text that is not a sentence.",
    )
    # The paper's multilingual model.
    sampling_exponent: float = setting(
        0.7,
        "With several languages: a language with the share p of all characters gets a share "
        "proportional to p to this power, by repeating or dropping documents. 1 changes nothing.",
    )
    held_out_share: float = setting(
        0.0, "Fraction of documents written to held_out.txt instead, for evaluation."
    )
    random_seed: int = setting(12345, "Seed for --truncate_probability.")
    allow_truncated: bool = setting(
        False,
        "Whether to accept a truncated dump, such as from a broken download.",
    )
    part_megabytes: float = setting(
        16.0,
        "Size of the pieces of input (decompressed) that workers process. Larger pieces need more "
        "memory, and lose more work when interrupted.",
    )

    def __post_init__(self) -> None:
        for name in ("input_file", "output_dir"):
            if not getattr(self, name) or not all(getattr(self, name)):
                raise ValueError(f"--{name} is needed. Received: {getattr(self, name)!r}")
        check_choices(self, _CHOICES)
        check_whole_numbers(self, _LOWEST)
        check_range("truncate_probability", self.truncate_probability, 0.0, 1.0)
        check_range("sampling_exponent", self.sampling_exponent, 0.0, 1.0)
        check_range("held_out_share", self.held_out_share, 0.0, 1.0, includes_high=False)
        check_range("part_megabytes", self.part_megabytes, 0.0, math.inf, False, False)

    def inputs_by_language(self) -> list[tuple[str, str]]:
        """Returns (language, pattern) of each input; the language is "" if none is given."""
        pairs = []
        for pattern in self.input_file:
            match = _LANGUAGE_PREFIX.fullmatch(pattern)
            pairs.append((match[1], match[2]) if match else (self.language, pattern))
        return pairs
