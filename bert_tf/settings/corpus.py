"""Defines CorpusSettings: how prepare_corpus.py makes a corpus."""

import dataclasses
import re

from bert_tf.settings.setting import Settings, setting

SOURCES = ("wikipedia", "books", "tfds", "jsonl", "html", "wikiextractor")

_LANGUAGE_PREFIX = re.compile(r"(?is)((?:simple|[a-z]{2,3})(?:-[a-z]+)*)=(.*)")


@dataclasses.dataclass(frozen=True)
class CorpusSettings(Settings):
    """Settings of `bert_tf.corpus.preparation.prepare_corpus`."""

    input_file: tuple[str, ...] = setting(
        (),
        "Files, patterns or data sets (wikipedia/20230601.en), separated by commas. A prefix "
        "sets the language: en=enwiki.xml.bz2,de=dewiki.xml.bz2.",
        needed=True,
    )
    output_dir: str = setting("", "Folder for corpus-00000-of-00010.txt and so on.", needed=True)
    source: str = setting(
        "auto",
        "Kind of input; auto: by the file's name and first bytes.",
        choices=("auto", *SOURCES),
    )
    language: str = setting(
        "", "Wikipedia's code (en, de), for inputs without a prefix. Default: the dump's, else en."
    )
    text_field: str = setting("text", "The text's field in JSON lines or a data set's examples.")
    split: str = setting("train", "With --source=tfds: train, train+test or train[:10%].")
    tfds_data_dir: str = setting("", "Folder of tensorflow-datasets. Default: its own.")
    num_shards: int = setting(1, "Number of files to write.", at_least=1)
    gzip: bool = setting(False, "Whether to compress the files.")
    num_workers: int = setting(1, "Number of processes. It does not affect the text.", at_least=1)
    # Next sentence prediction needs two sentences.
    min_sentences: int = setting(2, "Drop documents with fewer sentences.", at_least=1)
    min_characters: int = setting(100, "Drop documents with fewer characters.", at_least=0)
    drop_duplicates: bool = setting(True, "Whether to drop documents with the text of another.")
    truncate_probability: float = setting(
        0.0,
        "Fraction of sentences to truncate at a random word; 0.02 makes models robust to text "
        "that is not a sentence.",
        interval="[0, 1]",
    )
    # The paper's multilingual model.
    sampling_exponent: float = setting(
        0.7,
        "A language with the share p of the characters gets a share proportional to p to this "
        "power, by repeating or dropping documents. 1 changes nothing.",
        interval="[0, 1]",
    )
    held_out_share: float = setting(0.0, "Documents' share in held_out.txt.", interval="[0, 1)")
    random_seed: int = setting(12345, "Seed for --truncate_probability.")
    allow_truncated: bool = setting(False, "Whether to accept a truncated dump.")
    part_megabytes: float = setting(16.0, "Input that a worker reads at once.", interval="(0, inf)")

    def inputs_by_language(self) -> list[tuple[str, str]]:
        """Returns (language, pattern) of each input; the language is "" if none is given."""
        pairs = []
        for pattern in self.input_file:
            match = _LANGUAGE_PREFIX.fullmatch(pattern)
            pairs.append((match[1], match[2]) if match else (self.language, pattern))
        return pairs
