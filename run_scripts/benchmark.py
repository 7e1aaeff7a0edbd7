"""Measures this package beside its peers, in turn, and reports ratios.

    python run_scripts/benchmark.py --suite=train,infer --peers=huggingface,onnxruntime
    python run_scripts/benchmark.py --suite=train --cases='base-*' --peers=keras_hub --rounds=3
    python run_scripts/benchmark.py --report

Each package runs in a virtual environment of its own, which
`benchmarks/environments/make_environment.sh` makes. Figures go to benchmarks/results/SUITE.json;
--report draws the tables and plots of docs/performance.md from them. --quick tries a suite out with
tiny sizes, in a minute; a whole suite takes from minutes to hours: --list shows its cases.

Needs a checkout of this repository.
"""

import sys
from pathlib import Path

import command_line
from absl import flags

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))
try:
    from comparison.compare import compare, list_cases
    from comparison.report import write_report
    from comparison.settings import ComparisonSettings
except ModuleNotFoundError as error:
    sys.exit(f"Error: benchmark.py needs a checkout of the repository, for benchmarks/. ({error})")

command_line.define_flags(ComparisonSettings)
flags.adopt_module_key_flags(command_line)


def main(_: list[str]) -> None:
    settings = command_line.settings_from_flags(ComparisonSettings)
    if settings.list:
        print("\n".join(list_cases(settings)))
        return
    for line in compare(settings):
        print(line, flush=True)
    if settings.report:
        print(f"Wrote {write_report(settings.results_dir)}.")


if __name__ == "__main__":
    command_line.run(main)
