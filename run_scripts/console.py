"""The command `bert-tf`, which pip installs: it runs the scripts, with their own flags.

bert-tf --help
bert-tf pretrain --help
bert-tf finetune --task=glue:mrpc ...
"""

import ast
import difflib
import os
import runpy
import shutil
import sys
import textwrap
from pathlib import Path

# The command's words -> scripts.
_SCRIPTS = {
    "pretrain": "run_pretraining",
    "finetune": "finetune",
    "classify": "run_classifier",
    "squad": "run_squad",
    "fill-mask": "fill_mask",
    "extract-features": "extract_features",
    "explore": "explore",
    "export": "export_saved_model",
    "convert": "convert_checkpoint",
    "download": "download_checkpoint",
    "prepare-corpus": "prepare_corpus",
    "collect-documentation": "collect_documentation",
    "learn-vocab": "learn_vocab",
    "create-data": "create_pretraining_data",
    "plan": "plan_pretraining",
}


def main() -> None:
    """Runs the script that the first word names, here in this process."""
    word = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if word in ("--help", "-h", "help"):
        _print_help()
        return
    name = _SCRIPTS.get(word, word.removesuffix(".py").replace("-", "_"))
    if name not in _SCRIPTS.values():
        near = difflib.get_close_matches(word, _SCRIPTS, 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        sys.exit(f"Error: bert-tf has no command {word!r}.{hint} bert-tf --help lists them.")
    folder = Path(__file__).parent
    sys.path.insert(0, str(folder))  # As for a script; it imports command_line.
    sys.argv = [str(folder / f"{name}.py"), *sys.argv[2:]]
    runpy.run_path(sys.argv[0], run_name="__main__")


def _print_help() -> None:
    width = min(100, shutil.get_terminal_size((80, 24)).columns)
    lines = ["bert-tf COMMAND --flag=value ...; bert-tf COMMAND --help describes the flags.", ""]
    for word, name in _SCRIPTS.items():
        source = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
        about = (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
        text = f"  {word:<22} {about}"
        indent = " " * 25
        lines += textwrap.wrap(text, width, subsequent_indent=indent, break_on_hyphens=False)
    try:
        print("\n".join(lines), flush=True)
    except BrokenPipeError:  # bert-tf --help | head
        os._exit(0)


if __name__ == "__main__":
    main()
