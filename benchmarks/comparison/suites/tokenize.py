"""Tokenizing lines of text, on one core and on two; how many lines get other ids than they should.

`bert_tf` is the exact tokenizer in Python, in a process per core; `graph` is the one in tf.data
pipelines. Hugging Face's `tokenizers` is its library without transformers.
"""

from comparison.case import Case
from comparison.settings import ComparisonSettings

MEASURES = ("megabytes_per_second", "processor_seconds", "different_lines", "peak_mb")
PEERS = ("huggingface", "huggingface:tokenizers")


def cases(settings: ComparisonSettings) -> list[Case]:
    """Returns the cases of the suite."""
    one_core = ("bert_tf", "bert_tf:graph", *PEERS, "original")
    two_cores = ("bert_tf", "bert_tf:one_process", "bert_tf:graph", *PEERS)
    if settings.quick:
        return [_case("one-core", one_core, 0.05, 1)]
    return [_case("one-core", one_core, 8.0, 1), _case("two-cores", two_cores, 30.0, 2)]


def _case(name: str, contestants: tuple[str, ...], megabytes: float, cores: int) -> Case:
    title = f"{megabytes:g} MB of text, {cores} core{'s' if cores > 1 else ''}"
    told = {"megabytes": megabytes}
    return Case(name, title, "tokenize", contestants, MEASURES, told, ("text_bert_tf",), cores)
