"""The commands of the documentation: found in its pages, parsed by their scripts' own flags, run.

Scripts are forked from one process, which has imported what takes them long to import:

    python documented_commands.py parse < requests > answers
"""

import contextlib
import dataclasses
import functools
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPTS = REPOSITORY / "run_scripts"
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
# A code block without a fence, which is a command.
_INDENTED = re.compile(
    r"^    (?:\S*python run_scripts/|bert-tf )[^\n]*(?:\n {4,}[^\n]*)*", re.MULTILINE
)


@dataclasses.dataclass(frozen=True)
class Snippet:
    """A code block of a page."""

    page: str
    line: int
    language: str  # python or bash
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


@dataclasses.dataclass(frozen=True)
class Command:
    """A command line of a page, as words."""

    place: str
    words: tuple[str, ...]

    @property
    def script(self) -> str:
        """The script of run_scripts/ that it runs, or ""."""
        found = [word for word in self.words[:2] if word.startswith("run_scripts/")]
        return found[0].removeprefix("run_scripts/") if found else ""

    @property
    def arguments(self) -> list[str]:
        """Its flags, without an ellipsis and without what follows `--`, which is Beam's."""
        words = list(self.words[2:])
        return [
            word for word in words[: words.index("--") if "--" in words else None] if word != "..."
        ]

    @property
    def is_whole(self) -> bool:
        return "..." not in self.words


def snippets_of(path: Path) -> list[Snippet]:
    """The fenced blocks of Python and shell in a page, in order."""
    text = path.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        indentation, language, body = match.groups()
        if language in ("python", "bash"):
            lines = [line.removeprefix(indentation) for line in body.splitlines()]
            line = text.count("\n", 0, match.start()) + 1
            found.append(Snippet(path.name, line, language, "\n".join(lines) + "\n"))
    return found


def indented_commands(path: Path) -> list[Command]:
    """The commands in a page's indented blocks."""
    text = path.read_text(encoding="utf-8")
    text = _FENCE.sub(lambda fence: "\n" * fence[0].count("\n"), text)
    found = []
    for match in _INDENTED.finditer(text):
        block = re.sub(r"^    ", "", match[0], flags=re.M)
        line = text.count("\n", 0, match.start()) + 1
        found += commands_of(Snippet(path.name, line, "bash", block))
    return found


def commands_of(snippet: Snippet) -> list[Command]:
    """The command lines of a shell block."""
    lines = re.sub(r"\\\n\s*", " ", snippet.text).splitlines()
    commands, rest = [], ""
    for line in lines:
        rest = f"{rest}\n{line}" if rest else line
        try:
            words = shlex.split(rest, comments=True)
        except ValueError:  # A quotation goes on in the next line.
            continue
        rest = ""
        for part in _split(words):
            commands.append(Command(snippet.place, tuple(part)))
    assert not rest, f"{snippet.place}: an open quotation"
    return commands


def _split(words: list[str]) -> list[list[str]]:
    """Parts a line at && and | and ;, and leaves out variables that it sets for a program."""
    parts: list[list[str]] = [[]]
    for word in words:
        if word in ("&&", "|", ";"):
            parts.append([])
        elif parts[-1] or not re.match(r"[A-Z_]+=", word):
            parts[-1].append(word)
    return [part for part in parts if part]


def parse_all(commands: Sequence[Command]) -> list[str]:
    """Parses command lines with their scripts' flags. Returns: what is wrong with each, or ""."""
    by_script: dict[str, list[int]] = {}
    for number, command in enumerate(commands):
        by_script.setdefault(command.script, []).append(number)
    requests = [
        [script, [[commands[n].arguments, commands[n].is_whole] for n in numbers], "."]
        for script, numbers in by_script.items()
    ]
    wrong = [""] * len(commands)
    for numbers, (code, output) in zip(
        by_script.values(), _answers("parse", requests), strict=True
    ):
        assert not code, output
        for number, text in zip(numbers, json.loads(output.splitlines()[-1]), strict=True):
            wrong[number] = text
    return wrong


def run(script: str, arguments: Sequence[str], folder: Path) -> tuple[int, str]:
    """Runs a script in a folder. Returns: its exit status, and what it printed."""
    (answer,) = run_all([(script, arguments, folder)])
    return answer


def run_all(requests: Sequence[tuple[str, Sequence[str], Path]]) -> list[tuple[int, str]]:
    """Runs scripts one after the other, up to the first that fails. Returns: as `run`, for each."""
    return _answers("run", [[script, [*words], str(at)] for script, words, at in requests])


def _answers(mode: str, requests: list) -> list[tuple[int, str]]:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, __file__, mode],
        input=json.dumps(requests),
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    return [tuple(answer) for answer in json.loads(done.stdout.splitlines()[-1])]


def _main(mode: str) -> None:
    requests = json.load(sys.stdin)
    sys.path[:0] = [str(SCRIPTS), str(REPOSITORY)]
    with open(os.devnull, "w") as nothing, contextlib.redirect_stderr(nothing):
        import bert_tf.settings
        import bert_tf.tasks.task  # noqa: F401

        if mode == "run":
            import tensorflow  # noqa: F401
    answers = []
    for request in requests:
        answers.append(_in_a_fork(mode, *request))
        if mode == "run" and answers[-1][0]:
            break
    print(json.dumps(answers))


def _in_a_fork(mode: str, script: str, arguments: list, folder: str) -> tuple[int, str]:
    def work() -> int:
        os.chdir(folder)
        return _run(script, arguments) if mode == "run" else _parse(script, arguments)

    return _fork(work)


def _fork(work: Callable[[], int]) -> tuple[int, str]:
    """Calls a function in another process. Returns: its status, and what it printed."""
    with tempfile.TemporaryFile("w+") as log:
        child = os.fork()
        if not child:
            status = 1
            try:
                for stream in (1, 2):
                    os.dup2(log.fileno(), stream)
                status = work()
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        log.seek(0)
        return code, log.read()


def _run(script: str, arguments: list[str]) -> int:
    sys.argv = [str(SCRIPTS / script), *arguments]
    return _status(lambda: runpy.run_path(sys.argv[0], run_name="__main__"))


def _parse(script: str, calls: list) -> int:
    """Prints a list of what is wrong with the flags of each call."""
    sys.argv = [str(SCRIPTS / script)]
    names = runpy.run_path(sys.argv[0], run_name="parsed")
    import command_line

    def parse(arguments: list[str], is_whole: bool) -> int:
        if not is_whole:
            command_line._needed.clear()
        sys.argv[1:] = arguments
        names.get("define_task_flags", list)(arguments)
        return _status(lambda: command_line._parse(sys.argv))

    answers = [_fork(functools.partial(parse, *call)) for call in calls]
    wrong = [output if code else "" for code, output in answers]
    print(json.dumps(wrong))
    return 0


def _status(work: Callable[[], object]) -> int:
    """Calls what may exit as scripts do. Returns: the exit status; a message is printed."""
    try:
        work()
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code)
            return 1
        return error.code or 0
    return 0


if __name__ == "__main__":
    _main(sys.argv[1])
