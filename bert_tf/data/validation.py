"""Checks records before the first step, so that no run dies of them in its third week.

What is wrong is said with the file, the number of the record, what stands there, and what would
do. Data sets of up to a million examples are checked whole; of larger ones the first and last block
of every file, as far as that is a million, and blocks drawn at random.
"""

import logging
import time
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from bert_tf.data.block_reader import BlockTable, read_records
from bert_tf.data.record_content import ContentRules
from bert_tf.data.record_index import FileIndex, RecordIndex, check_on_corrupt, index_by_scan
from bert_tf.data.record_scan import Fault, scan_file
from bert_tf.data.schema import Feature

logger = logging.getLogger(__name__)

# Takes some 10 seconds on two cores. More are checked only to leave out damaged ones.
CHECKED_EXAMPLES = 1_000_000
# Rows are added to a vocabulary so that its size divides well, or for words to come; not more.
MAX_UNUSED_ROWS = 1024
_SECONDS_BETWEEN_REPORTS = 10.0
# Before the number, where one run has records of several kinds: seq512pred77.
_IN_PHASES = {"max_seq_length": "seq", "max_predictions_per_seq": "pred"}
# A record that cannot be parsed. TensorFlow quotes it, and Python may not be able to decode that.
_PARSE_ERRORS = (tf.errors.InvalidArgumentError, UnicodeDecodeError)

Report = Callable[[str], None]


def check_manifests(
    index: RecordIndex, max_seq_length: int, max_predictions_per_seq: int, vocab_size: int
) -> None:
    """Compares what the manifests say of the records with the settings of a run.

    Records without a manifest pass; `check_records` looks into them.

    Raises:
        ValueError: if the records were made with other settings, or a vocabulary that is larger
            than the model's, or much smaller.
    """
    for file in index.files:
        if file.run is None:
            continue
        settings, masking = file.run["settings"], file.run["settings"].get("masking", "static")
        wanted = {"max_seq_length": max_seq_length}
        if masking == "static":
            wanted["max_predictions_per_seq"] = max_predictions_per_seq
        for name, value in wanted.items():
            if settings[name] != value:
                raise ValueError(
                    f"{file.path}: its records were made with {name}={settings[name]}, says the "
                    f"manifest.json beside it. Give --{name}={settings[name]} (in --phases: "
                    f"{_IN_PHASES[name]}{settings[name]}), or make the records anew. Received: "
                    f"{name}={value}"
                )
        made_with = file.run["vocabulary"]
        if made_with["size"] > vocab_size:
            raise ValueError(
                f"{file.path}: its records were made with a vocabulary of {made_with['size']} "
                f"tokens ({made_with['file']}), the model has room for {vocab_size}. Set "
                f"vocab_size in the bert_config file to {made_with['size']}."
            )
        if vocab_size - made_with["size"] > MAX_UNUSED_ROWS:
            raise ValueError(
                f"{file.path}: its records were made with a vocabulary of {made_with['size']} "
                f"tokens ({made_with['file']}), too small for a model of {vocab_size}: so many "
                f"rows without a token are no padding, but another vocabulary. Set vocab_size in "
                f"the bert_config file to {made_with['size']}, or make the records with the "
                f"vocabulary of the model."
            )


def check_records(
    index: RecordIndex,
    features: Mapping[str, Feature],
    vocab_size: int,
    type_vocab_size: int,
    on_corrupt: str = "fail",
    report: Report | None = None,
    max_examples: int = CHECKED_EXAMPLES,
) -> RecordIndex:
    """Reads records and checks that a model can be trained on them.

    Args:
        index: the records.
        features: what each must hold, with these lengths.
        vocab_size: ids are below this.
        type_vocab_size: segment ids are below this.
        on_corrupt: "fail", or "skip": records whose checksum is wrong are left out. What can be
            read, but does not suit the model, is an error either way.
        report: is handed a line about progress now and then, and about everything left out; without
            it the lines are logged.
        max_examples: check about so many. With "skip" all are checked: which ones are left out must
            not depend on which are looked at.

    Returns:
        The index, without the corrupt records.

    Raises:
        ValueError: for the first record that is corrupt or does not suit, with its file.
    """
    check_on_corrupt(on_corrupt)
    skips = on_corrupt == "skip"
    rules = ContentRules(features, vocab_size, type_vocab_size)
    blocks = _choose_blocks(index, index.num_examples if skips else max_examples)
    return _check_blocks(index, blocks, rules, skips, report or logger.info)


def find_corrupt_record(index: RecordIndex, report: Report | None = None) -> None:
    """Looks for a record that cannot be read, to name what TensorFlow does not.

    Raises:
        ValueError: for the first one, with its file. If there is none, nothing happens.
    """
    _check_blocks(index, np.arange(index.num_blocks), None, False, report or logger.info)


def _choose_blocks(index: RecordIndex, max_examples: int) -> np.ndarray:
    """<int64>[n], ascending: blocks that hold about as many examples, one at least.

    The first and last block of every file come before all others, as far as they fit.
    """
    blocks = np.arange(index.num_blocks)
    if index.num_examples <= max_examples:
        return blocks
    is_first = np.diff(index.block_file, prepend=-1) != 0
    is_end = is_first | np.append(is_first[1:], True)
    # A stable sort of a permutation: ends first, and chance among equals.
    drawn = np.random.default_rng(0).permutation(blocks)
    drawn = drawn[np.argsort(~is_end[drawn], kind="stable")]
    count = np.searchsorted(np.cumsum(index.block_size[drawn]), max_examples, side="right")
    return np.sort(drawn[: max(1, count)])


def _check_blocks(
    index: RecordIndex, blocks: np.ndarray, rules: ContentRules | None, skips: bool, report: Report
) -> RecordIndex:
    """Checks blocks fast; has a close look at those in which something is wrong."""

    def is_fine(path, compression, offset, skip, size):
        records = read_records(path, compression, offset, skip, size)
        return tf.constant(True) if rules is None else rules.are_met(records)

    suspicious = _suspicious_blocks(index, blocks, is_fine, not skips, report)
    checked = list(index.files)
    for number in np.unique(index.block_file[suspicious]):
        mine = suspicious[index.block_file[suspicious] == number]
        first = np.flatnonzero(index.block_file == number)[0]
        look = _CloseLook(checked[number], tf.function(is_fine), rules)
        checked[number] = look.at_blocks(mine - first, skips)
        for fault in checked[number].faults[len(index.files[number].faults) :]:
            report(f"Left out: {fault}")
    index = RecordIndex(tuple(checked))
    if not index.num_blocks:
        raise ValueError(f"No record is left of: {', '.join(index.paths)}")
    return index


def _suspicious_blocks(
    index: RecordIndex, blocks: np.ndarray, is_fine: Callable, first_only: bool, report: Report
) -> np.ndarray:
    """<int64>[n]: the blocks that cannot be read, or that hold what they should not."""
    table = BlockTable(index)
    dataset = tf.data.Dataset.from_tensor_slices(blocks.astype(np.int64)).map(
        lambda block: is_fine(*table.place(block)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    results = iter(dataset)
    suspicious = []
    reported = time.monotonic()
    for done, block in enumerate(blocks, start=1):
        try:
            fine = bool(next(results))
        except (tf.errors.DataLossError, *_PARSE_ERRORS):
            fine = False
        if not fine:
            suspicious.append(block)
            if first_only:
                break
        if time.monotonic() - reported > _SECONDS_BETWEEN_REPORTS:
            reported = time.monotonic()
            report(f"Checked {100 * done // len(blocks)} % of the records.")
    return np.array(suspicious, np.int64)


class _CloseLook:
    """Finds out what is wrong in a file of which some blocks are suspicious."""

    def __init__(self, file: FileIndex, is_fine: Callable, rules: ContentRules | None) -> None:
        self.file = file
        self.is_fine = is_fine
        self.rules = rules
        self.bad: dict[int, Fault] = {}
        self.offsets = np.zeros(0, np.int64)

    def at_blocks(self, blocks: np.ndarray, skips: bool) -> FileIndex:
        """The file without its corrupt records; a ValueError if nothing may be left out."""
        file = self.file
        scanned = scan_file(file.path, file.compression, records_per_block=1)
        self.offsets = scanned.block_offsets
        if scanned.fault:
            if not skips:
                scanned.fault.fail()
            per_block = int(file.size.max())
            self.file = index_by_scan(file.path, file.compression, file.run, "skip", per_block)
            blocks = np.arange(len(self.file.size))
        elif not self._is_described():
            raise ValueError(
                f"{file.path}: its records do not lie where the manifest.json beside it says, "
                f"though its size is right: the file was replaced. Make the records anew, or move "
                f"manifest.json away to read them as they are."
            )
        for block in blocks:
            self._search(block, 0, int(self.file.size[block]))
        if self.bad and not skips:
            self.bad[min(self.bad)].fail()
        return self.file.without(self.bad)

    def _is_described(self) -> bool:
        """Whether the index tells truly where records lie, and how many there are."""
        file = self.file
        if file.compression:
            return len(self.offsets) == file.record[-1] + file.size[-1]
        starts = np.append(self.offsets, -1)[file.record - file.skip]
        return np.array_equal(starts, file.offset)

    def _search(self, block: int, first: int, past: int) -> None:
        """Halves a stretch of a block's records until the bad ones stand alone."""
        file = self.file
        place = (
            tf.constant(file.path),
            tf.constant(file.compression),
            tf.constant(file.offset[block], tf.int64),
            tf.constant(file.skip[block] + first, tf.int64),
            tf.constant(past - first, tf.int64),
        )
        is_corrupt = False
        try:
            if self.is_fine(*place):
                return
        except tf.errors.DataLossError:
            is_corrupt = True
        except _PARSE_ERRORS:
            pass
        record = int(file.record[block]) + first
        if past - first > 1:
            middle = (first + past) // 2
            self._search(block, first, middle)
            self._search(block, middle, past)
        elif is_corrupt:
            reason = "the record does not fit its checksum"
            offset = int(self.offsets[record])
            self.bad[record] = Fault(file.path, record, offset, reason, "one record is left out")
        elif self.rules is not None:
            self.rules.explain(tf.function(read_records)(*place)[0].numpy(), file.path, record)


def check_vocabulary_size(
    num_tokens: int, vocab_file: str, vocab_size: int, bert_config_file: str
) -> None:
    """Raises a ValueError if a vocabulary is not that of the model's word embeddings.

    A model may have some rows without a token, up to a round number.
    """
    if not vocab_size - MAX_UNUSED_ROWS <= num_tokens <= vocab_size:
        raise ValueError(
            f"{vocab_file} has {num_tokens} rows, the model's word embeddings have {vocab_size} "
            f"(vocab_size in {bert_config_file}): the model was trained with another vocabulary."
        )
