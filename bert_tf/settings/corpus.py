"""How a corpus is prepared: CorpusSettings."""

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
    """What text is made into one sentence a line, and how.

    Raises:
        ValueError: for values that no corpus can be prepared with.
    """

    input_file: tuple[str, ...] = setting(
        (),
        "Files or patterns with commas between them, or with --source=tfds the names of data sets "
        "(wikipedia/20230601.en). `de=` in front of one says its language: "
        "en=enwiki.xml.bz2,de=dewiki.xml.bz2.",
    )
    output_dir: str = setting("", "A folder for the text: corpus-00000-of-00010.txt and so on.")
    source: str = setting(
        "auto",
        "wikipedia (a dump, pages-articles.xml.bz2), books (plain text), tfds, jsonl (an object a "
        "line), or auto: by the files' names.",
    )
    language: str = setting(
        "",
        "The language's code on Wikipedia (en, de, zh), for inputs that do not say theirs. By "
        "default that which a dump says, elsewhere en.",
    )
    text_field: str = setting("text", "Where JSON lines, or a data set's examples, have the text.")
    split: str = setting(
        "train",
        "With --source=tfds: which split, several (train+test), or some of one (train[:10%]).",
    )
    tfds_data_dir: str = setting(
        "", "Where tensorflow-datasets keeps its data sets; by default ~/tensorflow_datasets."
    )
    num_shards: int = setting(1, "How many files the text is parted into.")
    gzip: bool = setting(False, "Whether to compress the files.")
    num_workers: int = setting(
        1, "How many processes remove markup and write. The text does not depend on it."
    )
    # A pair of sentences, as next sentence prediction has them, takes two.
    min_sentences: int = setting(2, "A document with fewer sentences is left out.")
    min_characters: int = setting(100, "A document with fewer characters is left out.")
    drop_duplicates: bool = setting(
        True, "Whether a document is left out if its text, to the character, came before."
    )
    truncate_probability: float = setting(
        0.0,
        "What fraction of sentences loses its end, at a random place: the original's README "
        "recommends 0.02, for a model that copes with what is no sentence.",
    )
    # The paper's multilingual model.
    sampling_exponent: float = setting(
        0.7,
        "With several languages: a language with a share p of the characters gets one in "
        "proportion to p to this power, by repeating or leaving out documents. 1: as they are.",
    )
    held_out_share: float = setting(
        0.0, "What fraction of the documents goes to held_out.txt instead, for evaluation."
    )
    random_seed: int = setting(12345, "Where the places of truncation come from.")
    allow_truncated: bool = setting(
        False,
        "Whether a dump may end too early, as after a broken download.",
    )
    part_megabytes: float = setting(
        16.0,
        "How much of the input (a dump decompressed) a worker takes at a time; memory and what is "
        "done again after an interruption grow with it.",
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
        """(language, pattern) of each input; "" where none is given, neither there nor for all."""
        pairs = []
        for pattern in self.input_file:
            match = _LANGUAGE_PREFIX.fullmatch(pattern)
            pairs.append((match[1], match[2]) if match else (self.language, pattern))
        return pairs
