"""How long it takes to start: a script, record making, and training until its first step."""

from comparison.case import Case
from comparison.settings import ComparisonSettings
from comparison.suites.train import SMALL, TINY, training_case

WHOLE_PROCESS = ("process_seconds", "peak_mb")


def cases(settings: ComparisonSettings) -> list[Case]:
    """Returns the cases of the suite."""
    scripts = Case(
        "scripts",
        "The slowest script's --help, and what it says of a wrong flag",
        "start",
        ("bert_tf", "original"),
        ("help_seconds", "wrong_flag_seconds", "help_slowest", "wrong_flag_slowest"),
    )
    records = Case(
        "records",
        "Records of 20 kB of text, the whole process",
        "records",
        ("bert_tf", "original"),
        WHOLE_PROCESS,
        {"megabytes": 0.02, "dupe_factor": 1, "num_shards": 0},
        ("text_bert_tf",),
    )
    training = training_case(
        "training",
        "From the start of Python to the end of the first training step",
        TINY if settings.quick else SMALL,
        1,
        contestants=("bert_tf", "original", "keras_hub", "huggingface"),
        measures=("start_to_first_step_seconds", *WHOLE_PROCESS),
    )
    return [scripts, records, training]
