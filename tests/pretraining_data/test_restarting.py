"""create_pretraining_data.py killed, in its workers and as a whole, and started again."""

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
TOKENS += [f"##{letter}" for letter in "abcdefgh"]
NUM_SHARDS = 8
FLAGS = ["--input_file=text", "--vocab_file=vocab.txt", "--output_dir=o", "--dupe_factor=40"]
FLAGS += [f"--num_shards={NUM_SHARDS}", "--num_workers=2"]

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="needs /proc to find the workers"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a vocabulary and text, and the files of a run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("restarts")
    (folder / "vocab.txt").write_text("\n".join(TOKENS) + "\n")
    rng = random.Random(0)
    documents = []
    for _ in range(80):
        words = ["".join(rng.choices("abcdefgh", k=rng.randint(1, 5))) for _ in range(400)]
        documents.append(" ".join(words).replace("a ", ".\n"))
    (folder / "text").write_text("\n\n".join(documents) + "\n")
    result = subprocess.run(command(), cwd=folder, capture_output=True, text=True, check=True)
    assert "whole already" not in result.stdout
    (folder / "o").rename(folder / "undisturbed")
    return folder


def command():
    return [sys.executable, str(SCRIPT), *FLAGS]


def start(folder):
    return subprocess.Popen(
        command(), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(folder):
    """Starts the run again; gives how many shards it kept, once all is as if undisturbed."""
    result = subprocess.run(command(), cwd=folder, capture_output=True, text=True, check=True)
    assert contents(folder / "o") == contents(folder / "undisturbed")
    kept = re.search(r"(\d+) of them were whole already", result.stdout)
    for path in (folder / "o").iterdir():
        path.unlink()
    return int(kept[1]) if kept else 0


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def names(folder):
    return os.listdir(folder / "o") if (folder / "o").exists() else []


def finished(folder):
    return sorted(name for name in names(folder) if name.startswith("pretraining-"))


def wait_until(condition, process):
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def is_half_way(folder):
    """Whether some shards are whole, and another is being written."""
    half = re.compile(r"\.pretraining-.*\.tfrecord\.[0-9a-f]+\.tmp")
    return len(finished(folder)) >= 2 and any(map(half.fullmatch, names(folder)))


def workers_of(process):
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [
        int(child)
        for child in children
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


def shard_being_written(worker):
    """The number of the shard that a worker, which is stopped, has not finished; or None."""
    links = [os.readlink(path) for path in Path(f"/proc/{worker}/fd").iterdir()]
    found = [re.search(r"/\.pretraining-(\d+)-.*\.tfrecord\.\w+\.tmp$", link) for link in links]
    return next((int(match[1]) for match in found if match), None)


def is_alive(pid):
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_a_worker_that_is_killed_is_named_with_its_shard_and_the_next_start_goes_on(folder):
    process = start(folder)
    wait_until(lambda: is_half_way(folder), process)
    worker, number = workers_of(process)[0], None
    while number is None:
        os.kill(worker, signal.SIGCONT)
        time.sleep(0.01)
        os.kill(worker, signal.SIGSTOP)
        number = shard_being_written(worker)
    os.kill(worker, signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    message = errors.splitlines()[-1]
    assert (
        f"A worker process was killed (exit status -9) while it made shard {number} "
        f"(o/pretraining-{number:05d}-of-" in message
    )
    left = finished(folder)
    assert f"pretraining-{number:05d}-of-{NUM_SHARDS:05d}.tfrecord" not in left
    for name in left:  # What has a name is whole.
        assert (folder / "o" / name).read_bytes() == (folder / "undisturbed" / name).read_bytes()
    assert "manifest.json" not in names(folder)
    assert finish(folder) == len(left) < NUM_SHARDS


def test_a_run_that_is_killed_whole_takes_its_workers_along_and_the_next_start_goes_on(folder):
    process = start(folder)
    wait_until(lambda: is_half_way(folder), process)
    workers = workers_of(process)
    process.kill()
    process.communicate(timeout=60)
    deadline = time.monotonic() + 30
    while any(map(is_alive, workers)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    left = finished(folder)
    for name in left:
        assert (folder / "o" / name).read_bytes() == (folder / "undisturbed" / name).read_bytes()
    assert 2 <= finish(folder) < NUM_SHARDS


def test_killed_at_any_moments_it_ends_with_the_same_files(folder):
    rng = random.Random(1)
    for _ in range(5):
        process = start(folder)
        time.sleep(rng.uniform(0.4, 2.0))
        process.kill()
        process.communicate(timeout=60)
        for name in finished(folder):
            assert (folder / "o" / name).read_bytes() == (
                folder / "undisturbed" / name
            ).read_bytes()
    finish(folder)
