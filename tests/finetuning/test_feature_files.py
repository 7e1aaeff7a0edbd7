import dataclasses
import hashlib
import io
import json
import logging
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from bert_tf.data.schema import Feature, encode_example
from bert_tf.finetuning import feature_encoding
from bert_tf.finetuning.feature_encoding import Encoding, FeatureSerializer, encode_examples
from bert_tf.finetuning.feature_files import FeatureFile, ensure_features

# A task in a module of its own, as other processes import it. An example is a line of letters; it
# becomes a feature for every "." in it, and says what is to happen.
TOY_TASK = """
import dataclasses, os, signal, time
from bert_tf.data.schema import Feature

@dataclasses.dataclass(frozen=True)
class Options:
    data_dir: str = ""
    factor: int = 1
    words: tuple = ("a", "b")

@dataclasses.dataclass
class ToyTask:
    options: Options
    name: str = "toy"
    labels: tuple = ("no", "yes")

    def sources(self, split):
        return [f"{self.options.data_dir}/{split}.txt"]

    def read(self, split):
        with open(self.sources(split)[0]) as file:
            return file.read().splitlines()

    def features(self, split, max_seq_length):
        sequence = Feature((max_seq_length,))
        return {
            "unique_ids": Feature(()), "input_ids": sequence, "input_mask": sequence,
            "segment_ids": sequence, "label_ids": Feature(()), "weight": Feature((), "float32"),
            "zeal": Feature((2,)),
        }

    def encode(self, example, split, tokenizer, max_seq_length):
        if "bad" in example:
            raise ValueError(f"{split}.txt:{example.split()[1]}: a bad line")
        if "die" in example:
            os.kill(os.getpid(), signal.SIGKILL)
        if "slow" in example:
            time.sleep(5)
        ids = tokenizer.encode(example)[:max_seq_length]
        for window in range(example.count(".")):
            yield {
                "input_ids": ids, "segment_ids": [1] * len(ids), "label_ids": [window],
                "weight": [0.5], "zeal": [300, -1],
            }
"""

L = 16


@pytest.fixture
def make_task(tmp_path, monkeypatch):
    """Makes the task, with these lines as its examples."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "toy_task.py").write_text(TOY_TASK)
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    import toy_task

    def make(lines, **options):
        (tmp_path / "train.txt").write_text("\n".join(lines) + "\n")
        return toy_task.ToyTask(toy_task.Options(str(tmp_path), **options))

    yield make
    sys.modules.pop("toy_task")


@pytest.fixture
def ensure(tmp_path, toy_vocab):
    """Calls `ensure_features` with what most tests have in common."""

    def call(task, path=None, **changes):
        arguments = {"vocab_file": toy_vocab, "do_lower_case": True, "max_seq_length": L}
        how = {name: changes.pop(name, value) for name, value in arguments.items()}
        return ensure_features(
            Encoding(task, "train", **how),
            lambda: task.read("train"),
            str(path or tmp_path / "out" / "train.tf_record"),
            **changes,
        )

    return call


@pytest.fixture
def many_workers(monkeypatch):
    monkeypatch.setattr(feature_encoding, "_FEW_EXAMPLES", 0)
    monkeypatch.setattr(feature_encoding, "_CHUNK_EXAMPLES", 3)


def lines_of(count):
    return ["abc " * (number % 4 + 1) + "." * (number % 3) for number in range(count)]


def read_records(path):
    return [record.numpy() for record in tf.data.TFRecordDataset(str(path))]


def test_records_are_the_originals_features_as_protobuf_serializes_them(make_task, ensure):
    task = make_task(["abc a.", "efg..", "a b c d e f g h a b c d e f g h a b."])
    written = ensure(task)
    assert written.windows_per_example == (1, 2, 1)
    assert (written.num_examples, written.num_features) == (3, 4)
    vocab = {"a": 9, "abc": 26, ".": 7}
    example = tf.train.Example()
    ids = [vocab["abc"], vocab["a"], vocab["."]]
    values = {
        "input_ids": ids + [0] * 13,
        "input_mask": [1] * 3 + [0] * 13,
        "segment_ids": [1] * 3 + [0] * 13,
        "label_ids": [0],
        "unique_ids": [1_000_000_000],
        "zeal": [300, -1],
    }
    for name, numbers in values.items():
        example.features.feature[name].int64_list.value.extend(numbers)
    example.features.feature["weight"].float_list.value.append(0.5)
    records = read_records(written.path)
    assert records[0] == example.SerializeToString(deterministic=True)
    numbers = [tf.train.Example.FromString(record).features.feature for record in records]
    assert [n["unique_ids"].int64_list.value[0] for n in numbers] == [10**9 + i for i in range(4)]
    assert [n["label_ids"].int64_list.value[0] for n in numbers] == [0, 0, 1, 0]
    assert list(numbers[3]["input_mask"].int64_list.value) == [1] * L


def test_the_file_is_the_same_with_one_worker_and_with_several(make_task, ensure, many_workers):
    task = make_task(lines_of(50))
    one = ensure(task, num_workers=1)
    with open(one.path, "rb") as file:
        expected = file.read()
    os.remove(one.path)
    three = ensure(task, num_workers=3)
    with open(three.path, "rb") as file:
        assert file.read() == expected
    assert three == one
    assert three.num_features == sum(line.count(".") for line in lines_of(50))


def test_what_a_task_says_of_an_example_comes_from_a_worker_as_it_is(
    make_task, ensure, many_workers, tmp_path
):
    before = ensure(make_task(["a."]))
    content = read_records(before.path)
    lines = lines_of(40)
    lines[20] = "bad 21"
    with pytest.raises(ValueError, match=r"^train.txt:21: a bad line$"):
        ensure(make_task(lines), num_workers=2)
    assert read_records(before.path) == content
    assert sorted(os.listdir(tmp_path / "out")) == ["train.tf_record", "train.tf_record.json"]


def test_a_killed_worker_is_reported_and_leaves_nothing(make_task, ensure, many_workers, tmp_path):
    lines = lines_of(40)
    lines[20] = "die"
    with pytest.raises(ChildProcessError, match=r"exit status -9\).*use fewer workers"):
        ensure(make_task(lines), num_workers=2)
    assert os.listdir(tmp_path / "out") == []


PROGRAM = """
import sys
from bert_tf.finetuning import feature_encoding
from bert_tf.finetuning.feature_encoding import Encoding
from bert_tf.finetuning.feature_files import ensure_features
feature_encoding._FEW_EXAMPLES, feature_encoding._CHUNK_EXAMPLES = 0, 1
# Not guarded by `if __name__ == "__main__"`: it need not be.
sys.path.insert(0, sys.argv[1])
import toy_task
task = toy_task.ToyTask(toy_task.Options(sys.argv[2]))
ensure_features(
    Encoding(task, "train", sys.argv[3], True, 16), lambda: task.read("train"),
    sys.argv[2] + "/out/train.tf_record", num_workers=2,
)
"""


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_an_end_by_force_leaves_no_worker_and_nothing_under_the_files_name(
    ending, make_task, tmp_path, toy_vocab
):
    make_task(["a.", "b.", "slow.", "slow.", "c."])
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, tmp_path / "program.py", tmp_path / "code", tmp_path, toy_vocab]
    process = subprocess.Popen(
        [str(part) for part in command], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    out = tmp_path / "out"
    wait_until(lambda: out.is_dir() and os.listdir(out))
    wait_until(lambda: len(processes_of(process.pid)) >= 3)
    time.sleep(1.0)
    if ending == signal.SIGINT:
        os.killpg(process.pid, ending)  # As Ctrl-C does: all processes of the terminal.
        assert "KeyboardInterrupt" in process.communicate(timeout=30)[1]
        assert os.listdir(out) == []
        wait_until(lambda: not processes_of(process.pid))
    else:
        process.kill()
        process.wait()
        process.stderr.close()
        wait_until(lambda: not processes_of(process.pid))  # When their chunks are done.
        assert not (out / "train.tf_record").exists()
        assert not (out / "train.tf_record.json").exists()


def test_a_task_may_be_defined_by_the_program_itself(make_task, tmp_path, toy_vocab):
    make_task(lines_of(20))
    program = (
        PROGRAM.partition("# Not guarded")[0]
        + TOY_TASK
        + """
if __name__ == "__main__":
    task = ToyTask(Options(sys.argv[2]))
    ensure_features(
        Encoding(task, "train", sys.argv[3], True, 16), lambda: task.read("train"),
        sys.argv[2] + "/out/train.tf_record", num_workers=2,
    )
"""
    )
    (tmp_path / "program.py").write_text(program)
    command = [sys.executable, tmp_path / "program.py", tmp_path / "code", tmp_path, toy_vocab]
    subprocess.run([str(part) for part in command], check=True, stderr=subprocess.DEVNULL)
    assert len(read_records(tmp_path / "out" / "train.tf_record")) == 20 - 2 + 1


def wait_until(is_done, seconds=30):
    limit = time.monotonic() + seconds
    while not is_done():
        assert time.monotonic() < limit
        time.sleep(0.05)


def processes_of(session):
    """The processes of a session."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(name))
    return found


def test_only_so_many_chunks_are_encoded_ahead(make_task, toy_vocab, many_workers):
    task = make_task(["a."])

    class Watched(list):
        highest = 0

        def __getitem__(self, places):
            self.highest = max(self.highest, places.stop - 1)
            return super().__getitem__(places)

    examples = Watched(["a."] * 300)
    encoded = encode_examples(Encoding(task, "train", toy_vocab, True, L), examples, 2)
    for number in range(10):
        next(encoded)
        assert examples.highest < (number + 1 + 6) * 3
    encoded.close()


def test_features_are_used_again_without_reading_the_examples(make_task, ensure, caplog):
    caplog.set_level(logging.INFO)
    task = make_task(["a.", "b..", "c"])
    first = ensure(task)
    task.read = None
    assert ensure(task) == first == FeatureFile(first.path, first.sha256, (1, 2, 0))
    assert first.num_features == 3
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2
    assert messages[0].startswith(f"Wrote features to {first.path}: 3 examples, 3 features, ")
    assert messages[1].startswith(f"Reusing the features in {first.path}: 3 examples, 3 features, ")


def change_source(task, path):
    with open(task.sources("train")[0], "a") as file:
        file.write("c.\n")


def change_records(task, path):
    with open(path, "r+b") as file:
        file.seek(30)
        file.write(b"x")


def change_sidecar(task, path):
    with open(path + ".json", "w") as file:
        file.write("[]")


def change_format(task, path):
    with open(path + ".json") as file:
        described = json.load(file)
    with open(path + ".json", "w") as file:
        json.dump({**described, "format": 0}, file)


def change_option(task, path):
    task.options = dataclasses.replace(task.options, factor=2)


def change_labels(task, path):
    task.labels = ("yes", "no")


def change_name(task, path):
    task.name = "toy:other"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (change_source, "have other sources:"),
        (change_records, "changed after it was written"),
        (change_sidecar, "unknown what the existing ones were made from"),
        (change_format, "have other format:"),
        (change_option, "have other options:"),
        (change_labels, "have other labels:"),
        (change_name, "have other task:"),
        (lambda task, path: os.remove(path + ".json"), "Wrote features to"),
        (lambda task, path: os.remove(path), "Wrote features to"),
    ],
)
def test_features_are_made_anew_when_something_has_changed(
    change, reason, make_task, ensure, caplog
):
    caplog.set_level(logging.INFO)
    task = make_task(["a.", "b..", "c"])
    first = ensure(task)
    original = read_records(first.path)
    change(task, first.path)
    again = ensure(task)
    assert reason in caplog.records[-1].getMessage()
    assert read_records(again.path) == original + read_records(again.path)[3:]
    assert again.num_features == (4 if change is change_source else 3)
    task.read = None
    assert ensure(task) == again


def test_features_are_made_anew_for_other_settings(make_task, ensure, caplog, toy_vocab, tmp_path):
    caplog.set_level(logging.INFO)
    task = make_task(["a.", "b..", "c"])
    longer = tmp_path / "longer.txt"
    with open(toy_vocab, encoding="utf-8") as file:
        longer.write_text(file.read() + "new\n", encoding="utf-8")
    ensure(task)
    for changes, reason in [
        ({"max_seq_length": 8}, "other max_seq_length, features:"),
        ({"max_seq_length": 8, "do_lower_case": False}, "other do_lower_case:"),
        (
            {"max_seq_length": 8, "do_lower_case": False, "vocab_file": str(longer)},
            "other vocabulary:",
        ),
    ]:
        ensure(task, **changes)
        assert reason in caplog.records[-1].getMessage()


def test_labels_that_a_task_finds_while_it_reads_are_noted(make_task, ensure):
    task = make_task(["a."])
    task.labels = ()
    found = make_task(["a."])

    def read(split):
        task.labels = found.labels
        return found.read(split)

    task.read = read
    first = ensure(task)
    found.read = None
    assert ensure(found) == first


def test_the_file_beside_the_records_says_what_they_were_made_from(make_task, ensure, toy_vocab):
    written = ensure(make_task(["a.", "b.."]))
    with open(written.path + ".json", encoding="utf-8") as file:
        described = json.load(file)
    with open(written.path, "rb") as file:
        content = file.read()
    assert described["records"] == {
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    assert described["sources"][0]["bytes"] == len("a.\nb..\n")
    assert described["windows_per_example"] == "1 2"
    assert described["options"]["words"] == ["a", "b"]
    with open(toy_vocab, "rb") as file:
        assert described["vocabulary"]["sha256"] == hashlib.sha256(file.read()).hexdigest()


def test_a_file_of_the_original_script_is_replaced(make_task, ensure, write_records):
    path = write_records("train.tf_record", [encode_example({"input_ids": [1]})])
    written = ensure(make_task(["a."]), path=path)
    assert len(read_records(written.path)) == 1
    assert read_records(written.path) != [encode_example({"input_ids": [1]})]


def test_a_split_without_examples_or_features_is_refused(make_task, ensure, tmp_path):
    with pytest.raises(ValueError, match=r"None of the 2 examples in .*train.txt gives"):
        ensure(make_task(["a", "b"]))
    task = make_task([])
    task.read = lambda split: []
    with pytest.raises(ValueError, match=r"There are no examples in .*train.txt"):
        ensure(task)
    assert os.listdir(tmp_path / "out") == []


def test_features_never_overwrite_the_data(make_task, ensure, tmp_path):
    task = make_task(["a."])
    (tmp_path / "link").symlink_to(tmp_path / "train.txt")
    with pytest.raises(ValueError, match="would overwrite the data"):
        ensure(task, path=tmp_path / "link")
    assert (tmp_path / "train.txt").read_text() == "a.\n"


def test_features_are_kept_in_other_file_systems(make_task, ensure):
    task = make_task(lines_of(20))
    here = ensure(task)
    there = ensure(task, path="ram://features/train.tf_record")
    assert read_records(there.path) == read_records(here.path)
    task.read = None
    assert ensure(task, path="ram://features/train.tf_record") == there


def test_progress_tells_the_examples_a_second(make_task, ensure):
    stream = io.StringIO()
    ensure(make_task(lines_of(300)), progress=stream)
    assert "train features  100 %  300/300 examples" in stream.getvalue()
    assert "examples/s" in stream.getvalue()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({}, "describes the feature label_ids, but does not encode it"),
        ({"label_ids": [1], "other": [1]}, "does not describe: {'other'}"),
        ({"label_ids": [1, 2]}, "label_ids: 2 values, but the feature holds 1"),
        ({"label_ids": []}, "label_ids: 0 values"),
        ({"label_ids": [1], "input_ids": [1] * 5}, "input_ids: 5 values, .* holds 4"),
    ],
)
def test_a_row_that_is_not_as_described_is_refused(row, message):
    serializer = FeatureSerializer({"input_ids": Feature((4,)), "label_ids": Feature(())})
    with pytest.raises(ValueError, match=message):
        serializer.serialize({"input_ids": [1], **row})


def test_every_feature_serializes_as_one_by_one_on_random_rows():
    rng = np.random.default_rng(0)
    features = {
        "input_ids": Feature((64,)),
        "input_mask": Feature((64,)),
        "is_real_example": Feature(()),
        "label_ids": Feature((), "float32"),
        "scores": Feature((5,), "float32"),
        "unique_ids": Feature(()),
    }
    serializer = FeatureSerializer(features)
    for number in range(200):
        ids = rng.integers(0, 2 ** rng.integers(1, 40), rng.integers(0, 65)).tolist()
        scores = rng.normal(size=rng.integers(2, 6)).tolist()
        row = {"input_ids": ids, "label_ids": [number / 7], "scores": scores}
        expected = encode_example(
            {
                "input_ids": ids + [0] * (64 - len(ids)),
                "input_mask": [1] * len(ids) + [0] * (64 - len(ids)),
                "is_real_example": [1],
                "label_ids": [number / 7],
                "scores": scores + [0.0] * (5 - len(scores)),
                "unique_ids": [number],
            }
        )
        assert serializer.record(serializer.serialize(row), number) == expected


def test_as_many_workers_as_cores_are_used_unless_told(make_task, toy_vocab, monkeypatch):
    started = []
    monkeypatch.setattr(
        feature_encoding, "run_in_order", lambda function, works, number: started.append(number)
    )
    monkeypatch.setattr(feature_encoding, "_num_cores", lambda: 5)
    encoding = Encoding(make_task(["a."]), "train", toy_vocab, True, L)
    for num_workers, num_examples in [(0, 10_000), (3, 10_000), (0, 2100), (40, 2100), (0, 1999)]:
        encode_examples(encoding, ["a."] * num_examples, num_workers)
    assert started == [5, 3, 5, 17, 1]
