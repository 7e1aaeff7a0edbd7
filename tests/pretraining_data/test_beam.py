"""create_pretraining_data.py --runner=beam, on Beam's DirectRunner, in Beam's own environment.

That is the one of $BERT_TF_BEAM_PYTHON, or what setup_beam_environment.sh makes in the checkout.
"""

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SCRIPT = REPOSITORY / "run_scripts" / "create_pretraining_data.py"
BEAM_PYTHON = os.environ.get("BERT_TF_BEAM_PYTHON", str(REPOSITORY / ".venv-beam" / "bin/python"))
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", *"abcdefgh"]
TOKENS += [f"##{letter}" for letter in "abcdefgh"]
BASE = ["--input_file=text-*", "--vocab_file=vocab.txt", "--num_shards=5", "--output_dir=o"]
DIRECT = ["--runner=beam", "--", "--runner=DirectRunner"]
SHARDS = [f"pretraining-{number:05d}-of-00005.tfrecord" for number in range(5)]

needs_beam = pytest.mark.skipif(
    not Path(BEAM_PYTHON).exists(),
    reason=f"no Apache Beam: no {BEAM_PYTHON}; run_scripts/setup_beam_environment.sh makes it",
)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """A folder with a vocabulary and text in four files, one of them empty."""
    folder = tmp_path_factory.mktemp("beam")
    (folder / "vocab.txt").write_text("\n".join(TOKENS) + "\n")
    rng = random.Random(0)
    for number in range(4):
        documents = []
        for _ in range(12):
            words = ["".join(rng.choices("abcdefgh", k=rng.randint(1, 5))) for _ in range(150)]
            documents.append(" ".join(words).replace("a ", ".\n"))
        text = "" if number == 2 else "\n\n".join(documents)
        (folder / f"text-{number}").write_text(text)
    return folder


@pytest.fixture
def folder(texts, tmp_path):
    for path in texts.iterdir():
        (tmp_path / path.name).symlink_to(path)
    return tmp_path


def run(folder, python, *flags, status=0):
    command = [python, str(SCRIPT), *BASE, *flags]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == status, result.stderr
    return result


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def take(folder):
    """The files of a run, which are removed."""
    taken = contents(folder / "o")
    for path in (folder / "o").iterdir():
        path.unlink()
    return taken


@needs_beam
@pytest.mark.parametrize(
    ("flags", "beam_flags"),
    [
        ([], []),
        (
            ["--masking=dynamic", "--gzip", "--mend_quirks", "--do_whole_word_mask"],
            ["--direct_num_workers=3", "--direct_running_mode=multi_threading"],
        ),
        (
            ["--dupe_factor=2", "--next_sentence=false"],
            ["--direct_num_workers=2", "--direct_running_mode=multi_processing"],
        ),
    ],
    ids=["in one thread", "in threads", "in processes"],
)
def test_beam_writes_the_same_bytes_as_this_machine(folder, flags, beam_flags):
    here = run(folder, sys.executable, *flags)
    expected = take(folder)
    assert len(expected) == 6
    beam = run(folder, BEAM_PYTHON, *flags, *DIRECT, *beam_flags)
    assert contents(folder / "o") == expected  # The manifest too.
    reports = [
        [line for line in result.stdout.splitlines() if not line.startswith("time")]
        for result in (here, beam)
    ]
    assert reports[0] == reports[1]
    assert "in the next file: 1." not in here.stderr
    assert "in the next file: 2." in here.stderr
    assert "in the next file: 2." in beam.stderr


@needs_beam
def test_beam_joins_the_same_characters_to_words(tmp_path):
    letters = "甲乙丙丁"
    rng = random.Random(1)
    documents = [
        "\n".join("".join(rng.choices(letters, k=12)) + "." for _ in range(20)) for _ in range(20)
    ]
    (tmp_path / "vocab.txt").write_text("\n".join([*TOKENS, *letters]) + "\n")
    (tmp_path / "text-0").write_text("\n\n".join(documents))
    (tmp_path / "words.txt").write_text("甲乙\n丙丁甲\n")
    flags = ["--do_whole_word_mask", "--word_segmenter=words.txt"]
    run(tmp_path, sys.executable, flags[0])
    without = take(tmp_path)
    run(tmp_path, sys.executable, *flags)
    expected = take(tmp_path)
    assert all(expected[name] != without[name] for name in SHARDS)
    run(tmp_path, BEAM_PYTHON, *flags, *DIRECT)
    assert contents(tmp_path / "o") == expected


@needs_beam
def test_beam_goes_on_where_this_machine_was_ended_and_the_other_way_round(folder):
    run(folder, sys.executable)
    expected = contents(folder / "o")
    for python, flags, gone in ((BEAM_PYTHON, DIRECT, (1, 4)), (sys.executable, [], (0,))):
        for number in gone:
            (folder / "o" / SHARDS[number]).unlink()
        before = (folder / "o" / SHARDS[3]).stat().st_mtime_ns
        result = run(folder, python, *flags)
        assert contents(folder / "o") == expected
        assert (folder / "o" / SHARDS[3]).stat().st_mtime_ns == before
        assert f"{5 - len(gone)} of them were whole already" in result.stdout


def workers_of_beam():
    """The processes of Beam's DirectRunner that are Python, not the shells that started them."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes().split(b"\0")
            if b"apache_beam.runners.worker.sdk_worker_main" in command:
                found.append(int(process.name))
    return found


@needs_beam
@pytest.mark.skipif(not Path("/proc").exists(), reason="finds Beam's processes in /proc")
def test_a_killed_worker_of_beam_ends_the_run_and_leaves_whole_shards_only(folder):
    before = set(workers_of_beam())
    in_processes = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]
    process = subprocess.Popen(
        [BEAM_PYTHON, str(SCRIPT), *BASE, "--dupe_factor=60", *DIRECT, *in_processes],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 90
    while not list((folder / "o").glob(".*.tmp")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.002)
    os.kill(sorted(set(workers_of_beam()) - before)[0], signal.SIGKILL)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "A worker of Beam's was killed" in stderr
    run(folder, BEAM_PYTHON, "--dupe_factor=60", *DIRECT)
    made = contents(folder / "o")
    (folder / "o").rename(folder / "killed")
    run(folder, sys.executable, "--dupe_factor=60")
    assert contents(folder / "o") == made


@needs_beam
def test_beam_killed_leaves_nothing_under_a_final_name_and_goes_on(folder):
    flags = ["--dupe_factor=60"]
    run(folder, sys.executable, *flags)
    expected = take(folder)
    process = subprocess.Popen(
        [BEAM_PYTHON, str(SCRIPT), *BASE, *flags, *DIRECT], cwd=folder, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 90
    while not list((folder / "o").glob("pretraining-*")) or not list((folder / "o").glob(".*.tmp")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    left = sorted(path.name for path in (folder / "o").glob("pretraining-*"))
    for name in left:
        assert (folder / "o" / name).read_bytes() == expected[name]
    result = run(folder, BEAM_PYTHON, *flags, *DIRECT)
    assert contents(folder / "o") == expected
    assert 1 <= len(left) < 5
    assert f"{len(left)} of them were whole already" in result.stdout


BAD = {
    "an unknown flag": ([*DIRECT, "--nonsense=3"], "DirectRunner has no flag --nonsense"),
    "a bad value": ([*DIRECT, "--direct_num_workers=x"], "--direct_num_workers: invalid int value"),
    "an unknown runner": (
        ["--runner=beam", "--", "--runner=Nonsense"],
        "Unexpected pipeline runner: Nonsense",
    ),
    "text that is not UTF-8": (
        ["--input_file=text-0,latin", *DIRECT],
        "latin:2: not UTF-8: byte 0xe9",
    ),
    "more shards than documents": (["--num_shards=40", *DIRECT], "text with 34 documents"),
    "no text": (["--num_shards=1", "--input_file=text-2", *DIRECT], "text-2: there is no text to"),
}


@needs_beam
@pytest.mark.parametrize(("flags", "message"), BAD.values(), ids=BAD.keys())
def test_what_beam_cannot_do_is_an_error_in_one_line_and_nothing_is_left(folder, flags, message):
    (folder / "latin").write_bytes(b"ab\nab\xe9\n")
    result = run(folder, BEAM_PYTHON, *flags, status=1)
    last = result.stderr.splitlines()[-1]
    assert last.startswith("Error: ")
    assert message in last
    assert os.listdir(folder / "o") == []


REMOTE = """
import sys
from apache_beam.io.localfilesystem import LocalFileSystem
from apache_beam.options.pipeline_options import PipelineOptions
from bert_tf.pretraining_data import beam_runner
from bert_tf.pretraining_data.shards import Shard, shard_seed
from bert_tf.pretraining_data.statistics import CorpusStatistics
from bert_tf.settings import PretrainingDataSettings

class Elsewhere(LocalFileSystem):
    '''A file system of Beam's: elsewhere://a/b is a/b.'''
    @classmethod
    def scheme(cls):
        return "elsewhere"
    def open(self, path, *arguments, **named):
        return super().open(local(path), *arguments, **named)
    def create(self, path, *arguments, **named):
        return super().create(local(path), *arguments, **named)
    def exists(self, path):
        return super().exists(local(path))
    def delete(self, paths):
        return super().delete([local(path) for path in paths])
    def rename(self, sources, targets):
        return super().rename(list(map(local, sources)), list(map(local, targets)))

def local(path):
    return path.removeprefix("elsewhere://")

def there(name):
    return "elsewhere://" + sys.argv[1] + "/" + name

settings = PretrainingDataSettings(
    there("text-*"), there("vocab.txt"), output_dir=there("o"), num_shards=5)
names = [f"pretraining-{number:05d}-of-00005.tfrecord" for number in range(5)]
shards = {
    number: Shard("", (), [there("o/" + name)], shard_seed(12345, number), "made from",
                  CorpusStatistics() if number else None)
    for number, name in enumerate(names)}
inputs = [there(name) for name in sys.argv[2:]]
options = PipelineOptions(["--runner=DirectRunner"])
try:
    beam_runner.run_pipeline(settings, inputs, shards, options)
except ValueError as error:
    print(error)
assert "tensorflow" not in sys.modules
"""


@needs_beam
def test_workers_read_and_write_remote_files_by_beams_file_systems_without_tensorflow(folder):
    run(folder, sys.executable)
    expected = take(folder)

    def run_remotely(*names):
        result = subprocess.run(
            [BEAM_PYTHON, "-c", REMOTE, str(folder), *names],
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    (folder / "o" / SHARDS[2]).write_text("of an older run")
    assert run_remotely(*(f"text-{number}" for number in range(4))) == ""
    made = contents(folder / "o")
    for name in SHARDS:
        assert made.pop(name) == expected[name]
    notes = {name: json.loads(note) for name, note in made.items()}
    assert sorted(notes) == [f".{name}.made.json" for name in SHARDS]
    (entries,) = (run["files"] for run in json.loads(expected["manifest.json"])["runs"])
    for entry in entries:
        note = notes[f".{entry['name']}.made.json"]
        assert note == {**entry, "made_from": "made from"}
    (folder / "latin").write_bytes(b"ab\nab\xe9\n")
    assert f"elsewhere://{folder}/latin:2: not UTF-8" in run_remotely("text-0", "latin")


@needs_beam
def test_the_flags_that_the_documentation_names_are_beams():
    section = (REPOSITORY / "docs" / "data.md").read_text().split("## Apache Beam")[1]
    blocks = section.split("\n## ")[0].split("```")[1::2]
    commands = "\n".join(block for block in blocks if block.startswith("bash")).split(" -- ")[1:]
    named = {
        flag for command in commands for flag in re.findall(r"--(\w+)=", command.split("\n\n")[0])
    }
    assert len(named) > 12
    code = (
        "from apache_beam.options.pipeline_options import PipelineOptions\n"
        "print(*PipelineOptions([]).get_all_options())"
    )
    result = subprocess.run([BEAM_PYTHON, "-c", code], capture_output=True, text=True, check=True)
    assert named <= set(result.stdout.split())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--num_workers=2", *DIRECT], "--num_workers is for --runner=local"),
        (["--", "--direct_num_workers=2"], "not understood: '--direct_num_workers=2'"),
        (["more.txt", "--gzip", "True", *DIRECT], "not understood: 'more.txt'"),
        ([*DIRECT, "runner=DirectRunner"], "not understood: 'runner=DirectRunner'"),
        (["--output_dir=", "--output_file=r", "--num_shards=1", *DIRECT], "needs --output_dir"),
    ],
)
def test_flags_of_the_other_runner_are_refused(folder, flags, message):
    result = run(folder, sys.executable, *flags, status=1)
    assert message in result.stderr.splitlines()[-1]
    assert not (folder / "o").exists()
