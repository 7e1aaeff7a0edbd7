"""The settings of making pre-training records: PretrainingDataSettings."""

import dataclasses

from bert_tf.config import check_range
from bert_tf.files.paths import resolve_path

# How often text is used for records, by kind of masking. Static: the original's. Dynamic: other
# masks need no copies of the records.
DUPE_FACTORS = {"static": 10, "dynamic": 1}


@dataclasses.dataclass(frozen=True)
class PretrainingDataSettings:
    """How sentence pairs with masked tokens are made from text.

    The first eleven fields are the flags of the original create_pretraining_data.py. With these
    alone, `output_file` given and `output_dir` not, the records are the original's.

    Args:
        input_file: text files or patterns: a sentence a line, a blank line between documents.
            A string is split at its commas.
        vocab_file: the vocabulary, a token a line.
        output_file: files that records are written to in turn. Either this or `output_dir`.
        do_lower_case: whether text is lower-cased and stripped of accents, as the vocabulary was.
        do_whole_word_mask: whether all pieces of a word are masked together.
        max_seq_length: tokens of a record, [CLS], both [SEP] and padding included; at least 5.
        max_predictions_per_seq: masked tokens of a record at most.
        random_seed: of everything random.
        dupe_factor: how often the text is used, each time with other pairs and masks. If None: 10
            as in the original, or 1 with dynamic masking.
        masked_lm_prob: the fraction of a record's tokens that is masked.
        short_seq_prob: the fraction of documents that is cut into pairs of a shorter, random
            length, so that the model sees short ones too.
        output_dir: a folder for `pretraining-00000-of-0000N.tfrecord`. Documents are distributed
            to `num_shards` files that are made independently: one of them must fit in memory.
        num_shards: N.
        num_workers: how many processes make shards. The records do not depend on it.
        masking: `static`, or `dynamic`: records are unmasked, and each epoch of training masks
            other tokens.
        gzip: whether the records' files are compressed.
        mend_quirks: whether to fix what harms the model in the original: see docs/differences.md.
        next_sentence: whether records hold sentence pairs and a next-sentence label, as in the
            original. If not, a record is one segment of consecutive sentences of a document, as
            many as fit, without a label: for objectives without next sentence prediction ("No NSP"
            in the paper's section 5.1).

    Raises:
        ValueError: for values that no records can be made with, or that contradict each other.

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
    next_sentence: bool = True

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
        places = set(map(resolve_path, self.output_file))
        if "" in self.output_file or len(places) < len(self.output_file):
            raise ValueError(
                f"output_file names a file twice, or none between two commas. "
                f"Received: {output_file!r}"
            )
        if not self.output_dir and (self.num_shards > 1 or self.num_workers > 1):
            raise ValueError(
                f"num_shards and num_workers need output_dir: the files of output_file share one "
                f"random stream, as in the original, and are made one record after the other. "
                f"Received: output_file={output_file!r}, num_shards={self.num_shards}, "
                f"num_workers={self.num_workers}"
            )
