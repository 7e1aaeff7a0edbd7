"""The script, in processes of its own: the original's command lines, bad input, full disks."""

import hashlib
import importlib.util
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

SCRIPT = Path(__file__).parents[2] / "run_scripts" / "create_pretraining_data.py"
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", *"abcdefgh"]
TOKENS += [f"##{letter}" for letter in "abcdefgh"] + ["ab", "##cd", "A"]


def run(folder, *arguments, status=0, before=""):
    """Runs the script in `folder`; `before` is Python code that its process runs first."""
    command = [sys.executable, str(SCRIPT)]
    if before:
        code = f"import runpy, sys\n{before}\nsys.argv = sys.argv[1:]\n"
        code += f"sys.path.insert(0, {str(SCRIPT.parent)!r})\n"
        code += "runpy.run_path(sys.argv[0], run_name='__main__')"
        command = [sys.executable, "-c", code, str(SCRIPT)]
    result = subprocess.run(
        [*command, *map(str, arguments)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert result.returncode == status, result.stderr
    return result


@pytest.fixture
def folder(tmp_path):
    """A folder with a vocabulary and two texts."""
    (tmp_path / "vocab.txt").write_text("\n".join(TOKENS) + "\n")
    rng = random.Random(0)
    for name in ("a.txt", "b.txt"):
        documents = []
        for _ in range(10):
            words = ["".join(rng.choices("ABabcdefgh", k=rng.randint(1, 5))) for _ in range(60)]
            documents.append(" ".join(words).replace("a ", ".\n").replace("b ", "b.\n"))
        (tmp_path / name).write_text("\n\n".join(documents) + "\n\n")
    return tmp_path


def load(name):
    path = SCRIPT.parents[1] / "benchmarks" / f"straightforward_{name}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def digest(*paths):
    return [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths]


def test_the_originals_command_line_gives_the_originals_records(folder):
    result = run(
        folder,
        "--input_file=./a.txt,b.t*",
        "--output_file=tf_examples.0,tf_examples.1",
        "--vocab_file=vocab.txt",
        "--do_lower_case=False",
        "--do_whole_word_mask=True",
        "--max_seq_length=40",
        "--max_predictions_per_seq=6",
        "--masked_lm_prob=0.2",
        "--short_seq_prob=0.3",
        "--random_seed=99",
        "--dupe_factor=5",
    )
    vocab = {token: index for index, token in enumerate(TOKENS)}
    lines = [line for name in "ab" for line in (folder / f"{name}.txt").open()]
    load("pretraining_data").create(
        lines,
        lambda line: load("tokenizer").tokenize(line, vocab, False),
        vocab,
        [str(folder / "expected.0"), str(folder / "expected.1")],
        do_whole_word_mask=True,
        max_seq_length=40,
        max_predictions_per_seq=6,
        masked_lm_prob=0.2,
        short_seq_prob=0.3,
        random_seed=99,
        dupe_factor=5,
    )
    made = digest(folder / "tf_examples.0", folder / "tf_examples.1")
    assert made == digest(folder / "expected.0", folder / "expected.1")
    assert "documents    20\n" in result.stdout
    assert "random next" in result.stdout
    assert "writing records" in result.stderr


def test_the_defaults_are_the_originals(folder):
    run(folder, "--input_file=a.txt", "--output_file=records", "--vocab_file=vocab.txt")
    settings = json.loads((folder / "manifest.json").read_text())["runs"][0]["settings"]
    assert settings == {
        "input_file": ["a.txt"],
        "output_file": ["records"],
        "vocab_file": "vocab.txt",
        "do_lower_case": True,
        "do_whole_word_mask": False,
        "max_seq_length": 128,
        "max_predictions_per_seq": 20,
        "random_seed": 12345,
        "dupe_factor": 10,
        "masked_lm_prob": 0.15,
        "short_seq_prob": 0.1,
        "output_dir": None,
        "num_shards": 1,
        "num_workers": 1,
        "masking": "static",
        "masking_mix": "80,10,10",
        "mask_smoothing": 0.0,
        "word_segmenter": "",
        "gzip": False,
        "mend_quirks": False,
        "next_sentence": True,
        "do_span_mask": False,
        "span_geometric_p": 0.2,
        "max_span_words": 10,
        "full_sentences": False,
        "packing": "bert",
        "blanks_separate_docs": True,
        "strip_accents": None,
        "ngram": 0,
        "favor_shorter_ngram": True,
        "ngram_seed": None,
        "sentence_order": False,
    }


BASE = ("--input_file=a.txt,b.txt", "--vocab_file=vocab.txt")


def test_the_same_command_gives_the_same_bytes_in_every_process(folder):
    for name in ("first", "second"):
        run(folder, *BASE, f"--output_file={name}")
    assert digest(folder / "first") == digest(folder / "second")


def test_shards_by_several_workers(folder):
    flags = ("--num_shards=3", "--gzip", "--masking=dynamic", "--mend_quirks")
    run(folder, *BASE, "--output_dir=two", "--num_workers=2", *flags)
    run(folder, *BASE, "--output_dir=one", "--num_workers=1", *flags)
    names = [f"pretraining-{number:05d}-of-00003.tfrecord.gz" for number in range(3)]
    assert sorted(os.listdir(folder / "two")) == ["manifest.json", *names]
    for name in names:
        assert digest(folder / "two" / name) == digest(folder / "one" / name)
    (made,) = json.loads((folder / "two" / "manifest.json").read_text())["runs"]
    settings = made["settings"]
    assert (settings["masking"], settings["gzip"]) == ("dynamic", True)
    assert (settings["dupe_factor"], settings["num_workers"]) == (1, 2)
    assert made["files"][0]["block_offsets"] is None


def test_a_dupe_factor_that_is_given_holds_for_dynamic_masking_too(folder):
    run(folder, *BASE, "--output_file=o", "--masking=dynamic", "--dupe_factor=10")
    settings = json.loads((folder / "manifest.json").read_text())["runs"][0]["settings"]
    assert settings["dupe_factor"] == 10


def test_tensorflow_is_not_loaded(folder):
    before = "import atexit; atexit.register(lambda: print('tensorflow' in sys.modules))"
    result = run(folder, *BASE, "--output_file=o", before=before)
    assert result.stdout.splitlines()[-1] == "False"


def test_what_ruins_a_corpus_is_warned_of(folder):
    (folder / "one.txt").write_text("ab cd\nabcd ab\n")
    result = run(folder, "--input_file=one.txt", "--vocab_file=vocab.txt", "--output_file=o")
    assert "WARNING: There is one document only" in result.stderr
    assert "WARNING: The text has no blank line" in result.stderr


BAD = {
    "an empty file": ("--input_file=empty.txt", "empty.txt: there is no text"),
    "no such file": ("--input_file=a.txt,nothing*.txt", "No file matches.*'nothing\\*.txt'"),
    "a directory": ("--input_file=sub", "sub: a directory, where a file is needed"),
    "a glob with a directory": ("--input_file=s*", "sub: a directory, where a file is needed"),
    "not UTF-8": ("--input_file=latin.txt", "latin.txt:2: not UTF-8"),
    "no predictions": (
        "--max_predictions_per_seq=0",
        "max_predictions_per_seq must be a whole number of at least 1. Received: 0",
    ),
    "hide nothing": ("--masked_lm_prob=0", "masked_lm_prob must be.*Received: 0.0"),
    "hide all": ("--masked_lm_prob=1", "masked_lm_prob must be.*Received: 1.0"),
    "too short": ("--max_seq_length=4", "max_seq_length must be.*of at least 5. Received: 4"),
    "no passes": ("--dupe_factor=0", "dupe_factor must be.*Received: 0"),
    "no probability": ("--short_seq_prob=1.5", "short_seq_prob must be.*Received: 1.5"),
    "no vocabulary": ("--vocab_file=nothing", "No such file or directory: 'nothing'"),
    "an empty vocabulary": ("--vocab_file=empty.txt", "empty.txt:1: the vocabulary is empty"),
    "a poor vocabulary": ("--vocab_file=poor.txt", r"poor.txt:2: .* without \[PAD\], \[UNK\]"),
    "two kinds of output": ("--output_dir=d", "Give either --output_file or --output_dir"),
    "shards without a folder": ("--num_shards=2", "need --output_dir"),
    "workers without a folder": ("--num_workers=2", "need --output_dir"),
    "one output twice": ("--output_file=o,o", "names a file twice"),
    "an output that is an input": ("--output_file=a.txt", "a.txt: an input file"),
    "an output that is a folder": ("--output_file=sub", "Is a directory: '.*sub'"),
    "below a file": ("--output_file=a.txt/o", "'a.txt'|a.txt/o"),
}


@pytest.mark.parametrize(("flag", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused_with_a_reason_and_nothing_is_left(folder, flag, message):
    (folder / "empty.txt").write_text("")
    (folder / "latin.txt").write_bytes(b"ab\nab\xe9\n")
    (folder / "poor.txt").write_text("a\nb\n")
    (folder / "sub").mkdir()
    before = sorted(os.listdir(folder))
    result = run(folder, *BASE, "--output_file=o", flag, status=1)
    assert "Traceback" not in result.stderr
    assert re.search(f"^Error: .*{message}", result.stderr.splitlines()[-1]), result.stderr
    assert sorted(os.listdir(folder)) == before
    assert os.listdir(folder / "sub") == []


def test_a_missing_flag_is_named(folder):
    result = run(folder, "--output_file=o", "--vocab_file=vocab.txt", status=1)
    assert "--input_file" in result.stderr


# A process that may not write more than 2,000 bytes into a file: a full disk.
FULL = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))"


@pytest.mark.parametrize(
    "output",
    [
        ["--output_file=o/records"],
        ["--output_file=o/records,o/more"],
        ["--output_file=o/records.gz", "--gzip"],
        ["--output_dir=o", "--num_shards=3"],
        ["--output_dir=o", "--num_shards=3", "--num_workers=2"],
    ],
    ids=" ".join,
)
def test_a_full_disk_is_an_error_and_nothing_half_written_is_left(folder, output):
    (folder / "o").mkdir()
    result = run(folder, *BASE, *output, before=FULL, status=1)
    assert "File too large" in result.stderr.splitlines()[-1]
    assert os.listdir(folder / "o") == []


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 160 kB."""
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(path)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a disk cannot be mounted here: {error}")
    yield path
    subprocess.run(["umount", str(path)], check=True)


@pytest.mark.parametrize("workers", [1, 2])
def test_on_a_disk_that_is_really_full_nothing_half_written_is_left(folder, small_disk, workers):
    result = run(folder, *BASE, f"--output_file={small_disk}/records", "--dupe_factor=60", status=1)
    assert f"No space left on device: '{small_disk}/records'" in result.stderr
    assert os.listdir(small_disk) == []
    flags = ("--dupe_factor=60", "--num_shards=2", f"--num_workers={workers}")
    result = run(folder, *BASE, f"--output_dir={small_disk}", *flags, status=1)
    assert "No space left on device" in result.stderr.splitlines()[-1]
    assert [name for name in os.listdir(small_disk) if name.startswith(".")] == []


@pytest.mark.parametrize("output", ["--output_file=closed/records", "--output_dir=closed"])
def test_a_folder_without_write_permission_is_an_error_before_the_work(folder, output):
    (folder / "closed").mkdir(mode=0o555)
    # Root may write everywhere, unless it gives up its capabilities.
    drop = "ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(0x20080522), (ctypes.c_uint32 * 6)())"
    before = f"import ctypes; {drop}" if os.geteuid() == 0 else ""
    result = run(folder, *BASE, output, before=before, status=1)
    assert "Permission denied: " in result.stderr.splitlines()[-1]
    assert "making pairs" not in result.stderr
    assert os.listdir(folder / "closed") == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    "output",
    [["--output_file=o/records"], ["--output_dir=o", "--num_shards=2", "--num_workers=2"]],
    ids=["one process", "several"],
)
def test_a_run_that_is_ended_leaves_nothing_half_written(folder, number, output):
    (folder / "o").mkdir()
    command = [sys.executable, str(SCRIPT), *BASE, *output, "--dupe_factor=100000"]
    process = subprocess.Popen(
        command, cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not any(name.endswith(".tmp") for name in os.listdir(folder / "o")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert os.listdir(folder / "o") == [], errors


def test_a_worker_that_something_ends_is_an_error_with_advice(folder):
    if not Path("/proc/self/task").exists():
        pytest.skip("needs /proc to find the worker")
    (folder / "o").mkdir()
    output = ["--output_dir=o", "--num_shards=2", "--num_workers=2", "--dupe_factor=100000"]
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), *BASE, *output], cwd=folder, stderr=subprocess.PIPE, text=True
    )
    worker = None
    deadline = time.monotonic() + 60
    while worker is None or not any(name.endswith(".tmp") for name in os.listdir(folder / "o")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                worker = int(child)
    os.kill(worker, signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Error: A worker process was killed (exit status -9)" in errors.splitlines()[-1]
    assert "make more shards" in errors
