"""Checks records before the first step, so that no run fails on them in its third week.

Of more than a million examples, a sample is checked.
"""

import itertools
import logging
from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf

from bert_tf.config import check_form, check_vocabulary_size
from bert_tf.data.block_reader import READING_ERRORS, BlockTable
from bert_tf.data.order import map_batches
from bert_tf.data.record_index import CORRUPT_ADVICE, FileIndex, RecordIndex, index_by_scan
from bert_tf.data.records import Fault, read_records_at, scan_file
from bert_tf.data.schema import Feature, parse_stored

logger = logging.getLogger(__name__)

CHECKED_EXAMPLES = 1_000_000  # Some 10 seconds on two cores.

# What records were made with, in their manifest.
_RUN_FORM = {
    "settings": {"max_seq_length": int, "max_predictions_per_seq": int},
    "vocabulary": {"file": str, "size": int},
}


def check_manifests(
    index: RecordIndex, max_seq_length: int, max_predictions_per_seq: int, vocab_size: int
) -> None:
    """Raises a ValueError if manifests say that records do not fit these settings or vocabulary."""
    for file in index.files:
        if file.run is None:
            continue
        check_form(f"{file.path}: its entry in the manifest", file.run, _RUN_FORM)
        settings, vocabulary = file.run["settings"], file.run["vocabulary"]
        wanted = [("max_seq_length", "seq", max_seq_length)]
        is_packed = settings.get("packing", "bert") == "electra"
        if settings.get("masking", "static") == "static" and not is_packed:
            wanted.append(("max_predictions_per_seq", "pred", max_predictions_per_seq))
        for name, in_phases, value in wanted:
            if settings[name] != value:
                raise ValueError(
                    f"{file.path}: its records were made with {name}={settings[name]}. Give "
                    f"--{name}={settings[name]} (in --phases: {in_phases}{settings[name]}), or "
                    f"make the records anew. Received: {name}={value}"
                )
        name = f"{file.path}: the vocabulary of its records, {vocabulary['file']},"
        check_vocabulary_size(vocabulary["size"], name, vocab_size, "the bert_config file")


def check_settings(index: RecordIndex, wanted: Mapping[str, bool]) -> None:
    """Raises a ValueError if a manifest says that records were not made with these settings."""
    for file, (name, value) in itertools.product(index.files, wanted.items()):
        if file.run is None and value:
            logger.warning(
                "%s: without a manifest.json beside it, nothing says whether its records were made "
                "with --%s, as the objective needs.",
                *(file.path, name),
            )
        elif file.run and bool(file.run["settings"].get(name)) != value:
            given, needed = (f"--{name}={str(each).lower()}" for each in (not value, value))
            raise ValueError(
                f"{file.path}: the objective needs records that create_pretraining_data.py makes "
                f"with {needed}. Make them anew, or give another --objective. Received: records "
                f"made with {given}"
            )


def check_records(
    index: RecordIndex,
    features: Mapping[str, Feature],
    vocab_size: int,
    type_vocab_size: int,
    skips_corrupt: bool = False,
    max_examples: int = CHECKED_EXAMPLES,
) -> RecordIndex:
    """Checks records against the model and returns the index without corrupt ones.

    `skips_corrupt` leaves out records with a wrong checksum; then all are checked, and otherwise
    about `max_examples`. Raises a ValueError for the first record that is corrupt or does not fit,
    with its file.
    """
    rules = _ContentRules(features, vocab_size, type_vocab_size)
    blocks = _choose_blocks(index, index.num_examples if skips_corrupt else max_examples)
    return _check_blocks(index, blocks, rules, skips_corrupt)


def find_corrupt_record(index: RecordIndex) -> None:
    """Raises a ValueError for the first record that cannot be read, if any."""
    _check_blocks(index, np.arange(len(index.blocks)), None, skips_corrupt=False)


def _choose_blocks(index: RecordIndex, max_examples: int) -> np.ndarray:
    """Returns the first and last block of each file, and random ones, up to about max_examples."""
    blocks = np.arange(len(index.blocks))
    if index.num_examples <= max_examples:
        return blocks
    is_first = np.diff(index.block_file, prepend=-1) != 0
    is_end = is_first | np.append(is_first[1:], True)
    drawn = np.random.default_rng(0).permutation(blocks)
    drawn = drawn[np.argsort(~is_end[drawn], kind="stable")]
    num_examples = np.cumsum(index.blocks["size"][drawn])
    return np.sort(drawn[: max(1, np.searchsorted(num_examples, max_examples, side="right"))])


def _check_blocks(
    index: RecordIndex, blocks: np.ndarray, rules: "_ContentRules | None", skips_corrupt: bool
) -> RecordIndex:
    """Checks blocks in parallel, then searches those that failed for the records at fault."""
    suspicious = np.fromiter(_suspicious_blocks(index, blocks, rules, skips_corrupt), np.int64)
    checked = list(index.files)
    for number in np.unique(index.block_file[suspicious]):
        first = np.searchsorted(index.block_file, number)
        mine = suspicious[index.block_file[suspicious] == number] - first
        checked[number] = _search_file(checked[number], mine, rules, skips_corrupt)
        for fault in checked[number].faults[len(index.files[number].faults) :]:
            logger.warning("Left out: %s", fault)
    index = RecordIndex(tuple(checked))
    if not len(index.blocks):
        raise ValueError(f"No record is left of: {', '.join(index.paths)}")
    return index


def _suspicious_blocks(
    index: RecordIndex, blocks: np.ndarray, rules: "_ContentRules | None", find_all: bool
) -> Iterator[int]:
    """Yields the blocks that cannot be read or break the rules."""
    table = BlockTable(index)

    def is_valid(block: tf.Tensor) -> tf.Tensor:
        records = table.read_one(block)
        return tf.constant(True) if rules is None else rules.are_met(records)

    dataset = tf.data.Dataset.from_tensor_slices(blocks.astype(np.int64))
    results = iter(map_batches(dataset, is_valid))
    for block in blocks:
        try:
            if next(results):
                continue
        except READING_ERRORS:
            pass
        yield block
        if not find_all:
            return


def _search_file(
    file: FileIndex, blocks: np.ndarray, rules: "_ContentRules | None", skips_corrupt: bool
) -> FileIndex:
    """Returns the file without the corrupt records in `blocks`; raises if one breaks the rules."""
    scan = scan_file(file.path, file.compression, records_per_block=1)
    if scan.fault:
        file = index_by_scan(file.path, file.run, skips_corrupt)
        blocks = np.arange(len(file.blocks))
        if len(blocks):  # Most of them are valid, and Python would take long to see that.
            again = RecordIndex((file,))
            blocks = np.fromiter(_suspicious_blocks(again, blocks, rules, skips_corrupt), np.int64)
    elif not _matches(file, scan.block_offsets):
        raise ValueError(
            f"{file.path}: its records do not match the manifest.json beside it: the file was "
            f"replaced. Make the records again, or move manifest.json away."
        )
    faults = []
    for _, _, first, size in file.blocks[blocks].tolist():
        offsets = scan.block_offsets[first : first + size].tolist()
        found = read_records_at(file.path, file.compression, offsets)
        for record, offset, (serialized, is_whole) in zip(itertools.count(first), offsets, found):
            if is_whole and rules:
                rules.explain(serialized, f"{file.path}: record {record:,}")
            elif not is_whole:
                reason = "the record does not fit its checksum"
                faults.append(Fault(file.path, record, offset, reason, "one record is left out"))
    if faults and not skips_corrupt:
        raise faults[0].error(CORRUPT_ADVICE)
    return file.without(faults)


def _matches(file: FileIndex, offsets: np.ndarray) -> bool:
    """Returns whether the blocks of a file agree with the offsets of all its records."""
    blocks = file.blocks
    if file.compression:
        return len(offsets) == blocks["record"][-1] + blocks["size"][-1]
    starts = np.append(offsets, -1).take(blocks["record"] - blocks["skip"], mode="clip")
    return np.array_equal(starts, blocks["offset"])


class _ContentRules:
    """Holds the features that every record must have, and the limits of their values."""

    def __init__(
        self, features: Mapping[str, Feature], vocab_size: int, type_vocab_size: int
    ) -> None:
        self._features = features
        length = features["input_ids"].shape[0]
        of_vocabulary = (vocab_size - 1, f"the model's vocab_size={vocab_size}")
        of_length = f"max_seq_length={length}"
        self._limits = {  # The greatest value and its source; the least is 0.
            "input_ids": of_vocabulary,
            "masked_lm_ids": of_vocabulary,
            "input_mask": (1, "a mask"),
            # A model without segments, such as DistilBERT, ignores these ids.
            "segment_ids": ((type_vocab_size or 2) - 1, f"type_vocab_size={type_vocab_size}"),
            "masked_lm_positions": (length - 1, of_length),
            "masked_lm_weights": (1, "a weight"),
            "next_sentence_labels": (1, "a label"),
            "word_ids": (length, of_length),
        }

    def are_met(self, records: tf.Tensor) -> tf.Tensor:
        """Returns <bool>[]: whether all values of records <string>[B] are within their limits."""
        met = [  # Also false for NaN.
            tf.reduce_all((values >= 0) & (values <= self._limits[name][0]))
            for name, values in parse_stored(records, self._features).items()
        ]
        return tf.reduce_all(tf.stack(met))

    def explain(self, record: bytes, place: str) -> None:
        """Raises a ValueError that says what is wrong with a serialized record."""
        try:
            stored = tf.train.Example.FromString(record).features.feature
        except Exception as error:  # protobuf's DecodeError differs between versions.
            raise ValueError(f"{place}: it is not a tf.train.Example ({error}).") from error
        for name, feature in self._features.items():
            if name not in stored:
                raise ValueError(
                    f"{place}: it has no feature {name}.{_advice_if_missing(name, stored)} "
                    f"Received: {', '.join(sorted(stored))}"
                )
            is_whole = feature.dtype == "int64"
            values = (stored[name].int64_list if is_whole else stored[name].float_list).value
            if len(values) != feature.shape[0]:
                raise ValueError(
                    f"{place}: {name} must have {feature.shape[0]} {feature.dtype} values."
                    f"{_advice_on_length(name, len(values))} Received: {len(values)}"
                )
            high, source = self._limits[name]
            wrong = [value for value in values if not 0 <= value <= high]
            if wrong:
                raise ValueError(
                    f"{place}: {name} must lie between 0 and {high} ({source}). "
                    f"Received: {wrong[0]}"
                )


def _advice_if_missing(name: str, stored: Mapping) -> str:
    if name == "next_sentence_labels":
        return " Give another objective that does not need it, such as --objective=masked_lm."
    if "word_ids" in stored and name.startswith("masked_lm"):
        return " It was made with --masking=dynamic and needs the manifest.json of its directory."
    return ""


def _advice_on_length(name: str, length: int) -> str:
    if name == "next_sentence_labels" or length == 0:
        return ""
    flag = "max_predictions_per_seq" if name.startswith("masked_lm") else "max_seq_length"
    return f" Give --{flag}={length}, or make the records anew."
