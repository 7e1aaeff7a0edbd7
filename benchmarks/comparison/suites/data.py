"""Making pre-training records: the whole process, against megabytes of text, and by two workers.

The original has no workers; its records of the same text have the same digest.
"""

from comparison.case import Case
from comparison.settings import ComparisonSettings

MEASURES = ("seconds", "processor_seconds", "megabytes_per_second", "peak_mb", "records_digest")
SIZES = (1.0, 2.6, 8.0)


def cases(settings: ComparisonSettings) -> list[Case]:
    """Returns the cases of the suite."""
    if settings.quick:
        return [_one_core(0.05)]
    return [*map(_one_core, SIZES), _two_workers(40.0)]


def _one_core(megabytes: float) -> Case:
    return Case(
        f"one-core-{megabytes:g}mb",
        f"{megabytes:g} MB of text, dupe_factor 5, one core",
        "records",
        ("bert_tf", "original"),
        MEASURES,
        {"megabytes": megabytes, "dupe_factor": 5, "num_shards": 0},
        ("text_bert_tf",),
        cores=1,
        growth=(("MB of text", megabytes),),
    )


def _two_workers(megabytes: float) -> Case:
    return Case(
        "two-workers",
        f"8 shards of {megabytes:g} MB of text, dupe_factor 5, by two workers and by one",
        "records",
        ("bert_tf", "bert_tf:one_worker"),
        MEASURES[:-1],
        {"megabytes": megabytes, "dupe_factor": 5, "num_shards": 8},
        ("text_bert_tf",),
        cores=2,
    )
