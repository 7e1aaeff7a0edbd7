"""Defines ComparisonSettings: what benchmark.py measures, where, and how often."""

import dataclasses

from bert_tf.settings.setting import Settings, setting

SUITES = ("train", "finetune", "infer", "data", "tokenize", "start", "quality")
PEERS = ("huggingface", "keras_hub", "original", "onnxruntime")


@dataclasses.dataclass(frozen=True)
class ComparisonSettings(Settings):
    """Describes a comparison of this package with its peers."""

    suite: tuple[str, ...] = setting((), f"What to measure, of: {', '.join(SUITES)}.")
    peers: tuple[str, ...] = setting(
        (), f"What to compare with, of: {', '.join(PEERS)}. Without it, only this package runs."
    )
    cases: tuple[str, ...] = setting((), "Only cases with these names; * stands for anything.")
    list: bool = setting(False, "List the cases of the suites and exit.")
    rounds: int = setting(0, "Runs of each package, in turn. 0: as the suite says.", at_least=0)
    quick: bool = setting(False, "Tiny sizes and one round: whether it works, in a minute.")
    resume: bool = setting(False, "Keep runs that --results_dir has already; run what is missing.")
    environments_dir: str = setting(
        ".benchmark_environments", "Folder of the packages' virtual environments."
    )
    work_dir: str = setting(".benchmark_files", "Folder for models and text, which are kept.")
    data_dir: str | None = setting(
        None, "Folder with glue/, squad/ and text/. Default: made-up text of the same lengths."
    )
    results_dir: str = setting("benchmarks/results", "Folder of the figures, a JSON file a suite.")
    report: bool = setting(
        False, "Write tables and plots from the figures into docs/performance.md."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for flag, given, known in (("suite", self.suite, SUITES), ("peers", self.peers, PEERS)):
            if unknown := sorted({*given} - {*known}):
                raise ValueError(
                    f"--{flag}={','.join(unknown)}: the choices are {', '.join(known)}."
                )
        if not self.suite and not self.report:
            raise ValueError("--suite is needed: it says what to measure. --report alone draws.")
